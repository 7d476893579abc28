//! `ringfence audit live`.

mod json;
pub(super) mod row;
mod sarif;
pub(super) mod text;

use std::path::PathBuf;

use seccomp_policies::bpf::Instruction;
use seccomp_policies::import::{Options, raw};
use seccomp_policies::language::{Diagnostics, Policy};
use seccomp_policies::review::review;
use seccomp_policies::syscalls::Arch;

use super::costs::Costs;
use super::{Error, page};
use crate::audit::live::attest::{self, Finding};
use crate::audit::live::{self, Audit, Expected, process};
use crate::cli::reading::Reading;
use crate::cli::{Outcome, output};

const EXAMPLES: &str = "\
Each thread is stopped once, for as long as the kernel takes to show its filters, and goes on as it was. \
A run of ringfence is held against this program: each thread has the very filter that the build made for \
its role, and behind its descriptors lie the objects that its policy names. Another program is held \
against policies of any format, or only shown.

Filters can be seen with CAP_SYS_ADMIN and CAP_SYS_PTRACE alone; everything else is shown without.

Exit codes: 0 every thread is as it should be, or nobody said how; 1 one is not, with a line for each \
deviation; 2 nothing can be said.

Examples:
  ringfence audit live 4711
  ringfence audit live 4711 --filters
  ringfence audit live --all
  ringfence audit live 4711 --html audit.html
  ringfence audit live 4711 --expect server.policy
  ringfence audit live 4711 --expect 'fc_vcpu*=fc.json:vcpu' --expect fc_api=fc.json:api --json";

/// Arguments of `audit live`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(super) struct Args {
    /// The processes
    #[arg(required_unless_present = "all", value_name = "PID", value_parser = clap::value_parser!(i32).range(1..))]
    pids: Vec<i32>,
    /// Every process that seccomp holds, or that has a thread which it holds
    #[arg(long, conflicts_with = "pids")]
    all: bool,
    /// What threads should be held to: a policy, and whose; without a name every thread's, with `*` at its end for names that
    /// begin so; may be given several times
    #[arg(long, value_name = "[THREADS=]FILE[:ROLE]", conflicts_with = "all")]
    expect: Vec<String>,
    /// What the filters allow, as the text of a policy
    #[arg(long, conflicts_with = "json")]
    filters: bool,
    /// How long each thread stood still
    #[arg(long)]
    timing: bool,
    /// For programs: one JSON object, with everything
    #[arg(long)]
    json: bool,
    /// Write it as a page for a browser to this file, with what the filters allow
    #[arg(long, value_name = "FILE", conflicts_with_all = ["json", "filters"])]
    html: Option<PathBuf>,
    /// On the page, what the tiers cost: a run of `ringfence bench`, as its --json has it
    #[arg(long, value_name = "BENCH.json", requires = "html")]
    costs: Option<PathBuf>,
    /// For code hosts: the deviations as SARIF
    #[arg(long, conflicts_with_all = ["json", "filters", "html"])]
    sarif: bool,
    #[command(flatten)]
    reading: Reading,
}

pub(super) fn run(args: &Args) -> Result<Outcome, Error> {
    let costs = args.costs.as_deref().map(Costs::read).transpose()?;
    let expected = super::expected(&args.expect, &args.reading)?;
    let audits = if args.all { of_all()? } else { of_each(&args.pids, &expected)? };
    if let Some(path) = &args.html {
        let review = review(&allowed(&audits));
        output::replace(
            path,
            page::page(&title(&audits), &review, &audits, None, costs.as_ref()).as_bytes(),
        )?;
    } else if args.json {
        output::json(&json::Report::new(&audits))?;
    } else if args.sarif {
        output::json(&sarif::log(&audits, &expected))?;
    } else {
        output::print(text::text(&audits, args.filters, args.timing).as_bytes())?;
    }
    Ok(if audits.iter().all(Audit::is_attested) { Outcome::Done } else { Outcome::Deficient })
}

fn title(audits: &[Audit]) -> String {
    match audits {
        [only] => format!("What process {} {} may ask of the kernel", only.process.pid, only.process.name),
        _ => "What processes may ask of the kernel".to_owned(),
    }
}

/// What the filters of threads allow, each once: the policy's own text where it is the build's, else as the programs say it.
fn allowed(audits: &[Audit]) -> Vec<Policy> {
    let mut shown: Vec<&[Vec<Instruction>]> = Vec::new();
    let mut policies = Vec::new();
    for seen in audits.iter().filter(|audit| !audit.process.is_32_bit).flat_map(|audit| &audit.threads) {
        let programs = seen.programs.as_deref().unwrap_or_default();
        let of_build = match &seen.finding {
            Finding::Build { role, .. } | Finding::Strict { role } => {
                attest::policy_of(role).and_then(super::of_build)
            }
            _ if programs.is_empty() => continue,
            _ => None,
        };
        if shown.contains(&programs) {
            continue;
        }
        shown.push(programs);
        match of_build {
            Some(policy) => policies.push(policy),
            None => policies.extend(by_programs(&seen.thread.name, programs).unwrap_or_default()),
        }
    }
    policies
}

/// What programs allow together, as far as that has a text; what has none is left out, and shown in the counts of calls.
///
/// # Errors
/// Why there is none.
fn by_programs(thread: &str, programs: &[Vec<Instruction>]) -> Result<Vec<Policy>, Diagnostics> {
    let options = Options { arch: Some(Arch::X86_64), lossy: true, ..Options::default() };
    raw::stack(thread, programs, &options).map(|imported| imported.policies)
}

fn of_each(pids: &[i32], expected: &[Expected]) -> Result<Vec<Audit>, Error> {
    Ok(pids.iter().map(|pid| live::audit(*pid, expected)).collect::<Result<Vec<_>, _>>()?)
}

/// Those of which a thread is held. One that has ended meanwhile is left out.
fn of_all() -> Result<Vec<Audit>, Error> {
    let held = |audit: &Audit| audit.threads.iter().any(|seen| seen.thread.mode != process::Mode::Off);
    let mut audits = Vec::new();
    for pid in process::all()? {
        match live::audit(pid, &[]) {
            Ok(audit) if held(&audit) => audits.push(audit),
            Ok(_) | Err(process::Error::NoSuchProcess { .. }) => {}
            Err(error) => output::say(&format!("ringfence: {error}\n")),
        }
    }
    Ok(audits)
}
