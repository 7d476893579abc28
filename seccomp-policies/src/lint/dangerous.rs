//! Calls that a confined program seldom needs: `dangerous.tsv`.

use super::allowed::{Allowed, Part};
use super::{Finding, Lint};

/// A row of the table.
struct Row {
    call: &'static str,
    /// The argument whose test shows that the writer has chosen.
    argument: Option<&'static str>,
    why: &'static str,
}

fn rows() -> impl Iterator<Item = Row> {
    let lines = include_str!("dangerous.tsv").lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| {
        let mut columns = line.split('\t');
        let (call, argument, why) = (columns.next()?, columns.next()?, columns.next()?);
        Some(Row { call, argument: Some(argument).filter(|argument| *argument != "-"), why })
    })
}

pub(super) fn calls(allowed: &Allowed) -> Vec<Finding> {
    let rows: Vec<Row> = rows().collect();
    let found = allowed.parts.iter().filter_map(|part| {
        let row = rows.iter().find(|row| row.call == part.call.name && !is_chosen(row, part))?;
        let title = format!("`{}` is allowed: it {}", row.call, row.why);
        let title = if row.why == "old" {
            format!("`{}` is allowed, which no program needs any more", row.call)
        } else {
            title
        };
        let help = match (part.is_unnamed(), row.argument) {
            (true, _) => format!("refuse it by a rule, as in `{}: errno EPERM -- ...`", row.call),
            (false, Some(argument)) => format!("allow what is needed of it, by tests of `{argument}`"),
            (false, None) => {
                "take the rule away, or keep the call to a thread that does nothing else".to_owned()
            }
        };
        Some(part.finding(Lint::DangerousCall, title, "allowed here", help))
    });
    found.collect()
}

/// Whether the rule says which of the call's doings it allows.
fn is_chosen(row: &Row, part: &Part) -> bool {
    let register = row.argument.and_then(|argument| part.call.argument(argument));
    register.is_some_and(|(register, _)| part.calls.looks_at(register))
}

#[cfg(test)]
mod tests {
    use super::rows;
    use crate::syscalls::{Arch, by_name};

    #[test]
    fn every_row_is_about_a_call_and_an_argument_that_exist() {
        let mut count = 0;
        for row in rows() {
            let call = by_name(Arch::X86_64, row.call).unwrap_or_else(|| panic!("no call {}", row.call));
            if let Some(argument) = row.argument {
                assert!(call.argument(argument).is_some(), "{} has no {argument}", row.call);
            }
            assert!(!row.why.is_empty() && !row.why.ends_with('.'), "{}", row.call);
            count += 1;
        }
        assert!(count > 40, "{count}");
    }
}
