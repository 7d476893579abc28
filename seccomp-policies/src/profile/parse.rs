//! The text of a profile.

use std::collections::BTreeMap;
use std::ops::Range;

use super::Profile;
use crate::language::{Diagnostic, MAX_FINDINGS, suggest};
use crate::syscalls::{self, Arch};

/// What a profile says once, and what it is good for.
const HEADER: [(&str, &str); 3] = [
    ("workload", "`workload TEXT` says what ran while calls were counted"),
    ("kernel", "`kernel TEXT` says which kernel it ran on"),
    ("date", "`date YYYY-MM-DD` says when"),
];

/// Words of a line, with their place.
type Word<'a> = (&'a str, Range<usize>);

/// Reads a profile that is this source of several; `None` where there are errors.
pub(crate) fn parse(text: &str, source: usize, errors: &mut Vec<Diagnostic>) -> Option<Profile> {
    let mut reader = Reader { source, errors: Vec::new(), header: BTreeMap::new(), counts: BTreeMap::new() };
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        // Nobody reads more, and a suggestion for each takes long.
        if reader.errors.len() > MAX_FINDINGS {
            break;
        }
        reader.line(line.trim_end(), start);
        start += line.len();
    }
    let profile = reader.finish();
    errors.append(&mut reader.errors);
    profile
}

struct Reader<'a> {
    source: usize,
    errors: Vec<Diagnostic>,
    header: BTreeMap<&'static str, Word<'a>>,
    counts: BTreeMap<&'a str, (u64, Range<usize>)>,
}

impl<'a> Reader<'a> {
    fn error(&mut self, title: String, span: Range<usize>, text: &str, help: String) {
        self.errors.push(Diagnostic::error(title, self.source, span, text).help(help));
    }

    /// A line without its end; `start` is where it begins in the text.
    fn line(&mut self, line: &'a str, start: usize) {
        let content = line.trim_start();
        let start = start + line.len() - content.len();
        let Some(first) = content.split_whitespace().next().filter(|word| !word.starts_with('#')) else {
            return;
        };
        let rest = content[first.len()..].trim_start();
        let rest_start = start + content.len() - rest.len();
        let first = (first, start..start + first.len());
        let rest = (rest, rest_start..start + content.len());
        match HEADER.iter().find(|(word, _)| *word == first.0) {
            Some((word, help)) => self.header(word, help, &first, rest),
            None => self.count(first, &rest),
        }
    }

    fn header(&mut self, word: &'static str, help: &str, (_, place): &Word<'a>, said: Word<'a>) {
        if said.0.is_empty() {
            return self.error(
                format!("`{word}` says nothing"),
                place.clone(),
                "text is missing after this",
                help.into(),
            );
        }
        if word == "date" && !is_date(said.0) {
            let title = format!("`{}` is no date", said.0);
            return self.error(
                title,
                said.1,
                "not of the form YYYY-MM-DD",
                "write it as in `date 2026-11-24`".into(),
            );
        }
        if let Some((_, before)) = self.header.get(word).cloned() {
            let title = format!("`{word}` is said twice");
            let error = Diagnostic::error(title, self.source, place.clone(), "said again here");
            self.errors
                .push(error.context(self.source, before, "first said here").help("take one of the two away"));
            return;
        }
        self.header.insert(word, (said.0, place.start..said.1.end));
    }

    fn count(&mut self, (call, place): Word<'a>, (count, count_place): &Word<'a>) {
        if !is_known(call) {
            return self.unknown(call, place);
        }
        if count.is_empty() {
            let title = format!("`{call}` has no count");
            return self.error(
                title,
                place,
                "how often?",
                format!("write a line for it as in `{call} 1000`"),
            );
        }
        let Some(number) = count_of(count) else {
            let title = format!("`{count}` is no count");
            let help = format!("a line is a call and a decimal number up to {}", u64::MAX);
            return self.error(title, count_place.clone(), "not a decimal number of 64 bits", help);
        };
        if let Some((_, before)) = self.counts.get(call) {
            let error =
                Diagnostic::error(format!("`{call}` is counted twice"), self.source, place, "again here");
            let error = error.context(self.source, before.clone(), "first here");
            self.errors.push(error.help("add the two counts, or take one away"));
            return;
        }
        self.counts.insert(call, (number, place));
    }

    fn unknown(&mut self, call: &str, place: Range<usize>) {
        let known = Arch::ALL.into_iter().flat_map(|arch| syscalls::all(arch).iter().map(|call| call.name));
        let known = known.chain(HEADER.map(|(word, _)| word));
        let help = match suggest::closest(call, known) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "begin a line with a call, by the kernel's name for it".to_owned(),
        };
        self.error(format!("unknown call `{call}`"), place, "no kernel has it", help);
    }

    fn finish(&mut self) -> Option<Profile> {
        let missing: Vec<_> = HEADER.iter().filter(|(word, _)| !self.header.contains_key(word)).collect();
        // A line that was tried and is wrong has its own error.
        if !missing.is_empty() && self.errors.is_empty() {
            let names: Vec<_> = missing.iter().map(|(word, _)| format!("no `{word}`")).collect();
            let title = format!("the profile has {}", names.join(", "));
            let error = Diagnostic::error(title, self.source, 0..0, "counts alone say little");
            self.errors.push(missing.into_iter().fold(error, |error, (_, help)| error.help(*help)));
        }
        if !self.errors.is_empty() {
            return None;
        }
        let said = |word| self.header.get(word).map(|(said, _)| (*said).to_owned());
        let counts = self.counts.iter().map(|(call, (count, _))| ((*call).to_owned(), *count)).collect();
        Some(Profile { workload: said("workload")?, kernel: said("kernel")?, date: said("date")?, counts })
    }
}

/// Digits alone: no sign, no base, no separators.
fn count_of(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

fn is_known(call: &str) -> bool {
    Arch::ALL.into_iter().any(|arch| syscalls::by_name(arch, call).is_some())
}

/// `YYYY-MM-DD`, with a month and a day that there may be.
fn is_date(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let [year, month, day] = parts.as_slice() else { return false };
    let number = |part: &str, digits: usize| (part.len() == digits).then(|| count_of(part)).flatten();
    let in_month = |month: u64| (1..=12).contains(&month);
    number(year, 4).is_some()
        && number(month, 2).is_some_and(in_month)
        && number(day, 2).is_some_and(|day| (1..=31).contains(&day))
}
