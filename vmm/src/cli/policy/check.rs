//! `ringfence policy check`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use seccomp_policies::compile::{self, Weights, bitmask, optimize};
use seccomp_policies::import::{Format, Imported};
use seccomp_policies::language::{Diagnostic, Diagnostics, Policy, Severity, Tier};
use seccomp_policies::profile::Profile;
use serde::Serialize;

use super::Error;
use super::input::{self, Reading};
use crate::cli::Outcome;
use crate::cli::output::{self, Reported};

const EXAMPLES: &str = "\
A file of several threads has a line for each policy. Findings go to standard error.

Exit codes: 0 every policy holds; 1 one does not, or cannot be read.

Examples:
  ringfence policy check seccomp-policies/policies/vcpu.policy
  ringfence policy check --json *.policy
  ringfence policy check seccomp.json --lossy
  ringfence policy check --target aarch64 net.policy";

/// Arguments of `policy check`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The policies, of any format; - reads standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// For programs: one JSON array, an object for each policy; a file's findings stand with its first
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    reading: Reading,
}

pub(super) fn run(args: &Args) -> Result<Outcome, Error> {
    let mut reports = Vec::new();
    for file in &args.files {
        reports.extend(args.check(file)?);
    }
    if args.json {
        let policies = Policies { policies: &reports };
        output::json(&Reported::versioned("check", SCHEMA, &policies))?;
    } else {
        let lines: String = reports.iter().filter_map(Report::line).collect();
        output::print(lines.as_bytes())?;
    }
    let failed = reports.iter().filter(|report| !report.holds).count();
    if failed == 0 {
        return Ok(Outcome::Done);
    }
    if !args.json && reports.len() > 1 {
        output::say(&format!("{failed} of {} policies do not hold\n", reports.len()));
    }
    Ok(Outcome::Deficient)
}

impl Args {
    /// Checks one file. Findings are shown at once, unless they are for programs.
    fn check(&self, file: &Path) -> Result<Vec<Report>, Error> {
        let outcome = self.reading.read(file)?;
        let findings = match &outcome {
            Ok(imported) => &imported.notes,
            Err(errors) => errors,
        };
        if !self.json {
            output::show(findings);
        }
        let findings = findings.iter().map(|finding| Finding::new(finding, findings)).collect();
        let reports = match outcome {
            Ok(imported) => Report::of_policies(file, &imported, findings),
            Err(_) => vec![Report { findings, ..Report::new(file, None) }],
        };
        if !self.json {
            for too_large in reports.iter().filter_map(|report| report.too_large.as_ref()) {
                output::say(&format!("error: {}: {too_large}\n", input::shown(file)));
            }
        }
        Ok(reports)
    }
}

/// Version of the report's shape; it changes when a member changes its meaning or goes away.
const SCHEMA: u32 = 1;

#[derive(Serialize)]
struct Policies<'a> {
    policies: &'a [Report],
}

/// What there is to say about one policy, or about a file that is none.
#[derive(Serialize)]
struct Report {
    file: PathBuf,
    /// Absent where the file could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<&'static str>,
    holds: bool,
    /// What the policy comes to, if it holds.
    #[serde(flatten)]
    summary: Option<Summary>,
    findings: Vec<Finding>,
    /// Why a policy that holds by itself does not: no program can be made of it. It is among the findings.
    #[serde(skip)]
    too_large: Option<String>,
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

impl Report {
    /// Nothing yet.
    fn new(file: &Path, format: Option<Format>) -> Self {
        Self {
            file: file.to_owned(),
            format: format.map(Format::name),
            holds: false,
            summary: None,
            findings: Vec::new(),
            too_large: None,
        }
    }

    /// A report for each policy of a file, the file's findings with the first.
    fn of_policies(file: &Path, imported: &Imported, findings: Vec<Finding>) -> Vec<Self> {
        let of = |policy| Self::of(file, imported, policy);
        let mut reports: Vec<_> = imported.policies.iter().map(of).collect();
        if let Some(first) = reports.first_mut() {
            first.findings.splice(0..0, findings);
        }
        reports
    }

    fn of(file: &Path, imported: &Imported, policy: &Policy) -> Self {
        let report = Self::new(file, Some(imported.format));
        match Summary::new(policy, imported.profile.as_ref()) {
            Ok(summary) => Self { holds: true, summary: Some(summary), ..report },
            Err(error) => {
                let title = error.to_string();
                let too_large = Some(title.clone());
                let finding = Finding { severity: "error", title, place: None, help: Vec::new() };
                Self { findings: vec![finding], too_large, ..report }
            }
        }
    }

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
            input::shown(&self.file)
        ))
    }
}

impl Summary {
    fn new(policy: &Policy, profile: Option<&Profile>) -> Result<Self, compile::Error> {
        let tier = policy.tier.name();
        let instructions = match policy.tier {
            Tier::Strict => None,
            Tier::Bitmask | Tier::Filter => {
                let optimizing = optimize(policy, &Weights::CacheAware(profile))?.len();
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
