//! `ringfence audit observe`.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Error, expected};
use crate::audit::observe::{self, News, Observation, Observed};
use crate::cli::reading::Reading;
use crate::cli::table::{self, Cell};
use crate::cli::{Outcome, output};
use crate::report;

const EXAMPLES: &str = "\
The policies become filters on the kernel's tracing events, one for each call that they restrict, attached \
to each thread by its role. Calls that a policy would refuse are carried out; the first of each kind is \
told at once, with the rule that nearly allows it, and all are counted by the kernel itself. Nothing is \
refused, and no thread is ever stopped. While events are open every call of every task on the machine \
takes a little longer; they are closed at the end.

It lasts until the process ends, for as long as --for says, or until Ctrl-C.

Exit codes: 0 there was no such call; 1 there was one; 2 nothing can be said.

Examples:
  ringfence audit observe 4711
  ringfence audit observe 4711 --policy server.policy --for 60
  ringfence audit observe 4711 --policy 'worker*=worker.policy' --policy 'main=server.policy' --json";

/// Arguments of `audit observe`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The process
    #[arg(value_name = "PID", value_parser = clap::value_parser!(i32).range(1..))]
    pid: i32,
    /// A policy of any format, and whose; without a name every thread's, with `*` at its end for names that begin so; may be
    /// given several times [default: of ringfence, the build's]
    #[arg(long, value_name = "[THREADS=]FILE[:ROLE]")]
    policy: Vec<String>,
    /// For so long
    #[arg(long = "for", value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
    seconds: Option<u32>,
    /// For programs: one JSON object at the end
    #[arg(long)]
    json: bool,
    /// Write the report to this file, and not to standard output
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    reading: Reading,
}

pub(super) fn run(args: &Args) -> Result<Outcome, Error> {
    let given = expected(&args.policy, &args.reading)?;
    if let Some(path) = &args.output {
        output::ensure_writable(path)?;
    }
    let limit = args.seconds.map(|seconds| Duration::from_secs(seconds.into()));
    let mut tell = |news: News| match news {
        News::Begun(count) => output::say(&format!("ringfence: {count} threads are observed\n")),
        News::Violation(violation) => {
            output::say(&format!("{}\n", report::text::would_be_violation(violation)));
        }
    };
    let observation = observe::observe(args.pid, &given, limit, &mut tell)?;
    let words = if args.json { output::json_text(&json(&observation)) } else { text(&observation) };
    output::deliver(args.output.as_deref(), words.as_bytes())?;
    let is_clean = observation.threads.iter().all(|thread| thread.count.violations == 0);
    Ok(if is_clean { Outcome::Done } else { Outcome::Deficient })
}

fn text(observation: &Observation) -> String {
    let Observation { process, lasted, threads, kinds, unseen } = observation;
    let mut text =
        format!("process {} {}, observed for {:.1} s\n", process.pid, process.name, lasted.as_secs_f64());
    let row = |observed: &Observed| {
        vec![
            Cell::from(observed.thread.name.as_str()),
            Cell::Number(observed.thread.tid.to_string()),
            Cell::from(observed.role.as_deref().unwrap_or("no policy")),
            Cell::from(observed.thread.mode.name()),
            Cell::from(observed.events),
            Cell::Number(observed.count.violations.to_string()),
        ]
    };
    let header = ["thread", "tid", "policy", "seccomp", "events", "would be refused"];
    text.push_str(&table::text(&header, threads.iter().map(row).collect()));
    text.push_str(&report::text::observed(kinds, threads.iter().map(|thread| thread.count.lost).sum()));
    text.push_str("\nNot seen:\n");
    for words in unseen {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "- {words}");
    }
    text
}

/// Version of the report's shape; it changes when a member changes its meaning or goes away.
const SCHEMA: u32 = 1;

fn json(observation: &Observation) -> Value {
    let Observation { process, lasted, threads, kinds, unseen } = observation;
    let thread = |observed: &Observed| {
        json!({
            "name": observed.thread.name,
            "tid": observed.thread.tid,
            "role": observed.role,
            "seccomp": observed.thread.mode.name(),
            "events": observed.events,
            "violations": observed.count.violations,
            "not_shown": observed.count.lost,
            "has_ended": observed.has_ended,
        })
    };
    json!({
        "report": "observed",
        "schema": SCHEMA,
        "pid": process.pid,
        "name": process.name,
        "seconds": lasted.as_secs_f64(),
        "threads": threads.iter().map(thread).collect::<Vec<_>>(),
        "kinds": kinds.iter().map(report::json::of_kind).collect::<Vec<_>>(),
        "unseen": unseen,
    })
}
