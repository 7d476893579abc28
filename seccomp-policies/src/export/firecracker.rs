//! Firecracker's and seccompiler's JSON.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use super::outline::{Decision, decisions};
use super::{Error, other_than};
use crate::action::Action;
use crate::language::{Policy, Relation, Test, Width, verdict};

const FORM: &str = "Firecracker's JSON";

#[derive(Serialize)]
struct Thread<'a> {
    default_action: Value,
    filter_action: Value,
    filter: Vec<Rule<'a>>,
}

#[derive(Serialize)]
struct Rule<'a> {
    syscall: &'static str,
    comment: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    args: Vec<Comparison>,
}

#[derive(Serialize)]
struct Comparison {
    index: u8,
    r#type: &'static str,
    op: Value,
    val: u64,
}

/// The policies as one file, each role a thread.
///
/// # Errors
/// Rules of different actions, since a filter has one for all, rules whose order counts, and two policies of one role.
pub fn firecracker(policies: &[Policy]) -> Result<String, Error> {
    let mut decided = Vec::new();
    for policy in policies {
        decided.push((policy, decisions(FORM, policy)?));
    }
    let mut file = BTreeMap::new();
    for (policy, decisions) in &decided {
        if file.insert(policy.role.as_str(), filter(policy, decisions)?).is_some() {
            return Err(Error::policy(FORM, policy, "two policies are for this role; rename one"));
        }
    }
    Ok(super::pretty(&file))
}

fn filter<'a>(policy: &Policy, decisions: &'a [Decision]) -> Result<Thread<'a>, Error> {
    if policy.beyond().is_some() {
        let why = "its `otherwise allow` ends the process at a call of the x32 ABI, and seccompiler would let it through, \
                   past every rule; name what is allowed, or export it as an OCI profile";
        return Err(Error::policy(FORM, policy, why));
    }
    let actual = decisions.first().map_or(other_than(policy.otherwise), |decision| decision.rule.action);
    if let Some(other) = decisions.iter().find(|decision| decision.rule.action != actual) {
        let why = format!(
            "it answers `{}`, and rules before it `{}`; a filter has one action for all of its rules",
            verdict(other.rule.action),
            verdict(actual)
        );
        return Err(Error::rule(FORM, other.rule, why));
    }
    let rules = decisions.iter().flat_map(|decision| {
        decision.alternatives.iter().map(|tests| Rule {
            syscall: decision.rule.call.name,
            comment: &decision.rule.reason,
            args: tests.iter().map(comparison).collect(),
        })
    });
    Ok(Thread {
        default_action: action(policy.otherwise),
        filter_action: action(actual),
        filter: rules.collect(),
    })
}

fn comparison(test: &Test) -> Comparison {
    let (op, val): (Value, u64) = match test.relation {
        Relation::Equal(value) => ("eq".into(), value),
        Relation::NotEqual(value) => ("ne".into(), value),
        Relation::Less(value) => ("lt".into(), value),
        Relation::LessOrEqual(value) => ("le".into(), value),
        Relation::Greater(value) => ("gt".into(), value),
        Relation::GreaterOrEqual(value) => ("ge".into(), value),
        Relation::Masked { mask, value } => (json!({ "masked_eq": mask }), value),
    };
    let r#type = match test.width {
        Width::Bits32 => "dword",
        Width::Bits64 => "qword",
    };
    Comparison { index: test.argument, r#type, op, val }
}

fn action(action: Action) -> Value {
    match action {
        Action::Allow => "allow".into(),
        Action::Errno(number) => json!({ "errno": number }),
        Action::Trap => "trap".into(),
        Action::Log => "log".into(),
        Action::KillThread => "kill_thread".into(),
        Action::KillProcess => "kill_process".into(),
    }
}
