//! The canonical layout of a policy's text.
//!
//! Reasons and comments at line ends stand in one column within a block (the lines between two blank lines); long
//! rules break at their operators; comments, blank lines, numbers' bases and the writer's parentheses stay.

use super::check::outer;
use super::diagnostics::{Diagnostic, Diagnostics, Source};
use super::limits::{MAX_BYTES, MAX_FINDINGS};
use super::lines::{Piece, outline};
use super::parser;
use super::syntax::{Expression, Item, ItemKind, RuleSyntax, Span};

/// A rule that would be wider than this goes over several lines.
const WIDTH: usize = 100;
/// Code wider than this does not push the block's reasons to the right.
const ALIGNED: usize = 72;
/// Before a line that goes on with a rule.
const INDENT: &str = "    ";

/// A piece of the text, ready to be laid out.
enum Entry {
    Blank,
    Comment(String),
    Item { code: Vec<String>, tail: Vec<String> },
}

/// The text in canonical layout. Its meaning is the same, and formatting it again changes nothing.
///
/// # Errors
/// Text that cannot be parsed, or that is larger than any policy; whether it holds is not asked.
pub fn format(name: &str, text: &str) -> Result<String, Diagnostics> {
    if text.len() > MAX_BYTES {
        let title = format!("{name} is larger than {} MiB, which no policy is", MAX_BYTES >> 20);
        return Err(Diagnostics::new(vec![Diagnostic::unplaced(title)], Vec::new()));
    }
    laid_out(name, text)
}

/// The same for a text of any size.
pub(super) fn laid_out(name: &str, text: &str) -> Result<String, Diagnostics> {
    let mut errors = Vec::new();
    let mut entries = Vec::new();
    for piece in outline(text) {
        if errors.len() > MAX_FINDINGS {
            break;
        }
        match piece {
            Piece::Blank => entries.push(Entry::Blank),
            Piece::Comment(span) => entries.push(Entry::Comment(text[span].to_owned())),
            Piece::Item(lines) => match parser::item(text, 0, &lines) {
                Ok((item, lexed)) => {
                    entries.extend(item_entries(text, &item, lines.comments, lexed.comments));
                }
                Err(error) => errors.push(error),
            },
        }
    }
    if errors.is_empty() { Ok(layout(&entries)) } else { Err(diagnostics(name, text, errors)) }
}

fn diagnostics(name: &str, text: &str, errors: Vec<Diagnostic>) -> Diagnostics {
    Diagnostics::first(
        errors,
        vec![Source { name: name.to_owned(), shown: name.to_owned(), text: text.to_owned() }],
    )
}

/// An item with its comments: those between its lines go above it, and so do those at line ends but the last, if that
/// can stay where it is.
fn item_entries(text: &str, item: &Item, between: Vec<Span>, mut at_ends: Vec<Span>) -> Vec<Entry> {
    let words = |span: Span| text[span].to_owned();
    let tail = match &item.reason {
        Some(reason) => reason_lines(&reason.lines),
        None => at_ends.pop().map(words).into_iter().collect(),
    };
    let mut above: Vec<Span> = between.into_iter().chain(at_ends).collect();
    above.sort_by_key(|span| span.start);
    let above = above.into_iter().map(|span| Entry::Comment(words(span)));
    above.chain([Entry::Item { code: code(&item.kind), tail }]).collect()
}

/// `-- ` before the first line of a reason, and as much space before the others.
fn reason_lines(lines: &[String]) -> Vec<String> {
    let mut words = lines.iter().filter(|line| !line.is_empty());
    let first = words.next().map_or_else(|| "--".to_owned(), |line| format!("-- {line}"));
    std::iter::once(first).chain(words.map(|line| format!("   {line}"))).collect()
}

/// The lines of an item's code.
fn code(kind: &ItemKind) -> Vec<String> {
    let line = match kind {
        ItemKind::Role(name) => format!("role {}", name.text),
        ItemKind::Tier(name) => format!("tier {}", name.text),
        ItemKind::Otherwise(verdict) => format!("otherwise {verdict}"),
        ItemKind::Slot { name, first, last: None } => format!("fd {} = {}", name.text, first.text),
        ItemKind::Slot { name, first, last: Some(last) } => {
            format!("fd {} = {}..{}", name.text, first.text, last.text)
        }
        ItemKind::Include(path) => format!("include \"{}\"", path.text),
        ItemKind::Frequency(path) => format!("frequency \"{}\"", path.text),
        ItemKind::Rule(rule) => return rule_code(rule),
    };
    vec![line]
}

fn rule_code(rule: &RuleSyntax) -> Vec<String> {
    let call = rule.call.text.strip_prefix("sys_").unwrap_or(&rule.call.text);
    let arch = rule.arch.as_ref().map(|arch| format!(" on {}", arch.text)).unwrap_or_default();
    let verdict = rule.verdict.as_ref().map(|verdict| format!(" {verdict}")).unwrap_or_default();
    let head = format!("{call}{arch}:{verdict}");
    let Some(expression) = &rule.expression else { return vec![head] };
    let head = format!("{head}{} ", if rule.verdict.is_some() { " if" } else { "" });
    let expression = outer(expression);
    let line = format!("{head}{expression}");
    if line.chars().count() <= WIDTH {
        return vec![line];
    }
    let (parts, operator) = match expression {
        Expression::Or(parts) => (parts.as_slice(), "|| "),
        Expression::And(parts) => (parts.as_slice(), "&& "),
        other => (std::slice::from_ref(other), ""),
    };
    let mut lines = Vec::new();
    for (index, part) in parts.iter().enumerate() {
        let start = if index == 0 { head.clone() } else { format!("{INDENT}{operator}") };
        lines.extend(filled(&format!("{start}{part}")));
    }
    lines
}

/// A line of code, broken before operators and after commas where it is too wide.
fn filled(line: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut current = String::new();
    for word in words(line) {
        let width = current.trim_end().chars().count() + word.trim_end().chars().count();
        if width > WIDTH && !current.trim().is_empty() {
            lines.push(current.trim_end().to_owned());
            current = format!("{INDENT}{INDENT}");
        }
        current.push_str(word);
    }
    lines.push(current.trim_end().to_owned());
    lines
}

/// The stretches of a line that must not be broken.
fn words(line: &str) -> Vec<&str> {
    let mut breaks: Vec<usize> = [" && ", " || "]
        .into_iter()
        .flat_map(|operator| line.match_indices(operator).map(|(at, _)| at + 1))
        .chain(line.match_indices(", ").map(|(at, _)| at + 2))
        .collect();
    breaks.sort_unstable();
    breaks.push(line.len());
    let mut start = 0;
    let word = |end| {
        let word = &line[start..end];
        start = end;
        word
    };
    breaks.into_iter().map(word).collect()
}

/// Puts the entries under each other, one blank line at most between two, none at the ends.
fn layout(entries: &[Entry]) -> String {
    let blocks = entries.split(|entry| matches!(entry, Entry::Blank)).filter(|block| !block.is_empty());
    let blocks: Vec<String> = blocks.map(block).collect();
    blocks.join("\n")
}

/// Lines without a blank one between them; their reasons and comments stand in one column.
fn block(entries: &[Entry]) -> String {
    let last_width = |code: &[String]| code.last().map_or(0, |line| line.chars().count());
    let widths = entries.iter().filter_map(|entry| match entry {
        Entry::Item { code, tail } if !tail.is_empty() => Some(last_width(code)),
        _ => None,
    });
    let column = widths.filter(|width| *width <= ALIGNED).max().unwrap_or(0);
    let mut out = String::new();
    for entry in entries {
        match entry {
            Entry::Blank => {}
            Entry::Comment(text) => {
                out.push_str(text);
                out.push('\n');
            }
            Entry::Item { code, tail } => {
                out.push_str(&code.join("\n"));
                let mut column = column.max(last_width(code)) + 2;
                let mut at = last_width(code);
                for line in tail {
                    out.extend(std::iter::repeat_n(' ', column - at));
                    out.push_str(line);
                    out.push('\n');
                    // A word may be as long as the text, and as much white space before each line the square of that.
                    column = column.min(WIDTH + 2);
                    at = 0;
                }
                if tail.is_empty() {
                    out.push('\n');
                }
            }
        }
    }
    out
}
