//! `ringfence policy check`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use seccomp_policies::compile::{self, Weights, bitmask, optimize};
use seccomp_policies::language::{self, Checked, Diagnostic, Diagnostics, Severity, Tier};
use seccomp_policies::syscalls::Arch;
use serde::Serialize;

use super::{Error, output, target_parser};
use crate::cli::Outcome;

const EXAMPLES: &str = "Findings go to standard error; the exit code is 1 if a policy does not hold.

Examples:
  ringfence policy check seccomp-policies/policies/vcpu.policy
  ringfence policy check --json *.policy
  ringfence policy check --target aarch64 net.policy";

/// Arguments of `policy check`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The policies
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// For programs: one JSON array, an object for each policy
    #[arg(long)]
    json: bool,
    /// The architecture that the policies are for
    #[arg(long, value_name = "ARCH", default_value = "x86_64", value_parser = target_parser())]
    target: Arch,
}

pub(super) fn run(args: &Args) -> Result<Outcome, Error> {
    let reports: Vec<_> = args.files.iter().map(|file| check(file, args.target, args.json)).collect();
    if args.json {
        let mut text = serde_json::to_string_pretty(&reports).expect("plain data");
        text.push('\n');
        output::print(text.as_bytes())?;
    } else {
        let lines: String = reports.iter().filter_map(Report::line).collect();
        output::print(lines.as_bytes())?;
    }
    let failed = reports.iter().filter(|report| report.summary.is_none()).count();
    if failed == 0 {
        return Ok(Outcome::Done);
    }
    if !args.json && args.files.len() > 1 {
        output::say(&format!("{failed} of {} policies do not hold\n", args.files.len()));
    }
    Ok(Outcome::Deficient)
}

/// What there is to say about one file.
#[derive(Serialize)]
struct Report {
    file: PathBuf,
    holds: bool,
    /// What the policy comes to, if it holds.
    #[serde(flatten)]
    summary: Option<Summary>,
    findings: Vec<Finding>,
}

#[derive(Serialize)]
struct Summary {
    role: String,
    tier: &'static str,
    rules: usize,
    calls: usize,
    /// Instructions by backend; none in strict mode, which takes no program.
    instructions: Option<Instructions>,
}

#[derive(Serialize)]
struct Instructions {
    optimizing: usize,
    bitmask: usize,
}

/// A finding for programs.
#[derive(Serialize)]
pub(super) struct Finding {
    severity: &'static str,
    title: String,
    /// Path, line and column; absent where the policy's file could not be read.
    #[serde(flatten)]
    place: Option<Place>,
    help: Vec<String>,
}

#[derive(Serialize)]
struct Place {
    path: String,
    line: usize,
    column: usize,
}

/// Checks one file. Findings are shown at once, unless they are `for_programs`.
fn check(file: &Path, target: Arch, for_programs: bool) -> Report {
    let outcome = language::load(file, target);
    let findings = match &outcome {
        Ok(checked) => &checked.notes,
        Err(errors) => errors,
    };
    if !for_programs {
        output::show(findings);
    }
    let mut listed: Vec<_> = findings.iter().map(|finding| Finding::new(finding, findings)).collect();
    let summary = outcome.ok().and_then(|checked| {
        let summary = Summary::new(&checked);
        summary.map_err(|error| listed.push(too_large(file, &error, for_programs))).ok()
    });
    Report { file: file.to_owned(), holds: summary.is_some(), summary, findings: listed }
}

/// A policy that holds by itself, but that no program can be made of.
fn too_large(file: &Path, error: &compile::Error, for_programs: bool) -> Finding {
    if !for_programs {
        output::say(&format!("error: {}: {error}\n", file.display()));
    }
    Finding { severity: "error", title: error.to_string(), place: None, help: Vec::new() }
}

impl Report {
    /// The policy in one line, if it holds.
    fn line(&self) -> Option<String> {
        let Summary { role, tier, rules, calls, instructions } = self.summary.as_ref()?;
        let instructions = match instructions {
            None => "no program, since strict mode is the kernel's own".to_owned(),
            Some(Instructions { optimizing, bitmask }) => {
                format!("{optimizing} instructions, {bitmask} as a bitmask")
            }
        };
        let (rules, calls) = (counted(*rules, "rule"), counted(*calls, "call"));
        Some(format!(
            "{}: role {role}, tier {tier}, {rules} for {calls}, {instructions}\n",
            self.file.display()
        ))
    }
}

impl Summary {
    fn new(checked: &Checked) -> Result<Self, compile::Error> {
        let Checked { policy, profile, .. } = checked;
        let tier = match policy.tier {
            Tier::Strict => "strict",
            Tier::Bitmask => "bitmask",
            Tier::Filter => "filter",
        };
        let instructions = match policy.tier {
            Tier::Strict => None,
            Tier::Bitmask | Tier::Filter => {
                let optimizing = optimize(policy, &Weights::CacheAware(profile.as_ref()))?.len();
                Some(Instructions { optimizing, bitmask: bitmask(policy)?.len() })
            }
        };
        let calls: BTreeSet<_> = policy.rules.iter().map(|rule| rule.call.number).collect();
        Ok(Self {
            role: policy.role.clone(),
            tier,
            rules: policy.rules.len(),
            calls: calls.len(),
            instructions,
        })
    }
}

impl Finding {
    /// `among`: the findings that it is one of, which have the texts.
    pub(super) fn new(finding: &Diagnostic, among: &Diagnostics) -> Self {
        let severity = match finding.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        };
        let place = finding.labels.first().map(|label| {
            let source = &among.sources()[label.source];
            let (line, column) = source.position(label.span.start);
            Place { path: source.shown.clone(), line, column }
        });
        Self { severity, title: finding.title.clone(), place, help: finding.help.clone() }
    }
}

fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}
