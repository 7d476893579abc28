//! `ringfence policy stats`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use seccomp_policies::compile::Weights;
use seccomp_policies::stats::{self, Backend, CallCost, Stats};
use serde::Serialize;

use super::Error;
use super::input::{self, Reading};
use crate::cli::Outcome;
use crate::cli::output::{self, Reported};
use crate::cli::table::{self, Cell};

const EXAMPLES: &str = "\
Instructions are of the program, executed on average by the allowed calls whose arguments decide (each \
call as often as any other), and executed on the longest path. Cached: of the allowed calls, those that \
the kernel answers without running the program.

Exit codes: 0, or 2 where a policy cannot be read.

Examples:
  ringfence policy stats vcpu.policy
  ringfence policy stats vcpu.policy --calls
  ringfence policy stats --profile server.profile server.policy --json";

/// Arguments of `policy stats`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The policies
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Counts of calls, for the optimizing backend [default: those that a policy names]
    #[arg(long, value_name = "FILE")]
    profile: Option<PathBuf>,
    /// What each allowed call executes, by each backend, or that the kernel's action cache answers it
    #[arg(long)]
    calls: bool,
    /// For programs: one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    reading: Reading,
}

pub(super) fn run(args: &Args) -> Result<Outcome, Error> {
    let profile = args.profile.as_deref().map(input::profile).transpose()?;
    let mut counted = Vec::new();
    for file in &args.files {
        let imported = args.reading.file(file)?;
        let weights = Weights::CacheAware(profile.as_ref().or(imported.profile.as_ref()));
        for policy in &imported.policies {
            counted.push(Counted { file, stats: stats::stats(policy, &weights) });
        }
    }
    if args.json {
        output::json(&Reported::named("stats", &Report { schema: stats::SCHEMA, policies: counted }))?;
    } else {
        let text = if args.calls { text_of_calls(&counted) } else { text(&counted) };
        output::print(text.as_bytes())?;
    }
    Ok(Outcome::Done)
}

#[derive(Serialize)]
struct Report<'a> {
    schema: u32,
    policies: Vec<Counted<'a>>,
}

#[derive(Serialize)]
struct Counted<'a> {
    file: &'a Path,
    #[serde(flatten)]
    stats: Stats,
}

fn text(counted: &[Counted]) -> String {
    let header = ["role", "rules", "calls", "backend", "instructions", "mean", "longest", "cached"];
    let rows = counted.iter().flat_map(|counted| rows(&counted.stats)).collect();
    let mut text = table::text(&header, rows);
    for Counted { stats, .. } in counted {
        for (error, backends) in failures(stats) {
            // Where no backend has a program, that is the policy's doing.
            let of = if backends.len() == stats.backends.len() {
                String::new()
            } else {
                format!(", {}", backends.join(" and "))
            };
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{}{of}: {error}", stats.role);
        }
    }
    text
}

/// A row for each allowed call, a column for each backend.
fn text_of_calls(counted: &[Counted]) -> String {
    let rows = counted.iter().flat_map(|Counted { stats, .. }| rows_of_calls(stats)).collect();
    table::text(&["role", "call", "optimizing", "reference", "bitmask"], rows)
}

fn rows_of_calls(stats: &Stats) -> Vec<Vec<Cell>> {
    let costs = |backend: &Backend| {
        let costs = backend.program.iter().flat_map(|program| &program.by_call);
        costs.map(|cost| (cost.call, cell(cost))).collect::<BTreeMap<_, _>>()
    };
    let by_backend: Vec<BTreeMap<&str, Cell>> = stats.backends.iter().map(costs).collect();
    let calls: BTreeSet<&str> = by_backend.iter().flat_map(BTreeMap::keys).copied().collect();
    let row = |call: &str| {
        let costs = by_backend.iter().map(|costs| costs.get(call).cloned().unwrap_or_else(|| "-".into()));
        [stats.role.clone().into(), call.into()].into_iter().chain(costs).collect()
    };
    calls.into_iter().map(row).collect()
}

fn cell(cost: &CallCost) -> Cell {
    if cost.cached { "cached".into() } else { cost.executed.into() }
}

/// Why there is no program, and the backends that say so.
fn failures(stats: &Stats) -> BTreeMap<&str, Vec<&str>> {
    let mut failures: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for Backend { name, error, .. } in &stats.backends {
        if let Some(error) = error {
            failures.entry(error).or_default().push(name);
        }
    }
    failures
}

/// A row for each backend; what is the policy's own stands in the first.
fn rows(stats: &Stats) -> Vec<Vec<Cell>> {
    let mut rows: Vec<Vec<Cell>> = Vec::new();
    for backend in stats.backends.iter().filter(|backend| backend.program.is_some()) {
        let mut row = own(stats, rows.is_empty());
        row.push(backend.name.into());
        if let Some(cost) = &backend.program {
            row.extend([
                cost.instructions.into(),
                cost.mean.map_or("-".into(), Cell::from),
                cost.longest.into(),
                format!("{} of {}", cost.cached, cost.allowed).into(),
            ]);
        }
        rows.push(row);
    }
    let mut row = own(stats, rows.is_empty());
    row.extend(["event filters".into(), Cell::from(stats.events)]);
    row.extend(["-".into(), "-".into(), format!("{} need none", stats.without_event).into()]);
    rows.push(row);
    rows
}

fn own(stats: &Stats, is_first: bool) -> Vec<Cell> {
    if is_first {
        vec![stats.role.clone().into(), stats.rules.into(), stats.calls.into()]
    } else {
        vec!["".into(), "".into(), "".into()]
    }
}
