//! `ringfence policy profile`.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use seccomp_policies::profile::Profile;
use seccomp_policies::syscalls::Arch;
use seccomp_policies::trace::{Counts, counts};
use serde_json::json;

use super::{Error, input, target_parser};
use crate::cli::{Outcome, output};

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
        self.date.clone().unwrap_or_else(today)
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
        "schema": SCHEMA, "workload": workload, "kernel": kernel, "date": date, "counts": counts,
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

/// The day in UTC.
fn today() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (year, month, day) = civil(seconds / 86_400);
    format!("{year:04}-{month:02}-{day:02}")
}

/// Year, month and day of a day counted from 1970-01-01, in the Gregorian calendar.
///
/// A year is taken to begin in March, so that the day that some years have more is the last one.
const fn civil(days_since_1970: u64) -> (u64, u64, u64) {
    // 400 years, after which the calendar repeats, and the days from 0000-03-01 to 1970-01-01.
    const ERA_DAYS: u64 = 146_097;
    let days = days_since_1970 + 719_468;
    let (era, day_of_era) = (days / ERA_DAYS, days % ERA_DAYS);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let (month, later) =
        if month_from_march < 10 { (month_from_march + 3, 0) } else { (month_from_march - 9, 1) };
    (era * 400 + year_of_era + later, month, day)
}

#[cfg(test)]
mod tests {
    use super::civil;

    #[test]
    fn a_day_has_its_date() {
        for (days, date) in [
            (0, (1970, 1, 1)),
            (58, (1970, 2, 28)),
            (59, (1970, 3, 1)),
            (11_016, (2000, 2, 29)),
            (11_017, (2000, 3, 1)),
            (19_782, (2024, 2, 29)),
            (20_781, (2026, 11, 24)),
            (47_540, (2100, 2, 28)),
            (47_541, (2100, 3, 1)),
        ] {
            assert_eq!(civil(days), date, "day {days}");
        }
    }
}
