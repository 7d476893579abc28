//! `ringfence policy import`.

use std::fmt::Write as _;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use seccomp_policies::import::{self, Dialect, Format, Imported, KernelVersion, Options};
use seccomp_policies::language::{self, Diagnostics, Policy};
use seccomp_policies::syscalls::Arch;
use serde::Serialize;

use super::check::Finding;
use super::input::{capability, format_parser};
use super::{Error, output, target_parser};
use crate::cli::Outcome;

const EXAMPLES: &str = "The policy goes to standard output, what there is to say about it to standard error.
What a policy cannot say is an error, and the exit code 1; with --lossy it is a warning.

Examples:
  ringfence policy import seccomp.json
  ringfence policy import seccomp.json --role vcpu -o vcpu.policy
  ringfence policy import docker.json --target x86_64 --cap CAP_SYS_ADMIN --kernel 6.1
  ringfence policy import block.policy --format minijail --root policies
  ringfence policy import filter.bpf --json";

/// Arguments of `policy import`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The policy of another program; - reads standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// What the file is [default: what its name and first lines say]
    #[arg(long, visible_alias = "from", value_name = "FORMAT", value_parser = format_parser())]
    format: Option<Format>,
    /// The architecture that is wanted [default: 64-bit x86, and what is for others is lost]
    #[arg(long, visible_alias = "arch", value_name = "ARCH", value_parser = target_parser())]
    target: Option<Arch>,
    /// Of a file with several threads, the one that is wanted; else the role's name
    #[arg(long, value_name = "NAME")]
    role: Option<String>,
    /// Take what cannot be expressed as lost, with a warning for each
    #[arg(long)]
    lossy: bool,
    /// Compare only the bits of an argument that the kernel reads, where the file compares 64
    #[arg(long)]
    kernel_widths: bool,
    /// A capability that the process has, for OCI profiles; may be given several times
    #[arg(long, value_name = "CAP_NAME", value_parser = capability)]
    cap: Vec<String>,
    /// The kernel that an OCI profile is for [default: newer than any that it asks for]
    #[arg(long, value_name = "VERSION")]
    kernel: Option<KernelVersion>,
    /// A folder that files included by minijail's policies may be in; may be given several times
    #[arg(long, value_name = "DIR")]
    root: Vec<PathBuf>,
    /// Names that minijail's policies may use besides those of the headers
    #[arg(long, value_name = "CONSTANTS.json")]
    constants: Option<PathBuf>,
    /// Which of minijail's two readers a policy is for, where they differ
    #[arg(long, value_name = "READER", value_enum)]
    dialect: Option<Reader>,
    /// For programs: one JSON object with the policies, their rules and the findings
    #[arg(long)]
    json: bool,
    /// Write the policy here instead of to standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// minijail's readers.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Reader {
    /// The compiler, which crosvm's build uses
    Compiler,
    /// The C library, which minijail0 -S uses
    Library,
}

pub(super) fn run(args: &Args) -> Result<Outcome, Error> {
    let outcome = read(args)?;
    let findings = match &outcome {
        Ok(imported) => &imported.notes,
        Err(errors) => errors,
    };
    if !args.json {
        output::show(findings);
    }
    let imported = outcome.as_ref().ok();
    if args.json {
        output::json(&Report::new(imported, findings))?;
    } else if let Some(imported) = imported {
        let text = text(args, imported)?;
        match &args.output {
            None => output::print(text.as_bytes())?,
            Some(path) => output::replace(path, text.as_bytes())?,
        }
    }
    Ok(if imported.is_some() { Outcome::Done } else { Outcome::Deficient })
}

fn read(args: &Args) -> Result<Result<Imported, Diagnostics>, Error> {
    let options = Options {
        arch: args.target,
        capabilities: args.cap.clone(),
        kernel: args.kernel,
        constants: args.constants.clone(),
        dialect: args.dialect.map(|reader| match reader {
            Reader::Compiler => Dialect::Compiler,
            Reader::Library => Dialect::Library,
        }),
        roots: args.root.clone(),
        role: args.role.clone(),
        lossy: args.lossy,
        kernel_widths: args.kernel_widths,
    };
    if args.file != Path::new("-") {
        return Ok(import::read(&args.file, args.format, &options));
    }
    let mut bytes = Vec::new();
    let outcome = io::stdin().lock().read_to_end(&mut bytes);
    outcome.map_err(|source| Error::Read { path: args.file.clone(), source })?;
    Ok(import::read_bytes("standard input", &bytes, args.format, &options))
}

/// The policies, one after the other under the names of their files. A file can hold one alone.
fn text(args: &Args, imported: &Imported) -> Result<String, Error> {
    let policies = &imported.policies;
    if let (Some(path), true) = (&args.output, policies.len() > 1) {
        let roles = policies.iter().map(|policy| policy.role.clone()).collect();
        return Err(Error::OneFile { path: path.clone(), roles });
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
