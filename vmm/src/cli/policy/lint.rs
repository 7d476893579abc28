//! `ringfence policy lint`.

use std::path::{Path, PathBuf};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use seccomp_policies::language::Policy;
use seccomp_policies::lint::{self, Findings, Lint, Used};
use serde::Serialize;

use super::Error;
use super::check::Finding;
use super::input::{self, Reading};
use crate::cli::Outcome;
use crate::cli::output::{self, Reported};
use crate::cli::sarif::{Level, Log, Problem, Rule};

const EXAMPLES: &str = "\
Findings are warnings: the policy holds, and may be meant so. --allow turns a kind off by its name:
  open-descriptor    a call on a descriptor, whichever it is
  unpinned-argument  ioctl, mmap, prctl, socket and such, asked to do anything
  dangerous-call     a call by which others broke out, or that few programs need
  executable-memory  mmap or mprotect that may make memory executable
  new-namespace      clone that may make namespaces, and every clone3
  hidden-failure     an answer that keeps a refusal from being noticed
  missing-restart    a wait that restart_syscall continues, which is refused
  unused-rule        a rule for a call that no --profile has

Exit codes: 0 nothing was found; 1 something was; 2 a policy cannot be read.

Examples:
  ringfence policy lint vcpu.policy
  ringfence policy lint web.policy --profile web.profile --allow open-descriptor
  ringfence policy lint server.policy --allow open-descriptor --json
  ringfence policy lint vcpu.policy --sarif";

/// Version of the shape of the JSON; it changes when a member changes its meaning or goes away.
const SCHEMA: u32 = 1;

/// Arguments of `policy lint`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The policies
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// A kind of finding to leave out; may be given several times
    #[arg(long, value_name = "KIND", value_parser = lint_parser(), hide_possible_values = true)]
    allow: Vec<Lint>,
    /// Counts of calls; a rule for a call that none of them has is unused. May be given several times
    #[arg(long, value_name = "FILE")]
    profile: Vec<PathBuf>,
    /// For programs: one JSON object
    #[arg(long)]
    json: bool,
    /// For code hosts: the findings as SARIF
    #[arg(long, conflicts_with = "json")]
    sarif: bool,
    #[command(flatten)]
    reading: Reading,
}

pub(super) fn run(args: &Args) -> Result<Outcome, Error> {
    let used = used(&args.profile)?;
    let mut linted = Vec::new();
    for file in &args.files {
        let imported = args.reading.file(file)?;
        for policy in imported.policies {
            let findings = lint::lint(&policy, imported.notes.sources(), used.as_ref(), &args.allow);
            linted.push((file.as_path(), policy, findings));
        }
    }
    let count: usize = linted.iter().map(|(_, _, findings)| findings.lints.len()).sum();
    if args.json {
        let policies =
            linted.iter().map(|(file, policy, findings)| Linted::new(file, policy, findings)).collect();
        output::json(&Reported::named("lint", &Report { schema: SCHEMA, policies }))?;
    } else if args.sarif {
        let problems = linted.iter().flat_map(|(_, _, findings)| problems(findings)).collect();
        output::json(&Log::new(
            &Lint::ALL.map(|lint| Rule { id: lint.name(), text: lint.meaning() }),
            problems,
        ))?;
    } else {
        for (_, _, findings) in &linted {
            output::print_findings(&findings.diagnostics)?;
        }
        output::say(&summary(count, linted.len()));
    }
    Ok(if count == 0 { Outcome::Done } else { Outcome::Deficient })
}

/// What was found in a policy, at the places of its text.
fn problems(findings: &Findings) -> impl Iterator<Item = Problem> {
    let sources = findings.diagnostics.sources();
    findings.lints.iter().zip(findings.diagnostics.iter()).map(move |(lint, found)| {
        let place = found.labels.first().map(|label| (&sources[label.source], &label.span));
        Problem {
            rule: lint.name(),
            level: Level::Warning,
            message: [std::slice::from_ref(&found.title), &found.help].concat().join("; "),
            file: place.map(|(source, _)| source.shown.clone()),
            region: place.map(|(source, span)| [span.start, span.end].map(|byte| source.position(byte))),
            subject: None,
        }
    })
}

/// What the profiles have counted; `None` without profiles.
fn used(profiles: &[PathBuf]) -> Result<Option<Used>, Error> {
    let mut used = Used::default();
    for path in profiles {
        let counts = input::profile(path)?.counts.into_iter();
        used.calls.extend(counts.filter(|(_, count)| *count > 0).map(|(call, _)| call));
    }
    Ok((!profiles.is_empty()).then_some(used))
}

fn lint_parser() -> impl TypedValueParser<Value = Lint> {
    PossibleValuesParser::new(Lint::ALL.map(Lint::name))
        .map(|name| Lint::from_name(&name).expect("the parser lets no other name through"))
}

fn summary(findings: usize, policies: usize) -> String {
    let policies = if policies == 1 { "one policy".to_owned() } else { format!("{policies} policies") };
    match findings {
        0 => format!("nothing found in {policies}\n"),
        1 => format!("1 finding in {policies}\n"),
        several => format!("{several} findings in {policies}\n"),
    }
}

#[derive(Serialize)]
struct Report<'a> {
    schema: u32,
    policies: Vec<Linted<'a>>,
}

#[derive(Serialize)]
struct Linted<'a> {
    file: &'a Path,
    role: &'a str,
    findings: Vec<Named>,
}

/// A finding with the name of its kind.
#[derive(Serialize)]
struct Named {
    lint: &'static str,
    #[serde(flatten)]
    finding: Finding,
}

impl<'a> Linted<'a> {
    fn new(file: &'a Path, policy: &'a Policy, findings: &Findings) -> Self {
        let among = &findings.diagnostics;
        let named =
            |(lint, finding): (&Lint, _)| Named { lint: lint.name(), finding: Finding::new(finding, among) };
        Self {
            file,
            role: &policy.role,
            findings: findings.lints.iter().zip(among.iter()).map(named).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_has_every_kind_with_its_meaning() {
        for lint in Lint::ALL {
            let line = format!("\n  {:<18} {}\n", lint.name(), lint.meaning());
            assert!(EXAMPLES.contains(&line), "{line}");
        }
    }
}
