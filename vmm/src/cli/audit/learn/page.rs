//! What was learned, as the page shows it.

use std::collections::{BTreeMap, BTreeSet};

use seccomp_policies::explain::Cited;
use seccomp_policies::language::Policy;
use seccomp_policies::learn::{Called, Coverage, Recording, Used};
use seccomp_policies::review::review;

use super::report::{Group, Report};
use super::text::verdict;
use crate::cli::audit::costs::Costs;
use crate::cli::audit::page::{self, Learned};

/// The page's text.
pub(super) fn page(recording: &Recording, report: &Report, costs: Option<&Costs>) -> String {
    let policies: Vec<Policy> = report.groups.iter().map(policy).collect();
    let title = format!("What {} was seen to ask of the kernel", recording.commands.join("; "));
    let learned = Learned {
        source: recording.source(),
        roles: report.groups.iter().map(|group| group.thread.name.clone()).collect(),
        rows: rows(report),
        sides: report.groups.iter().map(sides).collect(),
    };
    page::page(&title, &review(&policies), &[], Some(&learned), costs)
}

/// What a group of threads may do: by the policy that it has, or else by the one that was learned.
fn policy(group: &Group) -> Policy {
    let policy = group.present.as_ref().map_or(&group.learned, |present| present.policy);
    Policy { role: group.thread.name.clone(), ..policy.clone() }
}

/// A row for each call that somebody may make or has made.
fn rows(report: &Report) -> Vec<Row> {
    let calls: BTreeSet<&str> = report
        .groups
        .iter()
        .flat_map(|group| {
            let of_present = group.present.as_ref().map_or(&[][..], |present| &present.policy.rules);
            group
                .thread
                .calls
                .called
                .keys()
                .map(String::as_str)
                .chain(of_present.iter().map(|rule| rule.call.name))
        })
        .collect();
    let row = |call: &str| Row {
        call: call.to_owned(),
        cells: report.groups.iter().map(|group| Cell::new(call, group)).collect(),
    };
    calls.into_iter().map(row).collect()
}

/// A call, and how often each made it.
pub(in crate::cli::audit) struct Row {
    pub(in crate::cli::audit) call: String,
    pub(in crate::cli::audit) cells: Vec<Cell>,
}

/// How often threads made a call, and by which rules they may.
pub(in crate::cli::audit) struct Cell {
    /// `used`, `unused`, `refused` or `beyond`.
    pub(in crate::cli::audit) state: &'static str,
    pub(in crate::cli::audit) count: u64,
    /// 0 to 4: how often, in powers of a hundred.
    pub(in crate::cli::audit) heat: u8,
    pub(in crate::cli::audit) rules: Vec<Used>,
    /// Calls that the present policy does not allow.
    pub(in crate::cli::audit) beyond: Vec<String>,
}

impl Cell {
    fn new(call: &str, group: &Group) -> Self {
        let count = group.thread.calls.called.get(call).map_or(0, Called::count);
        let coverage = group.present.as_ref().map(|present| &present.coverage);
        let rules: Vec<Used> = coverage.map_or_else(Vec::new, |coverage| of_call(coverage, call));
        let begins = format!("{call}(");
        let beyond = coverage.into_iter().flat_map(|coverage| &coverage.beyond);
        let beyond: Vec<String> = beyond
            .filter(|beyond| beyond.call.starts_with(&begins))
            .map(|beyond| beyond.call.clone())
            .collect();
        let state = match (count, rules.is_empty()) {
            _ if !beyond.is_empty() => "beyond",
            (0, true) => "refused",
            (0, false) => "unused",
            _ => "used",
        };
        let heat = match count {
            0 => 0,
            1..=9 => 1,
            10..=999 => 2,
            1000..=99_999 => 3,
            _ => 4,
        };
        Self { state, count, heat, rules, beyond }
    }
}

fn of_call(coverage: &Coverage, call: &str) -> Vec<Used> {
    let begins = format!("{call}:");
    coverage.rules.iter().filter(|used| used.rule.rule.starts_with(&begins)).cloned().collect()
}

/// The policy that a group has and the one that was learned, side by side.
pub(in crate::cli::audit) struct Sides {
    pub(in crate::cli::audit) role: String,
    pub(in crate::cli::audit) verdict: String,
    pub(in crate::cli::audit) has_present: bool,
    pub(in crate::cli::audit) rows: Vec<SideRow>,
}

/// The rules of a call on both sides.
pub(in crate::cli::audit) struct SideRow {
    pub(in crate::cli::audit) call: String,
    pub(in crate::cli::audit) present: Vec<Used>,
    pub(in crate::cli::audit) learned: Vec<Cited>,
}

fn sides(group: &Group) -> Sides {
    let mut rows: BTreeMap<&str, SideRow> = BTreeMap::new();
    let of_present = group.present.as_ref().map_or(&[][..], |present| &present.policy.rules);
    for rule in of_present.iter().chain(&group.learned.rules) {
        let call = rule.call.name;
        let empty = || SideRow { call: call.to_owned(), present: Vec::new(), learned: Vec::new() };
        rows.entry(call).or_insert_with(empty);
    }
    for (call, row) in &mut rows {
        row.present =
            group.present.as_ref().map_or_else(Vec::new, |present| of_call(&present.coverage, call));
        let learned = group.learned.rules.iter().filter(|rule| rule.call.name == *call);
        row.learned = learned.map(Cited::new).collect();
    }
    Sides {
        role: group.thread.name.clone(),
        verdict: group.present.as_ref().map_or_else(|| "no policy was given for it".to_owned(), verdict),
        has_present: group.present.is_some(),
        rows: rows.into_values().collect(),
    }
}
