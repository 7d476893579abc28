//! How far a policy is used by what was seen, and what was seen beyond it.

use serde::Serialize;

use super::recording::Thread;
use crate::call::Call;
use crate::explain::{Cited, Nearest};
use crate::language::{Policy, Tier};
use crate::pattern::is_carried_out;
use crate::review::STRICT;
use crate::syscalls::decode;

/// A policy against what was seen of the threads that have it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Coverage {
    /// The policy's role.
    pub role: String,
    /// Its rules, in their order.
    pub rules: Vec<Used>,
    /// Calls that it does not allow, the most frequent first.
    pub beyond: Vec<Beyond>,
    /// Calls that were refused before anybody could see their arguments, and how often.
    pub refused: Vec<Unseen>,
}

/// Calls that were refused before anybody could see their arguments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unseen {
    /// The call's name.
    pub call: String,
    /// How often.
    pub count: u64,
}

/// A rule, and how often it decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Used {
    /// The rule.
    #[serde(flatten)]
    pub rule: Cited,
    /// How many calls it decided.
    pub count: u64,
    /// Why nothing is expected to use it: what its reason says after `untested:`, in parentheses.
    pub untested: Option<String>,
}

/// Calls that the policy does not allow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Beyond {
    /// One of them.
    pub call: String,
    /// How many there were with the same arguments, addresses aside.
    pub count: u64,
    /// What the policy does with it.
    pub action: String,
    /// The rule that nearly allows it, and what it lacks.
    pub nearest: Option<Nearest>,
}

impl Coverage {
    /// Holds the calls of a thread against its policy.
    pub fn of(policy: &Policy, thread: &Thread) -> Self {
        let mut counts = vec![0_u64; policy.rules.len()];
        let mut beyond = Vec::new();
        for (syscall, call, count) in thread.calls.each(policy.arch) {
            if let Some(index) = policy.matching_rule(&call) {
                counts[index] = counts[index].saturating_add(count);
            }
            let is_strict = policy.tier == Tier::Strict && STRICT.contains(&syscall.name);
            if !is_strict && !is_carried_out(policy.decide(&call)) {
                beyond.push(Beyond::new(policy, &call, count));
            }
        }
        beyond.sort_by_key(|call| std::cmp::Reverse(call.count));
        let used = policy.rules.iter().zip(counts);
        Self {
            role: policy.role.clone(),
            rules: used
                .map(|(rule, count)| Used { rule: Cited::new(rule), count, untested: untested(&rule.reason) })
                .collect(),
            beyond,
            refused: thread
                .refused
                .iter()
                .map(|(call, count)| Unseen { call: call.clone(), count: *count })
                .collect(),
        }
    }

    /// How many rules decided something.
    pub fn used(&self) -> usize {
        self.rules.iter().filter(|rule| rule.count > 0).count()
    }

    /// Rules that decided nothing, and of which their text does not say that nothing is to be expected.
    pub fn unused(&self) -> impl Iterator<Item = &Used> {
        self.rules.iter().filter(|rule| rule.count == 0 && rule.untested.is_none())
    }
}

impl Beyond {
    fn new(policy: &Policy, call: &Call, count: u64) -> Self {
        let nearest = policy.nearest_allowing(call, [true; 6]);
        Self {
            call: decode::call(policy.arch, call),
            count,
            action: crate::explain::spelled(policy.decide(call)),
            nearest: nearest
                .map(|refusal| Nearest { rule: Cited::new(refusal.rule), failed: refusal.failed }),
        }
    }
}

/// `(untested: WHY)` in a reason.
fn untested(reason: &str) -> Option<String> {
    let (_, rest) = reason.split_once("(untested: ")?;
    Some(rest.split_once(')')?.0.to_owned())
}
