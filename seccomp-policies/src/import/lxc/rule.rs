//! One rule: a call, what is answered, and comparisons in brackets.

use std::ops::Range;

use super::parser::span;
use crate::language::{Condition, Diagnostic, Relation, Test, Width};

/// A rule as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) call: Called,
    /// The call's place.
    pub(super) call_span: Range<usize>,
    pub(super) verdict: Option<(Verdict, Range<usize>)>,
    pub(super) comparisons: Vec<Comparison>,
    /// The whole rule, without its comment.
    pub(super) span: Range<usize>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Called {
    Number(u32),
    Name(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Allow,
    Kill,
    /// `kill_process`, of which LXC reads the first four letters.
    KillProcess,
    Trap,
    Notify,
    Errno(u16),
}

/// `[INDEX,VALUE,OPERATOR,MASK]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Comparison {
    pub(super) argument: u8,
    pub(super) condition: Condition,
    pub(super) span: Range<usize>,
}

/// A line of version 1. LXC reads the number at its beginning and no more.
pub(super) fn number((at, line): (usize, &str), source: usize) -> Result<Rule, Diagnostic> {
    let digits = line.trim_start().split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
    let start = span(at, line).start;
    let call_span = start..start + digits.len();
    match digits.parse() {
        Ok(number) => Ok(Rule {
            call: Called::Number(number),
            call_span: call_span.clone(),
            verdict: None,
            comparisons: Vec::new(),
            span: call_span,
        }),
        Err(_) => {
            Err(Diagnostic::error("version 1 lists calls by number", source, span(at, line), "no number")
                .help("write `2` as the version to list calls by name"))
        }
    }
}

/// A line of version 2.
pub(super) fn rule((at, line): (usize, &str), source: usize) -> Result<Rule, Diagnostic> {
    let code = line.split_once('#').map_or(line, |(code, _)| code).trim_end();
    if code.starts_with(char::is_whitespace) || code.is_empty() {
        return Err(Diagnostic::error(
            "LXC skips a rule that is indented",
            source,
            span(at, line),
            "this rule",
        )
        .help("begin it in the first column"));
    }
    let name = code.split([' ', '[']).next().unwrap_or_default();
    let call_span = at..at + name.len();
    let rest = &code[name.len()..];
    if rest.starts_with('[') {
        return Err(no_action(source, at + name.len()));
    }
    let bracket = rest.find('[').map_or(code.len(), |bracket| name.len() + bracket);
    let verdict = action_after_first_word((at, &code[..bracket]), source)?;
    if verdict.is_none() && bracket < code.len() {
        return Err(no_action(source, at + bracket));
    }
    let comparisons = comparisons(&code[bracket..], at + bracket, source)?;
    let call = Called::Name(name.to_owned());
    Ok(Rule { call, call_span, verdict, comparisons, span: at..at + code.len() })
}

fn no_action(source: usize, at: usize) -> Diagnostic {
    Diagnostic::error("comparisons need an action before them", source, at..at + 1, "LXC refuses this")
        .help("as in `kill errno 1 [1,9,==]`")
}

/// The action that follows the first word of a line, if one does.
pub(super) fn action_after_first_word(
    (at, line): (usize, &str),
    source: usize,
) -> Result<Option<(Verdict, Range<usize>)>, Diagnostic> {
    let mut words = words(at, line).skip(1);
    let Some((place, word)) = words.next() else { return Ok(None) };
    let verdict = match word {
        "allow" => Verdict::Allow,
        "kill" => Verdict::Kill,
        "kill_process" => Verdict::KillProcess,
        "trap" => Verdict::Trap,
        "notify" => Verdict::Notify,
        "errno" => {
            let (place, number) = words.next().unwrap_or((place.end..place.end, ""));
            Verdict::Errno(errno(number, source, place)?)
        }
        other => {
            let title = format!("LXC has no action `{other}`");
            return Err(Diagnostic::error(title, source, place, "not known")
                .help("actions are `allow`, `errno NUMBER`, `kill`, `trap` and `notify`"));
        }
    };
    let end = match verdict {
        Verdict::Errno(_) => span(at, line).end,
        _ => place.end,
    };
    match words.next() {
        Some((extra, _)) => {
            Err(Diagnostic::error("nothing is expected here", source, extra, "one word too many"))
        }
        None => Ok(Some((verdict, place.start..end))),
    }
}

fn errno(text: &str, source: usize, place: Range<usize>) -> Result<u16, Diagnostic> {
    text.parse().map_err(|_| {
        Diagnostic::error("`errno` needs a number", source, place, "not one")
            .help("as in `errno 1` for EPERM")
    })
}

/// The words of a line with their places.
fn words(at: usize, line: &str) -> impl Iterator<Item = (Range<usize>, &str)> {
    let start = line.as_ptr() as usize;
    line.split_whitespace().map(move |word| {
        let from = at + (word.as_ptr() as usize - start);
        (from..from + word.len(), word)
    })
}

fn comparisons(text: &str, at: usize, source: usize) -> Result<Vec<Comparison>, Diagnostic> {
    let mut found = Vec::new();
    let mut rest = text;
    while !rest.trim_start().is_empty() {
        let start = at + (text.len() - rest.trim_start().len());
        rest = rest.trim_start();
        let inner = rest.strip_prefix('[').and_then(|inner| inner.split_once(']'));
        let Some((inner, after)) = inner else {
            return Err(malformed(source, start..start + rest.len()));
        };
        let span = start..start + inner.len() + 2;
        let comparison = comparison(inner).ok_or_else(|| malformed(source, span.clone()))?;
        found.push(Comparison { span, ..comparison });
        rest = after;
    }
    Ok(found)
}

fn malformed(source: usize, span: Range<usize>) -> Diagnostic {
    Diagnostic::error("this is no comparison", source, span, "not `[INDEX,VALUE,OPERATOR]`").help(
        "as in `[1,0x5401,==]`, with an index from 0 to 5 and `==`, `!=`, `<`, `<=`, `>`, `>=` or a mask: \
         `[1,VALUE,&=,MASK]`",
    )
}

/// `INDEX,VALUE,OPERATOR,MASK`; the mask belongs to `&=` alone, and other operators leave it unread.
fn comparison(text: &str) -> Option<Comparison> {
    let mut parts = text.split(',').map(str::trim);
    let (index, value, operator, mask) = (parts.next()?, parts.next()?, parts.next()?, parts.next());
    if parts.next().is_some() {
        return None;
    }
    let argument = u8::try_from(number_of_any_base(index)?).ok().filter(|index| *index < 6)?;
    let value = number_of_any_base(value)?;
    let mask = mask.map_or(Some(0), number_of_any_base)?;
    let condition = condition(argument, operator, value, mask)?;
    Some(Comparison { argument, condition, span: 0..0 })
}

/// libseccomp compares the whole register without signs, and cuts the value to the mask.
fn condition(argument: u8, operator: &str, value: u64, mask: u64) -> Option<Condition> {
    let relation = match operator {
        "SCMP_CMP_NE" | "!=" => Relation::NotEqual(value),
        "SCMP_CMP_LT" | "<" => Relation::Less(value),
        "SCMP_CMP_LE" | "<=" => Relation::LessOrEqual(value),
        "SCMP_CMP_EQ" | "==" => Relation::Equal(value),
        "SCMP_CMP_GE" | ">=" => Relation::GreaterOrEqual(value),
        "SCMP_CMP_GT" | ">" => Relation::Greater(value),
        "SCMP_CMP_MASKED_EQ" | "&=" if mask == 0 => return Some(Condition::Always),
        "SCMP_CMP_MASKED_EQ" | "&=" => Relation::Masked { mask, value: value & mask },
        _ => return None,
    };
    Some(Condition::Test(Test { argument, width: Width::Bits64, relation }))
}

/// A number as strtoull(3) reads it with base 0.
fn number_of_any_base(text: &str) -> Option<u64> {
    let (digits, radix) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None if text.len() > 1 && text.starts_with('0') => (text, 8),
        None => (text, 10),
    };
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
        return None;
    }
    u64::from_str_radix(digits, radix).ok()
}
