//! Profiles of the OCI runtime specification.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Error;
use super::cube::{Cube, EVERYTHING, cubes, merged};
use super::outline::{Decision, MAX_ALTERNATIVES, decisions, too_many};
use crate::action::Action;
use crate::language::{Policy, Relation, Test, Width};
use crate::syscalls::Arch;

const FORM: &str = "an OCI profile";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Profile<'a> {
    default_action: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    default_errno_ret: Option<u16>,
    architectures: [&'static str; 1],
    syscalls: Vec<Rule<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Rule<'a> {
    names: [&'static str; 1],
    action: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    errno_ret: Option<u16>,
    comment: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    args: Vec<Comparison>,
}

#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
struct Comparison {
    index: u8,
    value: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_two: Option<u64>,
    op: &'static str,
}

/// The policy as a profile for its architecture alone.
///
/// Runtimes compare 64 bits, and take several conditions on one argument as alternatives. A comparison of 32 bits, and
/// several of one argument that must all hold, become comparisons under a mask, as many as they need.
///
/// # Errors
/// Rules whose order counts, and rules that need too many comparisons.
pub fn oci(policy: &Policy) -> Result<String, Error> {
    let decisions = decisions(FORM, policy)?;
    let mut syscalls = Vec::new();
    for decision in &decisions {
        let args =
            all_arguments(decision).ok_or_else(|| Error::rule(FORM, decision.rule, too_many(usize::MAX)))?;
        let (action, errno_ret) = action(decision.rule.action);
        syscalls.extend(args.into_iter().map(|args| Rule {
            names: [decision.rule.call.name],
            action,
            errno_ret,
            comment: &decision.rule.reason,
            args,
        }));
    }
    let (default_action, default_errno_ret) = action(policy.otherwise);
    let architectures = [architecture(policy.arch)];
    Ok(super::pretty(&Profile { default_action, default_errno_ret, architectures, syscalls }))
}

const fn architecture(arch: Arch) -> &'static str {
    match arch {
        Arch::X86_64 => "SCMP_ARCH_X86_64",
        Arch::Aarch64 => "SCMP_ARCH_AARCH64",
    }
}

/// The `args` of each rule that a decision becomes; `None` for too many.
fn all_arguments(decision: &Decision) -> Option<Vec<Vec<Comparison>>> {
    let mut all = Vec::new();
    for tests in &decision.alternatives {
        all.extend(arguments(tests)?);
        if all.len() > MAX_ALTERNATIVES {
            return None;
        }
    }
    Some(all)
}

/// The `args` that together say that all of the tests hold; `None` for too many.
fn arguments(tests: &[Test]) -> Option<Vec<Vec<Comparison>>> {
    let mut by_argument: BTreeMap<u8, Vec<Test>> = BTreeMap::new();
    for test in tests {
        by_argument.entry(test.argument).or_default().push(*test);
    }
    let mut all: Vec<Vec<Comparison>> = vec![Vec::new()];
    for (argument, tests) in by_argument {
        let ways = of_one_argument(argument, &tests)?;
        if all.len().saturating_mul(ways.len()) > MAX_ALTERNATIVES {
            return None;
        }
        let joined = |args: &[Comparison], way: &Comparison| args.iter().chain([way]).copied().collect();
        all = all.iter().flat_map(|args| ways.iter().map(move |way| joined(args, way))).collect();
    }
    Some(all)
}

/// The comparisons of which one holds where all of the tests do.
fn of_one_argument(argument: u8, tests: &[Test]) -> Option<Vec<Comparison>> {
    if let [Test { width: Width::Bits64, relation, .. }] = tests {
        return Some(vec![comparison(argument, *relation)]);
    }
    let mut held = vec![EVERYTHING];
    for test in tests {
        let cubes = cubes(*test);
        held = held
            .iter()
            .flat_map(|one: &Cube| cubes.iter().filter_map(|other| one.intersection(*other)))
            .collect();
        if held.len() > MAX_ALTERNATIVES {
            return None;
        }
    }
    let relation = |Cube { mask, value }| {
        if mask == u64::MAX { Relation::Equal(value) } else { Relation::Masked { mask, value } }
    };
    Some(merged(&held).into_iter().map(|cube| comparison(argument, relation(cube))).collect())
}

fn comparison(index: u8, relation: Relation) -> Comparison {
    let (op, value) = match relation {
        Relation::Equal(value) => ("SCMP_CMP_EQ", value),
        Relation::NotEqual(value) => ("SCMP_CMP_NE", value),
        Relation::Less(value) => ("SCMP_CMP_LT", value),
        Relation::LessOrEqual(value) => ("SCMP_CMP_LE", value),
        Relation::Greater(value) => ("SCMP_CMP_GT", value),
        Relation::GreaterOrEqual(value) => ("SCMP_CMP_GE", value),
        Relation::Masked { mask, value } => {
            return Comparison { index, value: mask, value_two: Some(value), op: "SCMP_CMP_MASKED_EQ" };
        }
    };
    Comparison { index, value, value_two: None, op }
}

/// An action's name and, for an error, its number.
const fn action(action: Action) -> (&'static str, Option<u16>) {
    match action {
        Action::Allow => ("SCMP_ACT_ALLOW", None),
        Action::Errno(number) => ("SCMP_ACT_ERRNO", Some(number)),
        Action::Trap => ("SCMP_ACT_TRAP", None),
        Action::Log => ("SCMP_ACT_LOG", None),
        Action::KillThread => ("SCMP_ACT_KILL_THREAD", None),
        Action::KillProcess => ("SCMP_ACT_KILL_PROCESS", None),
    }
}
