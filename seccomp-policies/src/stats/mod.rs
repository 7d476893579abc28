//! What a policy comes to, by each backend.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::bpf::Program;
use crate::compile::{self, Error, Weights, measure, widen};
use crate::language::Policy;

/// Version of the shape of [`Stats`] as JSON; it changes when a member changes its meaning or goes away.
pub const SCHEMA: u32 = 1;

/// A policy in numbers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Stats {
    /// The role.
    pub role: String,
    /// How many rules there are.
    pub rules: usize,
    /// How many calls they name.
    pub calls: usize,
    /// What each backend makes of it.
    pub backends: Vec<Backend>,
    /// Tracing events that watch for its violations.
    pub events: usize,
    /// Calls that need no event, since they are allowed whatever their arguments.
    pub without_event: usize,
}

/// What a backend makes of a policy.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Backend {
    /// Its name.
    pub name: &'static str,
    /// What its program costs.
    pub program: Option<Cost>,
    /// Why there is none.
    pub error: Option<String>,
}

/// What a program costs, in instructions: [`compile::Measure`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cost {
    /// In the program.
    pub instructions: usize,
    /// Executed on average by allowed calls whose arguments decide; `None` where arguments decide nothing.
    pub mean: Option<f64>,
    /// Executed on the longest path.
    pub longest: usize,
    /// Calls that the kernel's action cache answers without the program.
    pub cached: usize,
    /// Calls that are allowed, at least with some arguments.
    pub allowed: usize,
    /// What each of these costs, in the order of their numbers.
    pub by_call: Vec<CallCost>,
}

/// What a program costs one call: [`compile::CallMeasure`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CallCost {
    /// Its name.
    pub call: &'static str,
    /// The kernel's action cache answers it, and nothing is executed.
    pub cached: bool,
    /// Instructions executed where the kernel has no such cache, or does not answer this call.
    pub executed: f64,
}

/// Compiles a policy by every backend and counts. `weights`: for the optimizing one.
pub fn stats(policy: &Policy, weights: &Weights) -> Stats {
    let named: BTreeSet<u32> = policy.rules.iter().map(|rule| rule.call.number).collect();
    let events = compile::event_filter(policy);
    Stats {
        role: policy.role.clone(),
        rules: policy.rules.len(),
        calls: named.len(),
        backends: vec![
            backend("optimizing", policy, compile::optimize(policy, weights)),
            backend("reference", policy, compile::reference(policy)),
            // Its program means what is left of the policy when arguments are not looked at.
            backend("bitmask", &widen(policy), compile::bitmask(policy)),
        ],
        events: events.watched.len(),
        without_event: events.unwatched.len(),
    }
}

fn backend(name: &'static str, meaning: &Policy, compiled: Result<Program, Error>) -> Backend {
    match compiled {
        Ok(program) => Backend { name, program: Some(Cost::of(meaning, &program)), error: None },
        Err(error) => Backend { name, program: None, error: Some(error.to_string()) },
    }
}

impl Cost {
    fn of(policy: &Policy, program: &Program) -> Self {
        let compile::Measure { length, mean, longest, cached, allowed } = measure(policy, program);
        let by_call = compile::measure_calls(policy, program).into_iter().map(CallCost::from).collect();
        Self { instructions: length, mean, longest, cached, allowed, by_call }
    }
}

impl From<compile::CallMeasure> for CallCost {
    fn from(compile::CallMeasure { call, cached, executed }: compile::CallMeasure) -> Self {
        Self { call: call.name, cached, executed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language;
    use crate::syscalls::Arch;

    #[test]
    fn every_backend_is_counted_by_the_same_measure() {
        let text = "role r\ntier filter\notherwise trap\nioctl: fd == 3 && cmd == KVM_RUN -- a\nclose: -- b\nclose: -- c\n";
        let text = text.replace("close: -- c\n", "getpid: -- c\n");
        let checked = language::check_sources("r.policy", &[("r.policy", &text)], Arch::X86_64).unwrap();
        let stats = stats(&checked.policy, &Weights::default());
        assert_eq!((stats.rules, stats.calls, stats.without_event), (3, 3, 2));
        let cost = |name| {
            let backend = stats.backends.iter().find(|backend| backend.name == name).unwrap();
            backend.program.as_ref().unwrap()
        };
        assert_eq!((cost("optimizing").cached, cost("optimizing").allowed), (2, 3));
        assert_eq!((cost("bitmask").cached, cost("bitmask").mean), (3, None));
        assert!(cost("optimizing").mean.unwrap() <= cost("reference").mean.unwrap());
        let cached =
            |name| -> Vec<_> { cost(name).by_call.iter().map(|cost| (cost.call, cost.cached)).collect() };
        assert_eq!(cached("optimizing"), [("close", true), ("ioctl", false), ("getpid", true)]);
        assert!(cached("bitmask").iter().all(|(_, cached)| *cached), "numbers alone decide");
        let of_ioctl = |name| cost(name).by_call.iter().find(|cost| cost.call == "ioctl").unwrap().executed;
        assert_eq!(Some(of_ioctl("optimizing")), cost("optimizing").mean, "the one whose arguments decide");
    }

    #[test]
    fn a_backend_that_fails_says_why_and_the_others_count() {
        let text = "role r\ntier strict\notherwise kill\nread: -- a\n";
        let checked = language::check_sources("r.policy", &[("r.policy", text)], Arch::X86_64).unwrap();
        let stats = stats(&checked.policy, &Weights::default());
        assert!(stats.backends.iter().all(|backend| backend.error.as_ref().unwrap().contains("strict")));
    }
}
