//! What was learned, for programs.

use std::collections::BTreeMap;

use seccomp_policies::diff::Extra;
use seccomp_policies::learn::{self, Coverage, RULES, Recording};
use serde::Serialize;

use super::report;

/// Version of the report's shape; it changes when a member changes its meaning or goes away.
const SCHEMA: u32 = 1;

/// What `audit learn --json` prints: `docs/audit-schema.md`.
#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "every report of an audit says in this member what it is")]
pub(super) struct Report<'a> {
    report: &'static str,
    schema: u32,
    commands: &'a [String],
    runs: u64,
    kernel: &'a str,
    date: &'a str,
    by: Vec<&'a str>,
    lost: u64,
    rules: &'static [&'static str],
    threads: Vec<Thread<'a>>,
    together: Option<Together>,
}

#[derive(Serialize)]
struct Thread<'a> {
    name: &'a str,
    is_role: bool,
    threads: u64,
    calls: BTreeMap<&'a str, u64>,
    policy: String,
    present: Option<Present<'a>>,
}

#[derive(Serialize)]
struct Present<'a> {
    coverage: &'a Coverage,
    used: usize,
    wider: &'a [Extra],
    learned_allows_less: bool,
}

#[derive(Serialize)]
struct Together {
    policy: String,
}

impl<'a> Report<'a> {
    pub(super) fn new(recording: &'a Recording, report: &'a report::Report) -> Self {
        let thread = |group: &'a report::Group| Thread {
            name: &group.thread.name,
            is_role: group.thread.is_role,
            threads: group.thread.threads,
            calls: group
                .thread
                .calls
                .called
                .iter()
                .map(|(name, called)| (name.as_str(), called.count()))
                .collect(),
            policy: learn::text(&group.learned, None),
            present: group.present.as_ref().map(|present| Present {
                coverage: &present.coverage,
                used: present.coverage.used(),
                wider: &present.wider.calls,
                learned_allows_less: present.is_narrower,
            }),
        };
        let together =
            |together: &report::Together| Together { policy: learn::text(&together.learned, None) };
        Self {
            report: "learned",
            schema: SCHEMA,
            commands: &recording.commands,
            runs: recording.runs,
            kernel: &recording.kernel,
            date: &recording.date,
            by: recording.by.iter().map(String::as_str).collect(),
            lost: recording.lost,
            rules: &RULES,
            threads: report.groups.iter().map(thread).collect(),
            together: report.together.as_ref().map(together),
        }
    }
}
