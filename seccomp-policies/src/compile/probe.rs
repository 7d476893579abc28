//! Calls around everything that a policy's text compares with, and a program's answers to them.

use std::collections::BTreeSet;

use super::normal;
use crate::action::Action;
use crate::bpf::{Fault, Instruction, Invalid, interpret, validate};
use crate::call::Call;
use crate::language::{Condition, Policy, Relation, Rule, Test, Width};
use crate::syscalls::{Arch, X32_BIT};

/// i386, the other table of calls that an `x86_64` kernel serves: `AUDIT_ARCH_I386`, Linux
/// `include/uapi/linux/audit.h`.
const I386: u32 = 0x4000_0003;

/// What an upper half holds that the kernel is to ignore, or not.
const GARBAGE: u64 = 0xdead_beef_0000_0000;

/// Alternatives of one rule that calls are built for; of more, these are taken evenly.
const MAX_ALTERNATIVES: usize = 64;

/// A program that does not mean what its policy means.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfaithful {
    /// The kernel would refuse it.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// It could not be run to its end.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// It answers a call otherwise than the policy does.
    #[error(transparent)]
    Disagreement(#[from] Disagreement),
}

/// A call on which a program and its policy differ.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("for {call:x?} the policy says {expected}, its program returns {answered:#x}")]
pub struct Disagreement {
    /// The call.
    pub call: Call,
    /// What the policy says.
    pub expected: Action,
    /// What the program returns.
    pub answered: u32,
}

/// Holds a program against what a policy says of each call.
///
/// # Errors
/// [`Unfaithful`] for the first call on which they differ, or a program that the kernel would refuse.
pub fn verify(program: &[Instruction], policy: &Policy, calls: &[Call]) -> Result<(), Unfaithful> {
    validate(program)?;
    for call in calls {
        let expected = policy.decide(call);
        let answered = interpret(program, call)?.value;
        if answered != expected.to_return_value() {
            return Err(Disagreement { call: *call, expected, answered }.into());
        }
    }
    Ok(())
}

/// Calls chosen around the policy's numbers and constants: each just inside and just outside, with other
/// bits in the upper halves, under the x32 ABI, and from another architecture.
pub fn probes(policy: &Policy) -> Vec<Call> {
    let mut calls = numbers(policy);
    let near = near(policy);
    for rule in &policy.rules {
        let values = interesting_values(policy, rule.call.number);
        let bases = bases(rule, policy.arch);
        // Where a search by ranges goes astray, these arguments decide for another number.
        calls.extend(
            bases.first().into_iter().flat_map(|base| near.iter().map(|&number| Call { number, ..*base })),
        );
        for base in bases {
            calls.push(base);
            calls.extend(mistakable(base));
            calls.extend(values.iter().map(|&(argument, value)| with_argument(base, argument, value)));
        }
    }
    calls
}

/// Each number of the policy and its neighbours, with no argument set, in every way to make a call.
fn numbers(policy: &Policy) -> Vec<Call> {
    let archs = [policy.arch.audit_value(), foreign(policy.arch), I386, 0];
    let numbers: BTreeSet<u32> = near(policy)
        .into_iter()
        .chain([0, X32_BIT - 1, X32_BIT, 0x7fff_ffff, 0x8000_0000, u32::MAX - 1, u32::MAX])
        .flat_map(|number| [number, number | X32_BIT])
        .collect();
    numbers
        .into_iter()
        .flat_map(|number| archs.map(|arch| Call { number, arch, instruction_pointer: 0, arguments: [0; 6] }))
        .collect()
}

/// Each number of the policy and its neighbours.
fn near(policy: &Policy) -> BTreeSet<u32> {
    let named = policy.rules.iter().map(|rule| rule.call.number);
    named.flat_map(|number| [number.saturating_sub(1), number, number.saturating_add(1)]).collect()
}

fn foreign(arch: Arch) -> u32 {
    match arch {
        Arch::X86_64 => Arch::Aarch64.audit_value(),
        Arch::Aarch64 => Arch::X86_64.audit_value(),
    }
}

/// The call in the other ways to make it, which a program may take for its own.
fn mistakable(call: Call) -> [Call; 3] {
    [Call { number: call.number | X32_BIT, ..call }, Call { arch: I386, ..call }, Call { arch: 0, ..call }]
}

/// Calls that the rule matches, one for each alternative of its condition where one is found.
pub(super) fn bases(rule: &Rule, arch: Arch) -> Vec<Call> {
    let blank = Call {
        number: rule.call.number,
        arch: arch.audit_value(),
        instruction_pointer: 0x7fff_0000_1000,
        arguments: [0; 6],
    };
    if normal::count(&rule.condition) > super::reference::MAX_ALTERNATIVES {
        return vec![blank];
    }
    let alternatives = normal::alternatives(&rule.condition);
    let step = alternatives.len().div_ceil(MAX_ALTERNATIVES).max(1);
    alternatives.iter().step_by(step).map(|tests| satisfy(blank, tests)).collect()
}

/// Sets each argument to a value that passes all its tests, if one of those near their constants does.
fn satisfy(mut call: Call, tests: &[Test]) -> Call {
    for argument in 0..6 {
        let of_argument: Vec<&Test> = tests.iter().filter(|test| test.argument == argument).collect();
        let passing = of_argument
            .iter()
            .flat_map(|test| around(test.relation, test.width))
            .map(|value| with_argument(call, argument, value))
            .find(|candidate| of_argument.iter().all(|test| test.holds(candidate)));
        call = passing.unwrap_or(call);
    }
    call
}

/// Argument and value: every value around a constant that some rule compares that argument of the call with.
fn interesting_values(policy: &Policy, number: u32) -> BTreeSet<(u8, u64)> {
    policy
        .rules
        .iter()
        .filter(|rule| rule.call.number == number)
        .flat_map(|rule| tests(&rule.condition))
        .flat_map(|test| {
            around(test.relation, test.width).into_iter().map(move |value| (test.argument, value))
        })
        .collect()
}

/// Every test of the condition, whichever way it counts.
pub(super) fn tests(condition: &Condition) -> Vec<Test> {
    match condition {
        Condition::Always => Vec::new(),
        Condition::Test(test) => vec![*test],
        Condition::All(parts) | Condition::Any(parts) => parts.iter().flat_map(tests).collect(),
        Condition::Not(part) => tests(part),
    }
}

/// Values just inside and just outside, then each with another upper half.
fn around(relation: Relation, width: Width) -> Vec<u64> {
    let near: Vec<u64> = match relation {
        Relation::Equal(value)
        | Relation::NotEqual(value)
        | Relation::Less(value)
        | Relation::LessOrEqual(value)
        | Relation::Greater(value)
        | Relation::GreaterOrEqual(value) => {
            vec![value, value.wrapping_sub(1), value.wrapping_add(1), 0, u64::MAX]
        }
        Relation::Masked { mask, value } => {
            let bits = (0..u64::BITS).map(|bit| 1 << bit).filter(|bit| mask & bit != 0);
            bits.map(|bit| value ^ bit).chain([value, value | !mask, 0, u64::MAX]).collect()
        }
    };
    near.into_iter()
        .map(|value| value & width.mask())
        .flat_map(|value| [value, value ^ GARBAGE, value ^ (1 << 32), value ^ (1 << 63), value << 32])
        .collect()
}

fn with_argument(mut call: Call, argument: u8, value: u64) -> Call {
    call.arguments[usize::from(argument)] = value;
    call
}
