//! Firecracker's and seccompiler's JSON: a filter for each thread.
//!
//! The meaning is seccompiler's (`src/frontend/json.rs`, `src/backend`): a rule's conditions must all hold, rules of a
//! call are alternatives, and all of a filter's rules answer alike.

mod action;
mod condition;
mod rule;

use super::draft::Draft;
use super::input::Input;
use super::json::{self, Fields, Reader, Unknown, Value};
use super::{Findings, Format, Imported, Options, action as shared, word};
use crate::action::Action;
use crate::language::{Diagnostic, Diagnostics, Policy, Source};

/// How many threads a file may have filters for; Firecracker has three kinds.
const MAX_THREADS: usize = 256;

/// Reads a file: a policy for each thread, or the one of `options.role`.
pub(crate) fn read(input: &Input, options: &Options) -> Result<Imported, Diagnostics> {
    let source = input.source()?;
    let mut findings = Findings::new(options.lossy);
    let policies = match json::parse(&source.text) {
        Ok(value) => {
            let mut reader = Reader { findings: &mut findings, unknown: Unknown::Refused };
            threads(&mut reader, &value, options, &source)
        }
        Err(error) => {
            findings.error(error);
            Vec::new()
        }
    };
    findings.finish(Format::Firecracker, policies, vec![source])
}

fn threads(reader: &mut Reader, value: &Value, options: &Options, source: &Source) -> Vec<Policy> {
    let Some(file) = reader.object(value, "a file of filters") else { return Vec::new() };
    let names: Vec<&str> = file.properties.iter().map(|property| property.name.as_str()).collect();
    if names.is_empty() {
        reader.error("the file has no filter", value, "no thread is named here");
    }
    if names.len() > MAX_THREADS {
        reader.error(format!("the file has more than {MAX_THREADS} filters"), value, "one for each thread");
        return Vec::new();
    }
    if let Some(wanted) = &options.role
        && !names.contains(&wanted.as_str())
    {
        let title = format!("the file has no thread `{wanted}`");
        reader.findings.error(
            Diagnostic::error(title, 0, json::place(value), "these threads alone")
                .help(format!("it has {}", names.join(", "))),
        );
    }
    let mut policies: Vec<Policy> = Vec::new();
    for property in &file.properties {
        let name = property.name.as_str();
        if options.role.as_ref().is_some_and(|wanted| wanted != name) {
            continue;
        }
        let role = word(name);
        if policies.iter().any(|policy| policy.role == role) {
            let title = format!("two filters are for thread `{role}`");
            reader.error(title, &property.name, "again here");
        }
        if let Some(draft) = filter(reader, &property.value, options) {
            policies.push(draft.policy(role, options, std::slice::from_ref(source), reader.findings));
        }
    }
    policies
}

/// The filter of one thread. The names of both versions of the format are taken, as seccompiler takes them.
fn filter(reader: &mut Reader, value: &Value, options: &Options) -> Option<Draft> {
    const WHAT: &str = "a filter";
    const DEFAULT: [&str; 2] = ["default_action", "mismatch_action"];
    const FIELDS: [&str; 5] = [DEFAULT[0], DEFAULT[1], "filter_action", "match_action", "filter"];
    let fields = reader.fields(value, WHAT, &FIELDS)?;
    let otherwise = action_of(reader, &fields, DEFAULT);
    let action = action_of(reader, &fields, ["filter_action", "match_action"]);
    let rules = reader.required(&fields, WHAT, "filter");
    let rules = rules.and_then(|rules| reader.array(rules, "`filter`"));
    let (otherwise, action) = (otherwise?, action?);
    if let Some(default) = fields.any(DEFAULT) {
        shared::x32(reader.findings, 0, json::place(default), (options.target(), otherwise));
    }
    if otherwise == action {
        let title = format!("the filter answers `{action}` to every call");
        reader.error(title, value, "both actions are the same");
    }
    let rules = rule::rules(reader, rules?, action, options.target());
    Some(Draft { otherwise, rules })
}

fn action_of(reader: &mut Reader, fields: &Fields, names: [&str; 2]) -> Option<Action> {
    let value = match fields.any(names) {
        None => reader.required(fields, "a filter", names[0]),
        found => found,
    };
    action::read(reader, value?)
}
