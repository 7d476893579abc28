//! `ringfence policy profile`.

use std::path::PathBuf;
use std::time::SystemTime;

use seccomp_policies::profile::Profile;
use seccomp_policies::syscalls::Arch;
use seccomp_policies::trace::{Counts, counts};
use serde_json::json;

use super::{Error, input, target_parser};
use crate::cli::{Outcome, output};
use crate::observe::Utc;

const EXAMPLES: &str = "\
LOG is an strace log or its table (strace -c), a table of perf trace -s, a list of calls, or the \
report of `ringfence run --count-calls --report FILE`; - is standard input. The profile tells the \
compiler which calls to make cheap: a policy names it by `frequency \"FILE\"`.

Exit codes: 0 there is a profile; 2 there is none.

Examples:
  ringfence policy profile server.strace --workload 'boots and serves one page'
  ringfence policy profile server.strace --workload 'one page' -o server.profile";

/// Version of the shape of the JSON; it changes when a member changes its meaning or goes away.
const SCHEMA: u32 = 1;

/// Arguments of `policy profile`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// What has the calls
    #[arg(value_name = "LOG")]
    log: PathBuf,
    /// What ran while the calls were counted
    #[arg(long, value_name = "TEXT", value_parser = one_line)]
    workload: String,
    /// The kernel that it ran on [default: this one]
    #[arg(long, value_name = "VERSION", value_parser = one_line)]
    kernel: Option<String>,
    /// When it was, as YYYY-MM-DD [default: today]
    #[arg(long, value_name = "DATE", value_parser = date)]
    date: Option<String>,
    /// Of a run's report, the role whose threads count [default: all]
    #[arg(long, value_name = "NAME")]
    role: Option<String>,
    /// Write the profile here instead of to standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// For programs: one JSON object instead of a profile
    #[arg(long)]
    json: bool,
    /// The architecture that the calls are of
    #[arg(long, value_name = "ARCH", default_value = "x86_64", value_parser = target_parser())]
    target: Arch,
}

pub(super) fn run(args: &Args) -> Result<Outcome, Error> {
    let text = input::trace(&args.log)?;
    let counts = counts(&text, args.target, args.role.as_deref())
        .map_err(|source| Error::Counts { path: args.log.clone(), source })?;
    if let Some(first) = counts.skipped.first() {
        let count = counts.skipped.len();
        output::say(&format!(
            "lines that were not used: {count}, the first at line {}: {}\n",
            first.line, first.why
        ));
    }
    let profile = args.profile(counts);
    let text = if args.json { json(&profile) } else { profile.to_string() };
    output::deliver(args.output.as_deref(), text.as_bytes())?;
    Ok(Outcome::Done)
}

impl Args {
    fn kernel(&self) -> String {
        let this = || rustix::system::uname().release().to_string_lossy().into_owned();
        self.kernel.clone().unwrap_or_else(this)
    }

    fn date(&self) -> String {
        self.date.clone().unwrap_or_else(|| Utc(SystemTime::now()).day())
    }

    fn profile(&self, counts: Counts) -> Profile {
        Profile {
            workload: self.workload.clone(),
            kernel: self.kernel(),
            date: self.date(),
            counts: counts.calls,
        }
    }
}

fn json(profile: &Profile) -> String {
    let Profile { workload, kernel, date, counts } = profile;
    let object = json!({
        "report": "profile", "schema": SCHEMA, "workload": workload, "kernel": kernel, "date": date, "counts": counts,
    });
    format!("{object:#}\n")
}

/// A text that fits a line of a profile.
fn one_line(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() || text.contains(['\n', '\r', '#']) {
        return Err("write one line that is not empty, without `#`, which begins a comment".to_owned());
    }
    Ok(text.to_owned())
}

fn date(text: &str) -> Result<String, String> {
    let is_date = text.len() == 10
        && text.bytes().enumerate().all(|(index, byte)| match index {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    if is_date { Ok(text.to_owned()) } else { Err("write it as in 2026-11-24".to_owned()) }
}
