//! What was learned, for a person.

use std::fmt::Write as _;

use seccomp_policies::diff::{Extra, Extras};
use seccomp_policies::explain::Nearest;
use seccomp_policies::learn::{self, Beyond, Recording, Unseen, Used};

use super::report::{Group, Present, Report, UseOfRules};
use crate::cli::table::{self, Cell};

/// What of it is shown.
#[derive(Clone, Copy)]
pub(super) struct Shown {
    /// Each rule of the present policies.
    pub(super) rules: bool,
    /// The learned policies' texts.
    pub(super) policies: bool,
}

/// Calls beyond a policy that are shown of each group.
const MOST_BEYOND: usize = 10;

pub(super) fn text(recording: &Recording, report: &Report, shown: Shown) -> String {
    let mut text = format!("{}\n", recording.source());
    if report.groups.is_empty() {
        text.push_str("no thread made a call\n");
        return text;
    }
    text.push_str(&groups(report));
    for group in &report.groups {
        if let Some(present) = &group.present {
            text.push_str(&against(group, present, shown.rules));
        }
    }
    text.push_str(&figure(report));
    if shown.policies {
        let of_roles = report.groups.iter().filter(|group| group.thread.is_role).map(|group| &group.learned);
        let policies = of_roles.chain(report.together.as_ref().map(|together| &together.learned));
        // Writing to a string cannot fail.
        let _ = write!(text, "\n{}", learn::heading(recording));
        for policy in policies {
            let _ = write!(text, "\n{}", learn::text(policy, None));
        }
    }
    text
}

/// How far the present policies are used, in a line or two; nothing where there are none.
fn figure(report: &Report) -> String {
    let UseOfRules { used, excused, unused } = report.use_of_rules();
    let all = used + excused + unused.len();
    if all == 0 {
        return String::new();
    }
    let mut text = format!(
        "\nof {all} rules of the present policies {used} were used; {} were not, and {excused} more say why\n",
        unused.len()
    );
    if !unused.is_empty() {
        let _ = writeln!(text, "not used: {}", unused.join(", "));
    }
    text
}

fn groups(report: &Report) -> String {
    let row = |group: &Group| {
        let present = group.present.as_ref();
        let words = present.map_or_else(String::new, verdict);
        vec![
            Cell::from(group.thread.name.as_str()),
            Cell::Number(group.thread.threads.to_string()),
            Cell::Number(group.thread.calls.count().to_string()),
            Cell::from(group.thread.calls.called.len()),
            Cell::from(group.learned.rules.len()),
            Cell::Number(present.map_or_else(String::new, |present| {
                format!("{}/{}", present.coverage.used(), present.coverage.rules.len())
            })),
            Cell::from(words),
        ]
    };
    let header = ["thread", "threads", "calls", "kinds", "rules", "used", "against the present policy"];
    let mut rows: Vec<_> = report.groups.iter().map(row).collect();
    if let Some(together) = &report.together {
        rows.push(vec![
            Cell::from("all together"),
            Cell::from(""),
            Cell::Number(together.calls.count().to_string()),
            Cell::from(together.calls.called.len()),
            Cell::from(together.learned.rules.len()),
            Cell::from(""),
            Cell::from("from its start, for `policy exec`"),
        ]);
    }
    table::text(&header, rows)
}

/// How the present policy stands to what was seen, in a few words.
pub(super) fn verdict(present: &Present) -> String {
    if !present.coverage.beyond.is_empty() {
        return format!("does not allow {} of what was seen", counted(present.coverage.beyond.len(), "call"));
    }
    match (present.wider.is_empty(), present.is_narrower) {
        (true, true) => "the learned one allows less".to_owned(),
        (true, false) => "the learned one allows the same".to_owned(),
        (false, _) => "the learned one allows more, by generalization".to_owned(),
    }
}

fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

fn against(group: &Group, present: &Present, rules: bool) -> String {
    let mut text = String::new();
    let coverage = &present.coverage;
    let unused: Vec<&Used> = coverage.rules.iter().filter(|rule| rule.count == 0).collect();
    let has_words = !unused.is_empty()
        || !coverage.beyond.is_empty()
        || !coverage.refused.is_empty()
        || !present.wider.is_empty();
    if !has_words && !rules {
        return text;
    }
    let _ = writeln!(text, "\n{}, against the present policy:", group.thread.name);
    for beyond in coverage.beyond.iter().take(MOST_BEYOND) {
        text.push_str(&beyond_line(beyond));
    }
    if let Some(more @ 1..) = coverage.beyond.len().checked_sub(MOST_BEYOND) {
        let _ = writeln!(text, "  and {} more that it does not allow", counted(more, "call"));
    }
    for Unseen { call, count } in coverage.refused.iter().take(MOST_BEYOND) {
        let _ = writeln!(text, "  refused before its arguments could be seen, {count} times: {call}");
    }
    if let Some(more @ 1..) = coverage.refused.len().checked_sub(MOST_BEYOND) {
        let _ = writeln!(text, "  and {} more that were refused so", counted(more, "call"));
    }
    text.push_str(&wider(&present.wider));
    let shown: Vec<&Used> = if rules { coverage.rules.iter().collect() } else { unused };
    if !shown.is_empty() {
        text.push_str(&table::text(&["calls", "rule", "untested"], shown.into_iter().map(row).collect()));
    }
    text
}

fn row(rule: &Used) -> Vec<Cell> {
    let why = rule.untested.as_deref().unwrap_or_default();
    vec![Cell::Number(rule.count.to_string()), Cell::from(rule.rule.rule.as_str()), Cell::from(why)]
}

fn beyond_line(beyond: &Beyond) -> String {
    let Beyond { call, count, action, nearest } = beyond;
    let times = if *count == 1 { "once".to_owned() } else { format!("{count} times") };
    let mut text = format!("  not allowed ({action}), {times}: {call}\n");
    if let Some(Nearest { rule, failed }) = nearest {
        let _ = writeln!(text, "    nearest: {} -- {}", rule.rule, failed.join("; "));
    }
    text
}

fn wider(extras: &Extras) -> String {
    let mut text = String::new();
    for Extra { call, expression, example } in &extras.calls {
        let condition = match (expression, example) {
            (Some(expression), _) if expression.is_empty() => String::new(),
            (Some(expression), _) => format!(" {expression}"),
            (None, example) => format!(" for one, {}", example.as_deref().unwrap_or("some")),
        };
        let _ = writeln!(text, "  the learned one allows more: {call}:{condition}");
    }
    text
}
