//! `ringfence policy diff`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use seccomp_policies::diff::{Diff, Extras, diff};

use super::Error;
use super::input::Reading;
use crate::cli::Outcome;
use crate::cli::output::{self, Reported};

const EXAMPLES: &str = "\
Compares what the policies mean, whatever their words, order and formats. A call that is carried out \
and logged counts as allowed. For files of several threads, --role NAME chooses in both.

Exit codes: 0 both allow the same calls (--at-most: A allows nothing that B refuses; --actions: both \
answer every call alike); 1 they differ; 2 a policy cannot be read.

Examples:
  ringfence policy diff vcpu.policy vcpu.policy
  ringfence policy diff --at-most server.policy base.policy
  ringfence policy diff --actions --json server.policy server.policy";

/// Columns that a list of names takes at most.
const COLUMNS: usize = 96;

/// Arguments of `policy diff`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// A policy
    #[arg(value_name = "A")]
    left: PathBuf,
    /// The policy that it is compared with
    #[arg(value_name = "B")]
    right: PathBuf,
    /// Ask only whether A allows at most what B allows
    #[arg(long, conflicts_with = "actions")]
    at_most: bool,
    /// Compare answers too: errors, traps and kills of refused calls
    #[arg(long)]
    actions: bool,
    /// For programs: one JSON object, with everything
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    reading: Reading,
}

pub(super) fn run(args: &Args) -> Result<Outcome, Error> {
    let left = args.reading.policy(&args.left)?;
    let right = args.reading.policy(&args.right)?;
    let diff = diff(&left, &right);
    if args.json {
        output::json(&Reported::named("difference", &diff))?;
    } else {
        output::print(args.text(&diff).as_bytes())?;
    }
    Ok(if args.is_met(&diff) { Outcome::Done } else { Outcome::Deficient })
}

impl Args {
    fn is_met(&self, diff: &Diff) -> bool {
        if self.at_most {
            return diff.left_alone.is_empty();
        }
        diff.allows_the_same() && (!self.actions || diff.answers.is_empty())
    }

    fn text(&self, diff: &Diff) -> String {
        let mut text = alone(&self.left, &diff.left_alone);
        if !self.at_most {
            text.push_str(&alone(&self.right, &diff.right_alone));
        }
        if text.is_empty() {
            text.push_str(if self.at_most {
                "A allows nothing that B refuses\n"
            } else {
                "both allow the same calls\n"
            });
        }
        if self.actions {
            for answer in &diff.answers {
                let _ = writeln!(text, "{} in A, {} in B:", answer.left, answer.right);
                text.push_str(&listed(&answer.calls));
            }
        } else if !self.at_most && !diff.answers.is_empty() {
            text.push_str("they answer some calls differently that both allow or both refuse: --actions\n");
        }
        text
    }
}

fn alone(path: &Path, extras: &Extras) -> String {
    if extras.is_empty() {
        return String::new();
    }
    format!("allowed by {} alone:\n{}", path.display(), listed(extras))
}

/// First the calls with tests, one on a line, then the names of those without.
fn listed(extras: &Extras) -> String {
    let mut text = String::new();
    let mut whole = Vec::new();
    for extra in &extras.calls {
        let _ = match (&extra.expression, &extra.example) {
            (Some(expression), _) if expression.is_empty() => {
                whole.push(extra.call.as_str());
                Ok(())
            }
            (Some(expression), _) => writeln!(text, "  {}: {expression}", extra.call),
            (None, Some(example)) => {
                writeln!(text, "  {}: too much to write down; {example} for one", extra.call)
            }
            (None, None) => writeln!(text, "  {}: too much to write down", extra.call),
        };
    }
    text.push_str(&names(&whole));
    if let Some((first, _)) = extras.numbers.first() {
        let _ = writeln!(text, "  numbers that no call has, from {first} on");
    }
    text
}

/// Names on as few lines as they need.
fn names(names: &[&str]) -> String {
    let mut text = String::new();
    let mut line = String::new();
    for (index, name) in names.iter().enumerate() {
        let comma = if index + 1 < names.len() { "," } else { "" };
        if line.len() + name.len() + 2 > COLUMNS {
            let _ = writeln!(text, " {line}");
            line.clear();
        }
        let _ = write!(line, " {name}{comma}");
    }
    if !line.is_empty() {
        let _ = writeln!(text, " {line}: whatever the arguments");
    }
    text
}
