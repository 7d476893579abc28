//! An `strace` log or a list of calls, line by line, as calls.

use std::collections::{BTreeMap, BTreeSet};

use super::line::{self, Line};
use super::{Recorded, Skipped, Trace};
use crate::language::Diagnostic;
use crate::pattern::Written;
use crate::syscalls::Arch;

/// How much of a call's text is kept, in bytes.
const KEPT: usize = 400;

/// Reads the calls of a log that `strace` wrote, with whatever options, or of a list with a call on each line.
pub fn calls(text: &str, arch: Arch) -> Trace {
    let mut reader =
        Reader { arch, trace: Trace::default(), begun: BTreeMap::new(), not_understood: BTreeSet::new() };
    let mut lines = (1..).zip(text.lines());
    while let Some((number, line)) = lines.next() {
        match line::broken(line) {
            Some(start) => {
                let (_, rest) = lines.next().unwrap_or_default();
                reader.line(number, &format!("{start}{rest}"));
            }
            None => reader.line(number, line),
        }
    }
    reader.finish()
}

struct Reader {
    arch: Arch,
    trace: Trace,
    /// Calls that have not returned, by process: where each began, and its text so far.
    begun: BTreeMap<u32, (usize, String)>,
    not_understood: BTreeSet<String>,
}

impl Reader {
    fn line(&mut self, number: usize, line: &str) {
        match line::read(line) {
            (_, Line::Nothing) => {}
            (_, Line::Call(text)) => self.call(number, text),
            (pid, Line::Unfinished(text)) => {
                if let Some(before) = self.begun.insert(pid, (number, text.to_owned())) {
                    self.cut_off(&before);
                }
            }
            (pid, Line::Resumed(rest)) => match self.begun.remove(&pid) {
                Some((begun, text)) => self.call(begun, &(text + " " + rest)),
                None => self.skip(number, "the beginning of this call is missing".to_owned()),
            },
        }
    }

    /// Calls that never returned were made all the same.
    fn finish(mut self) -> Trace {
        for begun in std::mem::take(&mut self.begun).into_values() {
            self.cut_off(&begun);
        }
        self.trace.calls.sort_by_key(|call| call.line);
        self.trace.skipped.sort_by_key(|skipped| skipped.line);
        self.trace.not_understood = self.not_understood.into_iter().collect();
        self.trace
    }

    fn cut_off(&mut self, (number, text): &(usize, String)) {
        self.call(*number, &format!("{})", text.trim_end_matches(',')));
    }

    fn call(&mut self, number: usize, text: &str) {
        match self.recorded(number, text) {
            Ok(call) => self.trace.calls.push(call),
            Err(error) => self.skip(number, error.title),
        }
    }

    fn recorded(&mut self, line: usize, text: &str) -> Result<Recorded, Diagnostic> {
        let written = Written::read(text)?;
        let rest = written.rest.trim();
        if !rest.is_empty() && !rest.starts_with('=') && !rest.starts_with('#') {
            return Err(Diagnostic::unplaced("this is no call"));
        }
        let (pattern, not_understood) = written.lenient(text, self.arch)?;
        self.not_understood.extend(not_understood);
        let call = text[..text.len() - written.rest.len()].trim_end();
        Ok(Recorded { line, text: shortened(call), pattern })
    }

    fn skip(&mut self, line: usize, why: String) {
        self.trace.skipped.push(Skipped { line, why });
    }
}

fn shortened(text: &str) -> String {
    if text.len() <= KEPT {
        text.to_owned()
    } else {
        format!("{}...", &text[..text.floor_char_boundary(KEPT)])
    }
}
