//! What one policy allows and another does not, decided exactly and written as rules.

mod extra;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::explain::spelled;
use crate::language::Policy;
use crate::prove::{Answer, Calls, Decisions, Permission};
pub use extra::{Extra, Extras};

/// Version of the shape of [`Diff`] as JSON; it changes when a member changes its meaning or goes away.
pub const SCHEMA: u32 = 1;

/// Where two policies differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diff {
    /// [`SCHEMA`]
    pub schema: u32,
    /// What the first allows and the second does not.
    pub left_alone: Extras,
    /// What the second allows and the first does not.
    pub right_alone: Extras,
    /// Calls that both allow or both refuse, and answer differently.
    pub answers: Vec<OtherAnswer>,
}

/// Calls that two policies answer differently, and treat alike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OtherAnswer {
    /// The first policy's answer, as a policy spells it.
    pub left: String,
    /// The second's.
    pub right: String,
    /// The calls.
    pub calls: Extras,
}

impl Diff {
    /// Whether both allow the same calls.
    pub fn allows_the_same(&self) -> bool {
        self.left_alone.is_empty() && self.right_alone.is_empty()
    }
}

/// Compares what two policies of one architecture decide. A call that is carried out and logged is allowed.
///
/// # Panics
/// If the policies are of different architectures, whose calls have nothing in common.
pub fn diff(left: &Policy, right: &Policy) -> Diff {
    assert_eq!(left.arch, right.arch, "policies of two architectures");
    let (one, other) = (Decisions::of_policy(left), Decisions::of_policy(right));
    let (by_one, by_other) = (one.permitted(Permission::Granted), other.permitted(Permission::Granted));
    Diff {
        schema: SCHEMA,
        left_alone: Extras::of(&by_one.without(&by_other), left),
        right_alone: Extras::of(&by_other.without(&by_one), right),
        answers: answers(&one, &other, left),
    }
}

/// The calls that both let pass, or both do not, by each pair of different answers.
fn answers(one: &Decisions, other: &Decisions, policy: &Policy) -> Vec<OtherAnswer> {
    let mut found: BTreeMap<(Answer, Answer), Calls> = BTreeMap::new();
    for (left, by_left) in one.iter() {
        for (right, by_right) in other.iter() {
            let both = by_left.intersection(by_right);
            if left != right && left.permission() == right.permission() && !both.is_empty() {
                found.insert((left, right), both);
            }
        }
    }
    let found = found.into_iter();
    found
        .map(|((left, right), calls)| OtherAnswer {
            left: spelled_answer(left),
            right: spelled_answer(right),
            calls: Extras::of(&calls, policy),
        })
        .collect()
}

fn spelled_answer(answer: Answer) -> String {
    answer.action().map_or_else(|| answer.to_string(), spelled)
}

#[cfg(test)]
mod tests;
