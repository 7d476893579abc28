//! `ringfence policy import`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use seccomp_policies::import::{Imported, raw::Table};
use seccomp_policies::language::{self, Diagnostics, Policy};
use serde::Serialize;

use super::Error;
use super::check::Finding;
use super::input::Reading;
use crate::cli::Outcome;
use crate::cli::output::{self, Reported};

const EXAMPLES: &str = "\
The policy goes to standard output, what there is to say about it to standard error. \
What a policy cannot say is an error; with --lossy it is a warning.

Exit codes: 0 there is a policy, or a table; 1 there is none.

Examples:
  ringfence policy import seccomp.json
  ringfence policy import seccomp.json --role vcpu -o vcpu.policy
  ringfence policy import docker.json --target x86_64 --cap sys_admin
  ringfence policy import block.policy --from minijail --root policies
  ringfence policy import filter.bpf --json
  ringfence policy import filter.bpf --as table";

/// Arguments of `policy import`.
#[derive(Debug, clap::Args)]
// Of the commands that read policies this one alone writes but one format, so that the option can have this name too.
#[command(after_help = EXAMPLES, mut_arg("from", |from| from.visible_alias("format")))]
pub(super) struct Args {
    /// The policy of another program; - reads standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// What is written
    #[arg(long = "as", value_name = "FORM", value_enum, default_value_t)]
    form: Form,
    /// For programs: one JSON object with the policies, their rules and the findings, or the table
    #[arg(long)]
    json: bool,
    /// Write the result here instead of to standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    reading: Reading,
}

#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
enum Form {
    /// Text of the policy language
    #[default]
    Policy,
    /// Of a program: what it decides, by entry and number; also where no rules can say it
    Table,
}

pub(super) fn run(args: &Args) -> Result<Outcome, Error> {
    match args.form {
        Form::Policy => policies(args),
        Form::Table => table(args),
    }
}

fn policies(args: &Args) -> Result<Outcome, Error> {
    let outcome = args.reading.read(&args.file)?;
    let findings = match &outcome {
        Ok(imported) => &imported.notes,
        Err(errors) => errors,
    };
    if !args.json {
        output::show(findings);
    }
    let imported = outcome.as_ref().ok();
    if args.json {
        let report = Report::new(imported, findings);
        args.deliver(&output::json_text(&Reported::versioned("import", SCHEMA, &report)))?;
    } else if let Some(imported) = imported {
        args.deliver(&text(args.output.as_deref(), imported)?)?;
    }
    Ok(if imported.is_some() { Outcome::Done } else { Outcome::Deficient })
}

fn table(args: &Args) -> Result<Outcome, Error> {
    let table = match args.reading.table(&args.file)? {
        Ok(table) => table,
        Err(findings) => {
            output::show(&findings);
            return Ok(Outcome::Deficient);
        }
    };
    if args.json {
        args.deliver(&output::json_text(&Reported::named("table", &table)))?;
    } else {
        args.deliver(&table.to_string())?;
        say_what_is_missing(&table);
    }
    Ok(Outcome::Done)
}

fn say_what_is_missing(table: &Table) {
    if !table.complete {
        output::say(
            "warning: the table does not say all: the program tells calls apart by more than their known entries, \
             their numbers and conditions that can be written down\n",
        );
    }
}

impl Args {
    fn deliver(&self, text: &str) -> Result<(), Error> {
        Ok(output::deliver(self.output.as_deref(), text.as_bytes())?)
    }
}

/// The policies, one after the other under the names of their files. A file can hold one alone.
fn text(output: Option<&Path>, imported: &Imported) -> Result<String, Error> {
    let policies = &imported.policies;
    if let (Some(path), true) = (output, policies.len() > 1) {
        let roles = policies.iter().map(|policy| policy.role.clone()).collect();
        return Err(Error::OneFile { path: path.to_owned(), roles });
    }
    let mut text = String::new();
    for policy in policies {
        if policies.len() > 1 {
            let gap = if text.is_empty() { "" } else { "\n" };
            writeln!(text, "{gap}# {}.policy", policy.role).expect("a string takes everything");
        }
        text.push_str(&language::write(policy));
    }
    Ok(text)
}

/// Version of the reports' shapes; it changes when a member changes its meaning or goes away.
const SCHEMA: u32 = 1;

#[derive(Serialize)]
struct Report<'a> {
    /// Absent where the file could not be read.
    format: Option<&'static str>,
    policies: Vec<ReportedPolicy<'a>>,
    findings: Vec<Finding>,
}

#[derive(Serialize)]
struct ReportedPolicy<'a> {
    role: &'a str,
    arch: &'static str,
    otherwise: String,
    rules: Vec<ReportedRule<'a>>,
    /// The whole as text of the policy language.
    text: String,
}

#[derive(Serialize)]
struct ReportedRule<'a> {
    call: &'static str,
    action: String,
    expression: &'a str,
    reason: &'a str,
    file: &'a str,
    line: u32,
}

impl<'a> Report<'a> {
    fn new(imported: Option<&'a Imported>, findings: &Diagnostics) -> Self {
        Self {
            format: imported.map(|imported| imported.format.name()),
            policies: imported.into_iter().flat_map(|it| &it.policies).map(ReportedPolicy::new).collect(),
            findings: findings.iter().map(|finding| Finding::new(finding, findings)).collect(),
        }
    }
}

impl<'a> ReportedPolicy<'a> {
    fn new(policy: &'a Policy) -> Self {
        let rules = policy.rules.iter().map(|rule| ReportedRule {
            call: rule.call.name,
            action: rule.action.to_string(),
            expression: &rule.expression,
            reason: &rule.reason,
            file: &rule.file,
            line: rule.line,
        });
        Self {
            role: &policy.role,
            arch: policy.arch.name(),
            otherwise: policy.otherwise.to_string(),
            rules: rules.collect(),
            text: language::write(policy),
        }
    }
}
