//! The lines of a profile: version, style, sections, rules.

use std::ops::Range;

use super::rule::{self, Rule, Verdict};
use crate::language::Diagnostic;

/// A profile as it is written.
pub(super) struct Profile {
    pub(super) denylist: bool,
    /// The line of the style.
    pub(super) style: Range<usize>,
    /// The action after the style, and its place.
    pub(super) default: Option<(Verdict, Range<usize>)>,
    pub(super) rules: Vec<Placed>,
}

/// A rule, and which calls it is for.
pub(super) struct Placed {
    pub(super) section: Section,
    pub(super) rule: Rule,
    /// What stands after `#` on its line; if nothing, the comment lines directly above it.
    pub(super) comment: Option<String>,
}

/// The architecture that rules are for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Section {
    /// The machine's own and those that it is compatible with.
    All,
    /// One, and the place of its heading.
    Named(&'static str, Range<usize>),
}

/// What LXC knows, each also in upper case.
const SECTIONS: [&str; 17] = [
    "all",
    "x86",
    "x32",
    "x86_64",
    "arm",
    "arm64",
    "ppc",
    "ppc64",
    "ppc64le",
    "mips",
    "mips64",
    "mips64n32",
    "mipsel",
    "mipsel64",
    "mipsel64n32",
    "s390",
    "s390x",
];

/// A line and where it begins.
type Line<'a> = (usize, &'a str);

/// Reads a profile; `None` where its head has errors.
pub(super) fn parse(text: &str, source: usize, errors: &mut Vec<Diagnostic>) -> Option<Profile> {
    let mut lines = lines(text).peekable();
    // LXC skips blank lines before the version and before the style, and nowhere else.
    let mut head = || lines.find(|(_, line)| !line.trim().is_empty());
    let (version, style) = (head(), head());
    match self::head(text, source, version, style) {
        Err(error) => {
            errors.push(error);
            None
        }
        Ok(Head { numbers: true, denylist, style, default }) => {
            let read = |line: Line| rule::number(line, source);
            let rules = body(lines, source, errors, read);
            Some(Profile { denylist, style, default, rules })
        }
        Ok(Head { numbers: false, denylist, style, default }) => {
            let read = |line: Line| rule::rule(line, source);
            let rules = body(lines, source, errors, read);
            Some(Profile { denylist, style, default, rules })
        }
    }
}

fn lines(text: &str) -> impl Iterator<Item = Line<'_>> {
    let mut start = 0;
    text.split_inclusive('\n').map(move |line| {
        let at = start;
        start += line.len();
        (at, line.trim_end())
    })
}

struct Head {
    /// Version 1: the rules are numbers.
    numbers: bool,
    denylist: bool,
    style: Range<usize>,
    default: Option<(Verdict, Range<usize>)>,
}

fn head(text: &str, source: usize, version: Option<Line>, style: Option<Line>) -> Result<Head, Diagnostic> {
    let end = text.len();
    let Some((at, version)) = version else {
        return Err(Diagnostic::error("the profile is empty", source, end..end, "no version")
            .help("a profile begins with `2` on a line and `allowlist` or `denylist` on the next"));
    };
    let numbers = match version.trim() {
        "1" => true,
        "2" => false,
        other => {
            let title = format!("`{other}` is no version of LXC's profiles");
            return Err(Diagnostic::error(title, source, span(at, version), "`1` or `2` is expected"));
        }
    };
    let Some((at, style)) = style else {
        return Err(Diagnostic::error("the profile has no style", source, end..end, "the text ends here")
            .help("write `allowlist` or `denylist` after the version"));
    };
    let wrong = |title: &str| Diagnostic::error(title, source, span(at, style), "this line");
    if style.contains("debug") {
        return Err(wrong("LXC has no `debug` style").help("take it away"));
    }
    let denylist = match style.split_whitespace().next() {
        Some("denylist" | "blacklist") if numbers => {
            return Err(
                wrong("version 1 has no `denylist`").help("write `2` as the version, and calls by name")
            );
        }
        Some("denylist" | "blacklist") => true,
        Some("allowlist" | "whitelist") => false,
        _ => {
            return Err(
                wrong("this is no style").help("write `allowlist` or `denylist`, then the default action")
            );
        }
    };
    let default = if numbers { None } else { rule::action_after_first_word((at, style), source)? };
    Ok(Head { numbers, denylist, style: span(at, style), default })
}

/// The lines below the head.
fn body<'a>(
    lines: impl Iterator<Item = Line<'a>>,
    source: usize,
    errors: &mut Vec<Diagnostic>,
    read: impl Fn(Line<'a>) -> Result<Rule, Diagnostic>,
) -> Vec<Placed> {
    let mut section = Section::All;
    let mut above: Vec<&str> = Vec::new();
    let mut rules = Vec::new();
    for (at, line) in lines {
        if let Some(comment) = line.strip_prefix('#') {
            above.push(comment);
            continue;
        }
        let comments = std::mem::take(&mut above);
        if line.is_empty() {
            continue;
        }
        if line.starts_with('[') {
            match heading((at, line), source) {
                Ok(found) => section = found,
                Err(error) => errors.push(error),
            }
            continue;
        }
        match read((at, line)) {
            Ok(rule) => {
                let own = line.split_once('#').map(|(_, comment)| vec![comment]);
                let comment = joined(&own.unwrap_or(comments));
                rules.push(Placed { section: section.clone(), rule, comment });
            }
            Err(error) => errors.push(error),
        }
    }
    rules
}

fn heading((at, line): Line, source: usize) -> Result<Section, Diagnostic> {
    let name = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')).unwrap_or_default();
    let known = SECTIONS.iter().find(|known| **known == name || known.to_uppercase() == name);
    match known {
        Some(&"all") => Ok(Section::All),
        Some(known) => Ok(Section::Named(known, span(at, line))),
        None => Err(Diagnostic::error(
            "unknown architecture",
            source,
            span(at, line),
            "LXC refuses this line",
        )
        .help("write `[all]`, `[x86_64]`, `[x86]`, `[x32]`, `[arm64]`, `[arm]` or another that LXC knows")),
    }
}

/// Comments as one sentence; `None` if they say nothing.
fn joined(comments: &[&str]) -> Option<String> {
    let words = comments.iter().flat_map(|comment| comment.trim_start_matches('#').split_whitespace());
    let words: Vec<&str> = words.collect();
    (!words.is_empty()).then(|| words.join(" "))
}

/// The place of a line without the white space around it.
pub(super) fn span(at: usize, line: &str) -> Range<usize> {
    let start = at + (line.len() - line.trim_start().len());
    start..start + line.trim().len()
}
