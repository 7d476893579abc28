//! JSON as `docs/audit-schema.md` has it: a table of members for each command.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

/// The members that a section of the document names.
fn documented(section: &str) -> BTreeSet<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/audit-schema.md");
    let text = fs::read_to_string(path).expect("the document is there");
    let (_, section) = text.split_once(&format!("\n## {section}\n")).expect("it has this section");
    let section = section.split_once("\n## ").map_or(section, |(section, _)| section);
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    rows.map(|(member, _)| member.to_owned()).collect()
}

/// The members of a value that hold something else than further ones.
fn members(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members_of) => {
            let dot = if path.is_empty() { "" } else { "." };
            members_of.iter().for_each(|(name, value)| members(value, &format!("{path}{dot}{name}"), found));
        }
        Value::Array(values) => values.iter().for_each(|value| members(value, &format!("{path}[]"), found)),
        _ => _ = found.insert(path.to_owned()),
    }
}

/// Asserts that reports have together the members that a section of the document names, and no other.
///
/// # Panics
/// Where they have not.
pub fn assert_documented(section: &str, reports: &[&Value]) {
    let mut found = BTreeSet::new();
    for report in reports {
        members(report, "", &mut found);
    }
    let documented = documented(section);
    // Null stands where a list or an object could.
    let could_be_more = |member: &String| {
        documented
            .iter()
            .any(|other| other.strip_prefix(member.as_str()).is_some_and(|rest| rest.starts_with(['[', '.'])))
    };
    found.retain(|member| documented.contains(member) || !could_be_more(member));
    assert_eq!(found, documented, "{section}");
}

/// The value with every object at this path as if it had one member, NAME: the fullest, since all are alike.
pub fn with_names(value: &Value, path: &[&str]) -> Value {
    let mut value = value.clone();
    match (path, &mut value) {
        (_, Value::Array(values)) => values.iter_mut().for_each(|one| *one = with_names(one, path)),
        ([], Value::Object(members)) => {
            let of_one = members.values().map(|one| ("NAME".to_owned(), one.clone()));
            let fullest = of_one.max_by_key(|(_, one)| one.to_string().len());
            *members = fullest.into_iter().collect();
        }
        ([first, rest @ ..], Value::Object(members)) => {
            if let Some(member) = members.get_mut(*first) {
                *member = with_names(member, rest);
            }
        }
        _ => {}
    }
    value
}
