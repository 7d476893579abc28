//! The report for people, 80 columns wide.
#![forbid(unsafe_code)]

use std::fmt::{self, Display};

use super::{Check, Job, Report, State};

const WIDTH: usize = 80;
/// Columns before the text of a check: two, and the state.
const INDENT: usize = 11;

/// Shows a report as text.
#[derive(Debug)]
pub struct Text<'a>(pub &'a Report);

impl Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for job in [Job::Run, Job::Audit, Job::Measure] {
            writeln!(f, "{}", title(job))?;
            self.0.checks.iter().filter(|check| check.job == job).try_for_each(|check| show(f, check))?;
            writeln!(f)?;
        }
        f.write_str(if self.0.can_run {
            "Guests can be run here.\n"
        } else {
            "Guests cannot be run here: see what is missing above.\n"
        })
    }
}

fn title(job: Job) -> &'static str {
    match job {
        Job::Run => "run: a guest image, every thread of the monitor confined",
        Job::Audit => "audit: what threads may do, and what they do",
        Job::Measure => "measure: what confinement costs",
    }
}

fn show(f: &mut fmt::Formatter<'_>, check: &Check) -> fmt::Result {
    let state = match check.state {
        State::Ok => "ok",
        State::Limited => "limited",
        State::Missing => "MISSING",
    };
    let text = format!("{}: {}; {}", check.name, check.found, check.meaning);
    paragraph(f, &format!("  {state:<9}"), &text)?;
    match &check.remedy {
        Some(remedy) => paragraph(f, &" ".repeat(INDENT), &format!("-> {remedy}")),
        None => Ok(()),
    }
}

/// Breaks `text` at spaces; `lead` stands before the first line, as many spaces before the others.
fn paragraph(f: &mut fmt::Formatter<'_>, lead: &str, text: &str) -> fmt::Result {
    let mut column = INDENT;
    f.write_str(lead)?;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if column > INDENT && column + 1 + length > WIDTH {
            write!(f, "\n{:INDENT$}", "")?;
            column = INDENT;
        } else if column > INDENT {
            f.write_str(" ")?;
            column += 1;
        }
        f.write_str(word)?;
        column += length;
    }
    writeln!(f)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(checks: Vec<Check>) -> Report {
        Report { can_run: checks.iter().all(|check| check.state != State::Missing), checks }
    }

    #[test]
    fn lines_are_broken_at_80_columns_and_indented() {
        let long = "word ".repeat(40);
        let check = Check::ok(Job::Run, "thing", long.clone(), "meaning").lack(State::Missing, long);
        let text = Text(&report(vec![check])).to_string();
        let lines: Vec<&str> = text.lines().filter(|line| line.contains("word")).collect();
        assert!(lines.iter().all(|line| line.chars().count() <= 80), "{text}");
        assert!(lines[1..].iter().all(|line| line.starts_with("           ")), "{text}");
        assert!(lines.iter().any(|line| line.chars().count() > 75), "lines are filled: {text}");
    }

    #[test]
    fn each_check_shows_state_finding_meaning_and_remedy() {
        let check =
            Check::ok(Job::Audit, "tracefs", "not mounted", "no counts").lack(State::Limited, "mount it");
        let text = Text(&report(vec![check])).to_string();
        assert!(
            text.contains("  limited  tracefs: not mounted; no counts\n           -> mount it\n"),
            "{text}"
        );
        assert!(text.ends_with("Guests can be run here.\n"));
    }

    #[test]
    fn missing_need_of_a_run_is_said_at_the_end() {
        let check = Check::ok(Job::Run, "KVM", "absent", "no guests").lack(State::Missing, "get one");
        assert!(Text(&report(vec![check])).to_string().contains("Guests cannot be run here"));
    }
}
