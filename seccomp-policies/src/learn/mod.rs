//! What threads were seen to ask of the kernel, and the tightest policy that would have let them.
//!
//! A [`Recording`] is what some tool saw: of each group of threads every call that differs in more than an address, and how
//! often. [`learn`] makes a policy of it by a few rules of generalization, which [`RULES`] says in words and which each
//! rule of the policy gives its evidence for; [`Coverage`] is how far a policy that exists is used by what was seen.
//! What a thread did before it confined itself is kept apart: its policy does not speak of it.

mod coverage;
mod generalize;
mod kind;
mod names;
mod recording;
mod slots;

use std::fmt::Write as _;

use crate::action::Action;
use crate::diff::Extras;
use crate::language::{Condition, Policy, Rule, Tier, write, write_condition};
use crate::profile::Profile;
use crate::prove::Space;
use crate::review::allowed;
use crate::syscalls::{Arch, Syscall, by_name};

pub use coverage::{Beyond, Coverage, Unseen, Used};
pub use names::Names;
pub use recording::{Called, Calls, Mismatch, Object, Recording, SCHEMA, Thread};

use slots::Slots;

/// How values that were seen become conditions, a line each.
pub const RULES: [&str; 9] = [
    "addresses: null or not is all that is asked, and only where every one was null",
    "descriptors: the numbers seen, in slots by what lay behind them; numbers between two of one kind belong to it",
    "choices (commands, operations, protections) and flags: the values seen; more than 8 combinations of flags: no other bit",
    "numbers: up to 4 values as they were, if each came 8 times or is at most 64; else at most 4096 or the next power of two",
    "memory: where and how much of it is an allocator's to choose: any address, lengths as numbers that vary",
    "processes, threads, users: 0 and -1 where it was one of them alone, else any, since another run has others",
    "arguments that the operation does not read, limits of waits, exit codes, what a futex is compared with: any",
    "a thread that wakes by a futex may wait by one, and the other way: the order of threads decides which",
    "a thread that waits with a limit may go on after a stop: restart_syscall",
];

/// What a policy is to be made of.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The role's name, as a policy spells one.
    pub role: &'a str,
    /// The calls.
    pub calls: &'a Calls,
    /// What becomes of every other call.
    pub otherwise: Action,
    /// A policy that the threads have: its slots give descriptors their names.
    pub present: Option<&'a Policy>,
}

/// The tightest policy by the [rules of generalization](RULES) that lets the calls through. No generalization goes beyond
/// what the present policy allows: there the next power of two is the bound, or the greatest number that was
/// seen, or the numbers themselves.
pub fn learn(arch: Arch, request: &Request) -> Policy {
    let Request { role, calls, otherwise, present } = *request;
    let slots = Slots::of(arch, calls, present);
    let allowed = present.map(allowed);
    let space = Space::new();
    let bound = |call: &'static Syscall, condition: &Condition| {
        allowed.as_ref().is_none_or(|allowed| {
            allowed.of_call(arch.audit_value(), call.number).covers(&space.calls(condition))
        })
    };
    let mut rules = Vec::new();
    for (name, called) in &calls.called {
        let Some(call) = by_name(arch, name) else { continue };
        let conditions = generalize::generalize(call, called, &slots, &bound);
        rules.extend(
            conditions.into_iter().map(|(condition, reason)| rule(arch, call, condition, reason, &slots)),
        );
    }
    let companions = generalize::companions(arch, calls, &bound);
    rules.extend(
        companions.into_iter().map(|(call, condition, reason)| rule(arch, call, condition, reason, &slots)),
    );
    Policy { role: role.to_owned(), tier: Tier::Filter, otherwise, arch, slots: slots.used(&rules), rules }
}

fn rule(arch: Arch, call: &'static Syscall, condition: Condition, reason: String, slots: &Slots) -> Rule {
    let expression = write_condition(arch, call, slots.all(), &condition).unwrap_or_default();
    Rule { call, condition, action: Action::Allow, expression, reason, file: String::new(), line: 0 }
}

/// What a learned policy allows and the present one does not, and whether it allows less. A policy of strict mode
/// allows what the kernel does then.
pub fn compare(learned: &Policy, present: &Policy) -> (Extras, bool) {
    let (learned_allows, present_allows) = (allowed(learned), allowed(present));
    let wider = Extras::of(&learned_allows.without(&present_allows), learned);
    (wider, !present_allows.without(&learned_allows).is_empty())
}

/// Where a learned policy comes from and how, as comments above its text.
pub fn heading(recording: &Recording) -> String {
    let mut text = format!("# Learned from {}.\n# How values became conditions:\n", recording.source());
    for rule in RULES {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "# - {rule}");
    }
    text
}

/// The text of a learned policy, without its [heading]. `profile`: the file of its frequencies, beside it.
pub fn text(policy: &Policy, profile: Option<&str>) -> String {
    let written = write(policy);
    match (profile, written.split_once("\n\n")) {
        (Some(profile), Some((header, rest))) => format!("{header}\nfrequency \"{profile}\"\n\n{rest}"),
        _ => written,
    }
}

/// How often each call was made, as the compiler reads it.
pub fn profile(calls: &Calls, recording: &Recording) -> Profile {
    let counts = calls.called.iter().map(|(name, called)| (name.clone(), called.count())).collect();
    Profile {
        workload: recording.commands.join("; "),
        kernel: recording.kernel.clone(),
        date: recording.date.clone(),
        counts,
    }
}

#[cfg(test)]
mod tests;
