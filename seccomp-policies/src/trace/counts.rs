//! How often each call was made, from whatever tool counted or showed them.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Skipped, strace};
use crate::syscalls::{Arch, by_name, name_of};

/// Counts by the kernel's names, and what of the text could not be used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// How often each call was made.
    pub calls: BTreeMap<String, u64>,
    /// Lines that were not used.
    pub skipped: Vec<Skipped>,
}

/// Why there are no counts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No call was found.
    #[error(
        "there is no call in it; give what strace, strace -c or perf trace -s wrote, or a report of \
         `ringfence run --count-calls --report`"
    )]
    NoCall,
    /// JSON of another kind.
    #[error("it is JSON, and no report of `ringfence run`: {0}")]
    NoReport(String),
    /// A report of a run that did not count.
    #[error("the report has no counts; run with --count-calls")]
    NotCounted,
    /// No thread of the report has the role.
    #[error("no thread of the report has the role {asked}; there are {}", known.join(", "))]
    UnknownRole {
        /// What was asked for.
        asked: String,
        /// The roles of the report.
        known: Vec<String>,
    },
}

/// Counts the calls of an `strace` log or a list, or reads the table of `strace -c` or `perf trace -s`, or the report of
/// a run; the text says which it is. `role`: of a report, the threads that count; all without it.
///
/// # Errors
/// See [`Error`].
pub fn counts(text: &str, arch: Arch, role: Option<&str>) -> Result<Counts, Error> {
    let counts = if text.trim_start().starts_with('{') {
        of_report(text, role)?
    } else if text.lines().any(|line| Column::of_header(line).is_some()) {
        of_tables(text, arch)
    } else {
        of_log(text, arch)
    };
    if counts.calls.is_empty() { Err(Error::NoCall) } else { Ok(counts) }
}

fn of_log(text: &str, arch: Arch) -> Counts {
    let trace = strace::calls(text, arch);
    let mut calls = BTreeMap::new();
    for name in trace.calls.iter().filter_map(|call| name_of(arch, call.pattern.number)) {
        *calls.entry(name.to_owned()).or_default() += 1;
    }
    Counts { calls, skipped: trace.skipped }
}

/// Which word of a row is the call, and which its count.
#[derive(Clone, Copy)]
enum Column {
    /// `strace -c`: time, seconds, time of a call, count, errors if any, name.
    Strace,
    /// `perf trace -s`: name, count, and more.
    Perf,
}

impl Column {
    fn of_header(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace();
        let first = words.next()?;
        match (first, words.next_back(), line.contains(" calls ")) {
            ("syscall", _, true) => Some(Self::Perf),
            ("%", Some("syscall"), true) => Some(Self::Strace),
            _ => None,
        }
    }

    /// Name and count of a row; `None` for a line between rows.
    fn row(self, line: &str) -> Option<(&str, u64)> {
        let words: Vec<_> = line.split_whitespace().collect();
        let (name, count) = match (self, words.as_slice()) {
            (Self::Strace, [_, _, _, count, .., name]) if words.len() <= 6 => (*name, *count),
            (Self::Perf, [name, count, _, ..]) => (*name, *count),
            _ => return None,
        };
        let is_name = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
        Some((name, count.parse().ok()?)).filter(|_| is_name && name != "total")
    }
}

/// Adds to the count of a call. A text may claim any counts, so that their sum may be more than can be counted.
fn add(calls: &mut BTreeMap<String, u64>, name: &str, count: u64) {
    let sum = calls.entry(name.to_owned()).or_default();
    *sum = sum.saturating_add(count);
}

/// A table for each process, or one for all.
fn of_tables(text: &str, arch: Arch) -> Counts {
    let mut counts = Counts::default();
    let mut column = None;
    for (number, line) in (1..).zip(text.lines()) {
        column = Column::of_header(line).or(column);
        let Some((name, count)) = column.and_then(|column| column.row(line)) else { continue };
        if by_name(arch, name).is_some() {
            add(&mut counts.calls, name, count);
        } else {
            counts.skipped.push(Skipped { line: number, why: format!("unknown call `{name}`") });
        }
    }
    counts
}

/// What a report of a run says of its threads.
#[derive(Deserialize)]
struct Report {
    threads: Vec<Thread>,
}

#[derive(Deserialize)]
struct Thread {
    role: String,
    calls_used: Option<BTreeMap<String, u64>>,
}

fn of_report(text: &str, role: Option<&str>) -> Result<Counts, Error> {
    let report: Report = serde_json::from_str(text).map_err(|error| Error::NoReport(error.to_string()))?;
    let mut known: Vec<_> = report.threads.iter().map(|thread| thread.role.clone()).collect();
    known.dedup();
    if let Some(asked) = role.filter(|asked| !known.iter().any(|known| known == asked)) {
        return Err(Error::UnknownRole { asked: asked.to_owned(), known });
    }
    let mut calls = BTreeMap::new();
    for thread in report.threads.iter().filter(|thread| role.is_none_or(|role| thread.role == role)) {
        for (name, count) in thread.calls_used.as_ref().ok_or(Error::NotCounted)? {
            add(&mut calls, name, *count);
        }
    }
    Ok(Counts { calls, skipped: Vec::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(text: &str, role: Option<&str>) -> Vec<(String, u64)> {
        let counts = counts(text, Arch::X86_64, role).unwrap_or_else(|error| panic!("{error}"));
        counts.calls.into_iter().collect()
    }

    fn listed(counts: &[(&str, u64)]) -> Vec<(String, u64)> {
        counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
    }

    #[test]
    fn calls_of_a_log_are_counted() {
        let log = "7 read(3, \"\", 1) = 0\n7 close(3) = 0\n8 read(4, <unfinished ...>\n";
        assert_eq!(counted(log, None), listed(&[("close", 1), ("read", 2)]));
    }

    #[test]
    fn the_table_of_strace_has_counts_with_and_without_errors() {
        let table = "\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 71.13    0.000685         228         3         1 wait4
  6.85    0.000066           1        51           close
------ ----------- ----------- --------- --------- ----------------
100.00    0.000963           3       269        31 total
";
        assert_eq!(counted(table, None), listed(&[("close", 51), ("wait4", 3)]));
    }

    #[test]
    fn the_tables_of_perf_are_added_up() {
        let tables = "
 Summary of events:

 ls (71), 20 events, 52.6%

   syscall            calls  errors  total       min       avg       max       stddev
                                     (msec)    (msec)    (msec)    (msec)        (%)
   --------------- --------  ------ -------- --------- --------- ---------     ------
   mmap                  23      0     0.152     0.004     0.007     0.013      7.69%
   close                  2      1     0.001     0.000     0.001     0.001      0.00%

 cat (72), 18 events, 47.4%

   syscall            calls  errors  total       min       avg       max       stddev
   --------------- --------  ------ -------- --------- --------- ---------     ------
   mmap                   4      0     0.152     0.004     0.007     0.013      7.69%
";
        assert_eq!(counted(tables, None), listed(&[("close", 2), ("mmap", 27)]));
    }

    #[test]
    fn counts_beyond_counting_stay_at_the_most() {
        let table = "syscall calls errors\nread 18446744073709551615 0\nread 18446744073709551615 0\n";
        assert_eq!(counted(table, None), listed(&[("read", u64::MAX)]));
        let threads = r#"{ "role": "io", "calls_used": { "read": 18446744073709551615 } }"#;
        let report = format!(r#"{{ "threads": [{threads}, {threads}] }}"#);
        assert_eq!(counted(&report, None), listed(&[("read", u64::MAX)]));
    }

    #[test]
    fn the_report_of_a_run_counts_by_role() {
        let report = r#"{ "schema": 1, "threads": [
            { "thread": "rf-vcpu0", "role": "vcpu", "calls_used": { "ioctl": 9, "write": 1 } },
            { "thread": "rf-vcpu1", "role": "vcpu", "calls_used": { "ioctl": 2 } },
            { "thread": "rf-io", "role": "io", "calls_used": { "read": 5 } }
        ] }"#;
        assert_eq!(counted(report, Some("vcpu")), listed(&[("ioctl", 11), ("write", 1)]));
        assert_eq!(counted(report, None).len(), 3);
        let error = counts(report, Arch::X86_64, Some("main")).unwrap_err().to_string();
        assert_eq!(error, "no thread of the report has the role main; there are vcpu, io");
        let quiet = report.replace(r#"{ "read": 5 }"#, "null");
        assert_eq!(counts(&quiet, Arch::X86_64, Some("io")), Err(Error::NotCounted));
        assert!(counted(&quiet, Some("vcpu")).len() == 2, "the others' silence does not matter");
    }

    #[test]
    fn a_text_without_calls_is_an_error_that_says_what_would_do() {
        let error = counts("nothing here\n", Arch::X86_64, None).unwrap_err().to_string();
        assert!(error.contains("strace -c"), "{error}");
        assert!(matches!(counts("{}", Arch::X86_64, None), Err(Error::NoReport(_))));
    }
}
