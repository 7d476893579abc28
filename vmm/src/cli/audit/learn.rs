//! `ringfence audit learn`.

mod files;
mod json;
pub(super) mod page;
mod report;
mod text;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use seccomp_policies::action::Action;
use seccomp_policies::learn::{Recording, Thread};

use self::report::Report;
use super::costs::Costs;
use super::{Error, expected};
use crate::audit::record::{self, By, How, Only, Recorded};
use crate::cli::reading::Reading;
use crate::cli::{Outcome, output};

const EXAMPLES: &str = "\
Every call of every thread is recorded with its arguments, of the command and of all that it starts: by \
the kernel's tracepoints, which stop nobody, or where the user may not have these by ptrace, which makes \
the command many times slower. What comes out is the tightest policy that would have let it through, by \
a few rules of generalization, each rule with its evidence: for ringfence one for each role, for other \
programs one for threads of each name, and one of all threads together for `policy exec`. A thread that \
confines itself has a policy for what it did after that.

What was seen is held against the present policy: rules with the calls that they decided, rules that \
decided none, calls beyond it. A rule whose reason has `(untested: WHY)` in it is not expected to be used.

Exit codes: 0; 1 with --fail-beyond: a present policy does not allow something that was seen, with \
--fail-unused: one has a rule that was not used; 2 nothing was learned.

Examples:
  ringfence audit learn -- ls /
  ringfence audit learn --out learned -- xz --threads=2 --keep --stdout /etc/services
  ringfence audit learn --out learned --merge learned/recording.json -- ls /tmp
  ringfence audit learn --output report.txt -- ringfence run
  ringfence audit learn --html learned.html -- ringfence run
  ringfence audit learn --pid 4711 --for 60 --against 'worker*=server.policy'
  ringfence audit learn --merge monday.json --merge tuesday.json --out learned";

/// Arguments of `audit learn`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(super) struct Args {
    /// The command and its arguments
    #[arg(last = true, value_name = "COMMAND", required_unless_present_any = ["pid", "merge"])]
    command: Vec<OsString>,
    /// A process that runs, until it ends or somebody presses Ctrl-C
    #[arg(long, conflicts_with = "command", value_parser = clap::value_parser!(i32).range(1..))]
    pid: Option<i32>,
    /// With --pid: for so long
    #[arg(long = "for", value_name = "SECONDS", requires = "pid", value_parser = clap::value_parser!(u32).range(1..))]
    seconds: Option<u32>,
    /// How calls are seen [default: tracepoints where the user may, else ptrace]
    #[arg(long, value_enum)]
    by: Option<By>,
    /// Record threads of this name alone, with `*` at its end for names that begin so
    #[arg(long, value_name = "THREADS")]
    only: Option<Only>,
    /// Add an earlier recording; may be given several times
    #[arg(long, value_name = "FILE")]
    merge: Vec<PathBuf>,
    /// Write what was seen to this file, for --merge
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Write the policies and their profiles to this folder, and the recording
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// The present policy, and whose, where it is not ringfence's own; without a name every thread's, with `*` at its end for
    /// names that begin so; may be given several times
    #[arg(long, value_name = "[THREADS=]FILE[:ROLE]")]
    against: Vec<String>,
    /// What the learned policies do with every other call
    #[arg(long, value_name = "ACTION", default_value = "trap", value_parser = otherwise_parser())]
    otherwise: Action,
    /// Exit with 1 if something was seen that a present policy does not allow
    #[arg(long)]
    fail_beyond: bool,
    /// Exit with 1 if a rule of a present policy was not used
    #[arg(long)]
    fail_unused: bool,
    /// Of ringfence, the policies of every role, also those of which no thread was seen
    #[arg(long)]
    every_role: bool,
    /// Show each rule of the present policies, and how many calls it decided
    #[arg(long, conflicts_with = "json")]
    rules: bool,
    /// For programs: one JSON object, with the policies
    #[arg(long)]
    json: bool,
    /// Write it as a page for a browser to this file, with the present policy and the learned one side by side
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// On the page, what the tiers cost: a run of `ringfence bench`, as its --json has it
    #[arg(long, value_name = "BENCH.json", requires = "html")]
    costs: Option<PathBuf>,
    /// Write the report to this file, and not to standard output, which the command may use
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    reading: Reading,
}

fn otherwise_parser() -> impl TypedValueParser<Value = Action> {
    PossibleValuesParser::new(["trap", "kill", "errno", "log"]).map(|name| match name.as_str() {
        "kill" => Action::KillProcess,
        // EPERM, as docker and others answer.
        "errno" => Action::Errno(1),
        "log" => Action::Log,
        _ => Action::Trap,
    })
}

pub(super) fn run(args: &Args) -> Result<Outcome, Error> {
    // What cannot be read or written is known before anything runs.
    let earlier = args.merge.iter().map(|path| files::read(path)).collect::<Result<Vec<_>, _>>()?;
    let present = expected(&args.against, &args.reading)?;
    for path in [&args.record, &args.html, &args.output].into_iter().flatten() {
        output::ensure_writable(path)?;
    }
    if let Some(folder) = &args.out {
        files::make(folder)?;
    }
    let costs = args.costs.as_deref().map(Costs::read).transpose()?;
    let recorded = args.record()?;
    if let Some(recorded) = &recorded {
        say(recorded);
    }
    let mut recording = together(recorded.map(|recorded| recorded.recording), earlier);
    if let Some(path) = &args.record {
        output::replace(path, output::json_text(&recording).as_bytes())?;
    }
    if args.every_role {
        for policy in record::policies_of() {
            recording.add(role(&policy.role));
        }
    }
    let report = Report::new(&recording, &present, args.otherwise);
    if let Some(folder) = &args.out {
        files::write(folder, &recording, &report)?;
    }
    if let Some(path) = &args.html {
        output::replace(path, page::page(&recording, &report, costs.as_ref()).as_bytes())?;
    }
    output::deliver(args.output.as_deref(), args.words(&recording, &report).as_bytes())?;
    let is_deficient = (args.fail_beyond && report.goes_beyond())
        || (args.fail_unused && !report.use_of_rules().unused.is_empty());
    Ok(if is_deficient { Outcome::Deficient } else { Outcome::Done })
}

impl Args {
    /// The report.
    fn words(&self, recording: &Recording, report: &Report) -> String {
        if self.json {
            return output::json_text(&json::Report::new(recording, report));
        }
        let shown = text::Shown { rules: self.rules, policies: self.out.is_none() };
        let text = text::text(recording, report, shown);
        match &self.out {
            Some(folder) => format!("{text}\nThe policies are in {}.\n", folder.display()),
            None => text,
        }
    }

    fn record(&self) -> Result<Option<Recorded>, Error> {
        let begun = |count| output::say(&format!("ringfence: {count} threads are recorded\n"));
        let how = How { by: self.by, only: self.only.as_ref(), grouping: &record::group, begun: &begun };
        let recorded = match self.pid {
            Some(pid) => {
                let limit = self.seconds.map(|seconds| Duration::from_secs(seconds.into()));
                record::process(pid, limit, how)
            }
            None if self.command.is_empty() => return Ok(None),
            None => record::command(&self.command, how),
        };
        Ok(Some(recorded?))
    }
}

/// A role of ours, of which nothing was seen.
fn role(name: &str) -> Thread {
    Thread { name: name.to_owned(), is_role: true, ..Thread::default() }
}

/// What was found while recording that a person should know.
fn say(recorded: &Recorded) {
    if let Some(why) = &recorded.why_not_tracepoints {
        output::say(&format!("ringfence: it is by ptrace, since tracepoints cannot be had: {why}\n"));
    }
    if let Some(ended) = recorded.ended.filter(|ended| !ended.success()) {
        output::say(&format!("ringfence: the command ended with {ended}\n"));
    }
    if recorded.recording.lost > 0 {
        output::say(&format!(
            "ringfence: {} records were lost, since they came faster than they could be read: calls may be missing; run it \
             again and merge\n",
            recorded.recording.lost
        ));
    }
    if recorded.foreign > 0 {
        output::say(&format!(
            "ringfence: {} calls of 32-bit programs were left out: their numbers mean other calls\n",
            recorded.foreign
        ));
    }
}

/// All recordings as one.
fn together(recorded: Option<Recording>, earlier: Vec<Recording>) -> Recording {
    let mut all = earlier.into_iter().chain(recorded);
    let mut merged = all.next().expect("the command line wants a command, a process or a recording");
    all.for_each(|recording| merged.merge(recording));
    merged.threads.sort_by(|one, other| (!one.is_role, &one.name).cmp(&(!other.is_role, &other.name)));
    merged
}
