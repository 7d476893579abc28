//! `ringfence policy simulate`.

use std::fmt::Write as _;
use std::path::PathBuf;

use seccomp_policies::explain::Nearest;
use seccomp_policies::pattern::Answer;
use seccomp_policies::simulate::{Finding, Simulation, Tally, simulate};
use seccomp_policies::trace;

use super::input::Reading;
use super::{Error, explain, input};
use crate::cli::Outcome;
use crate::cli::output::{self, Reported};
use crate::cli::table::{self, Cell};

const EXAMPLES: &str = "\
TRACE is what strace wrote, with whatever options (-f, -o, -t, -r, -y, ...), or a list with a call on \
each line as `policy explain` takes it; - is standard input. What a trace does not show of an argument \
is open: such a call depends.

Exit codes: 0 every call is allowed; 1 some are refused; 2 the question cannot be answered; \
3 none is refused, and some depend.

Examples:
  ringfence policy simulate server.policy server.strace
  ringfence policy simulate server.policy calls.txt --json";

/// How many kinds of calls are shown without `--all`.
const SHOWN: usize = 20;

/// Arguments of `policy simulate`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The policy
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The calls
    #[arg(value_name = "TRACE")]
    trace: PathBuf,
    /// Show every kind of call that is not allowed, not just the first 20
    #[arg(long)]
    all: bool,
    /// For programs: one JSON object, with everything
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    reading: Reading,
}

pub(super) fn run(args: &Args) -> Result<Outcome, Error> {
    let policy = args.reading.policy(&args.file)?;
    let text = input::trace(&args.trace)?;
    let simulation = simulate(&policy, trace::calls(&text, args.reading.target()));
    if simulation.total == Tally::default() {
        return Err(Error::EmptyTrace { path: args.trace.clone() });
    }
    if args.json {
        output::json(&Reported::named("simulation", &simulation))?;
    } else {
        output::print(summary(&simulation).as_bytes())?;
        let shown = if args.all { usize::MAX } else { SHOWN };
        output::print(findings(&simulation.findings, shown).as_bytes())?;
        output::say(&unused(&simulation));
    }
    Ok(explain::outcome(simulation.answer))
}

fn summary(simulation: &Simulation) -> String {
    let row = |name: &str, tally: &Tally| {
        let counts = [tally.allowed, tally.depends, tally.refused].map(Cell::from);
        std::iter::once(Cell::from(name)).chain(counts).collect()
    };
    let mut rows: Vec<_> = simulation.by_call.iter().map(|(name, tally)| row(name, tally)).collect();
    rows.push(row("all", &simulation.total));
    table::text(&["call", "allowed", "depends", "refused"], rows)
}

fn findings(findings: &[Finding], shown: usize) -> String {
    let mut text = String::new();
    for finding in findings.iter().take(shown) {
        text.push('\n');
        text.push_str(&described(finding));
    }
    if let Some(more) = findings.len().checked_sub(shown).filter(|more| *more > 0) {
        let _ = writeln!(text, "\n{more} more kinds of calls are not allowed; --all shows them");
    }
    text
}

fn described(finding: &Finding) -> String {
    let times = if finding.count == 1 { String::new() } else { format!(", {} times", finding.count) };
    let mut text = format!("line {}{times}: {}\n", finding.line, finding.call);
    let actions: Vec<_> = finding.deciders.iter().map(|decider| decider.action.as_str()).collect();
    let _ = match (&finding.nearest, finding.answer) {
        (Some(Nearest { rule, failed }), _) => {
            let failed =
                if failed.is_empty() { String::new() } else { format!("; here {}", failed.join(", ")) };
            writeln!(
                text,
                "  refused ({}); nearest rule: {rule}\n  at {}{failed}",
                actions.join(", "),
                rule.place
            )
        }
        (None, Answer::Refused) => writeln!(text, "  refused ({}); no rule allows it", actions.join(", ")),
        (None, _) => writeln!(text, "  depends on what the trace does not show: {}", actions.join(", ")),
    };
    text
}

/// What of the trace was not used.
fn unused(simulation: &Simulation) -> String {
    let mut text = String::new();
    if let Some(first) = simulation.skipped.first() {
        let count = simulation.skipped.len();
        let _ = writeln!(
            text,
            "lines that are no calls: {count}, the first at line {}: {}",
            first.line, first.why
        );
    }
    if !simulation.not_understood.is_empty() {
        let _ = writeln!(text, "taken as open: {}", simulation.not_understood.join(", "));
    }
    text
}
