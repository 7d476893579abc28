//! Files of measured counts, `CALL: COUNT` on each line.

use std::collections::BTreeMap;

use super::lexer::{self, Kind, Statement};
use super::value;
use crate::language::Diagnostic;

/// Adds the counts of a file to those known.
pub(super) fn read(
    text: &str,
    source: usize,
    counts: &mut BTreeMap<String, u64>,
    errors: &mut Vec<Diagnostic>,
) {
    for statement in lexer::statements(text, source) {
        match count(statement, source) {
            Ok((call, count)) => {
                let sum = counts.entry(call).or_default();
                *sum = sum.saturating_add(count);
            }
            Err(error) => errors.push(error),
        }
    }
}

fn count(statement: Statement, source: usize) -> Result<(String, u64), Diagnostic> {
    if let Some(error) = statement.error {
        return Err(error);
    }
    if let [call, colon, count] = statement.tokens.as_slice()
        && (call.kind, count.kind) == (Kind::Word, Kind::Number)
        && colon.is_symbol(":")
        && !count.text.starts_with('-')
        && let Ok(count) = value::number(count.text)
    {
        return Ok((call.text.to_owned(), count));
    }
    let span = statement.tokens.first().map_or(0, |token| token.span.start)
        ..statement.tokens.last().map_or(0, |token| token.span.end);
    Err(Diagnostic::error("this is no count of a call", source, span, "not `CALL: COUNT`")
        .help("a frequency file has lines such as `read: 407296`"))
}
