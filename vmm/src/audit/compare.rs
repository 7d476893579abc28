//! Two reports of an audit, and what has changed between them.
//!
//! Reports are taken apart into facts: a subject (a role, a thread), what is said of it, and what that is. What an audit
//! finds another time by chance (numbers of processes and threads, times) is none.
#![forbid(unsafe_code)]

use std::collections::{BTreeMap, BTreeSet};

use seccomp_policies::explain::condition_of;
use serde::Serialize;
use serde_json::Value;

/// Version of the shape of [`Comparison`] as JSON; it changes when a member changes its meaning or goes away.
const SCHEMA: u32 = 1;

/// Of the shapes of reports, the one that is read here.
const READ_SCHEMA: u64 = 1;

/// What has changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Comparison {
    report: &'static str,
    schema: u32,
    /// Whether nothing has.
    pub equal: bool,
    /// By subject, and what is said of it.
    pub changes: Vec<Change>,
}

/// A fact that has changed, has come or has gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// `role vcpu`, `thread rf-io of rf-main`.
    pub subject: String,
    /// What is said of it: `call ioctl`, `descriptor 3`.
    pub fact: String,
    /// What was so; none for what is new.
    pub old: Option<String>,
    /// What is so; none for what is gone.
    pub new: Option<String>,
}

/// Why two reports cannot be compared.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Another thing.
    #[error("is no report of `audit policies --json` or `audit live --json`")]
    NoReport,
    /// Of another version of this program.
    #[error("has schema {schema}, and this program reads {READ_SCHEMA}: make it anew")]
    Schema {
        /// Its schema.
        schema: u64,
    },
}

type Facts = BTreeMap<(String, String), String>;

/// What a report is of: `policies` or `live`.
///
/// # Errors
/// See [`Error`].
pub fn kind(report: &Value) -> Result<&'static str, Error> {
    let kind = ["policies", "live"].into_iter().find(|kind| report["report"] == *kind);
    match (kind, report["schema"].as_u64()) {
        (Some(kind), Some(READ_SCHEMA)) => Ok(kind),
        (Some(_), Some(schema)) => Err(Error::Schema { schema }),
        _ => Err(Error::NoReport),
    }
}

/// Compares two reports of one kind.
pub fn compare(old: &Value, new: &Value) -> Comparison {
    let (old, new) = (facts(old), facts(new));
    let keys: BTreeSet<_> = old.keys().chain(new.keys()).collect();
    let changes: Vec<Change> = keys
        .into_iter()
        .filter(|key| old.get(key) != new.get(key))
        .map(|key| Change {
            subject: key.0.clone(),
            fact: key.1.clone(),
            old: old.get(key).cloned(),
            new: new.get(key).cloned(),
        })
        .collect();
    Comparison { report: "diff", schema: SCHEMA, equal: changes.is_empty(), changes }
}

fn facts(report: &Value) -> Facts {
    if report["report"] == "policies" { of_policies(report) } else { of_live(report) }
}

fn of_policies(report: &Value) -> Facts {
    let mut facts = Facts::new();
    for (index, role) in list(&report["roles"]).enumerate() {
        let subject = format!("role {}", text(&role["role"]));
        let mut say = |fact: String, value: String| facts.insert((subject.clone(), fact), value);
        say("tier".into(), text(&role["tier"]));
        say("otherwise".into(), text(&role["otherwise"]));
        for slot in list(&role["slots"]) {
            let numbers = format!("{}..{}", slot["first"], slot["last"]);
            say(format!("descriptor {}", text(&slot["name"])), numbers);
        }
        for row in list(&report["calls"]) {
            let cell = &row["cells"][index];
            if cell["verdict"] != "refused" {
                let rules: Vec<String> =
                    list(&cell["rules"]).map(|rule| condition_of(&text(&rule["rule"])).to_owned()).collect();
                // One that no rule names is let through by what the policy says of all others.
                let rules = if rules.is_empty() { condition_of("").to_owned() } else { rules.join(" | ") };
                say(format!("call {}", text(&row["call"])), rules);
            }
        }
        for ability in list(&report["abilities"]).filter(|ability| !ability["by"][index].is_null()) {
            say(format!("can {}", text(&ability["ability"])), "yes".into());
        }
    }
    facts
}

fn of_live(report: &Value) -> Facts {
    let mut facts = Facts::new();
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for process in list(&report["processes"]) {
        for thread in list(&process["threads"]) {
            let name = format!("thread {} of {}", text(&thread["name"]), text(&process["name"]));
            // Several of one name are told apart by their order.
            let count = seen.entry(name.clone()).or_default();
            *count += 1;
            let subject = if *count == 1 { name } else { format!("{name}, number {count}") };
            let mut say = |fact: String, value: String| facts.insert((subject.clone(), fact), value);
            for member in ["seccomp", "finding", "role", "tier", "on_violation", "own_descriptors"] {
                say(member.into(), text(&thread[member]));
            }
            say("no_new_privs".into(), text(&thread["no_new_privs"]));
            say("capabilities".into(), format!("{:#x}", thread["capabilities"].as_u64().unwrap_or_default()));
            let filters: Vec<String> = list(&thread["filters"]).map(described).collect();
            say("filters".into(), filters.join(", "));
            for descriptor in list(&thread["descriptors"]) {
                say(format!("descriptor {}", descriptor["number"]), object(&text(&descriptor["object"])));
            }
            for (index, deviation) in list(&thread["deviations"]).enumerate() {
                say(format!("deviation {}", index + 1), text(deviation));
            }
        }
    }
    facts
}

/// A program in a few words that another one has not: its length, and a sum over its instructions (FNV-1a, 64 bits).
fn described(filter: &Value) -> String {
    let text = filter["program"].to_string();
    let sum = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    format!("{} instructions, sum {sum:016x}", filter["instructions"])
}

/// What `/proc` calls an object, without the number that it has by chance.
fn object(name: &str) -> String {
    match name.split_once(":[") {
        Some((kind @ ("pipe" | "socket"), _)) => kind.to_owned(),
        _ => name.to_owned(),
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_two_audits_find_differently_is_told_and_numbers_of_chance_are_not() {
        let live = |tid: u32, socket: u32, program: &[[u32; 4]]| {
            json!({ "report": "live", "schema": 1, "processes": [{ "pid": tid, "name": "p", "threads": [{
                "tid": tid, "name": "t", "seccomp": "filter", "no_new_privs": true, "capabilities": 0,
                "filters": [{ "instructions": 1, "program": program }], "own_descriptors": true,
                "descriptors": [{ "number": 3, "object": format!("socket:[{socket}]") }],
                "finding": "build", "role": "io", "tier": "filter", "on_violation": "trap", "deviations": []
            }] }] })
        };
        let allow = &[[6, 0, 0, 0x7fff_0000]];
        assert!(compare(&live(1, 1, allow), &live(2, 2, allow)).equal);
        let comparison = compare(&live(1, 1, allow), &live(1, 1, &[[6, 0, 0, 0]]));
        assert_eq!(comparison.changes.len(), 1);
        assert_eq!(
            (comparison.changes[0].subject.as_str(), comparison.changes[0].fact.as_str()),
            ("thread t of p", "filters")
        );
    }

    #[test]
    fn what_is_no_report_or_of_another_schema_is_refused() {
        assert_eq!(kind(&json!([])), Err(Error::NoReport));
        assert_eq!(kind(&json!({ "report": "policies", "schema": 9 })), Err(Error::Schema { schema: 9 }));
        assert_eq!(kind(&json!({ "report": "live", "schema": 1 })), Ok("live"));
    }
}
