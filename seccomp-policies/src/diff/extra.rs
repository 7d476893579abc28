//! A set of calls as rules, and as names where the arguments do not matter.

use std::ops::RangeInclusive;

use serde::Serialize;

use crate::call::Call;
use crate::language::{Policy, write_condition};
use crate::prove::{Calls, Space, condition_of};
use crate::syscalls::{Arch, Syscall, all, by_number, decode};

/// A set of calls that people can read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Extras {
    /// Calls of the table, in its order.
    pub calls: Vec<Extra>,
    /// Numbers that no call has, as first and last.
    pub numbers: Vec<(u32, u32)>,
}

/// Some calls of one number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Extra {
    /// The call's name.
    pub call: String,
    /// With which arguments, as in a rule; empty for any. `None` where that takes too long to write down.
    pub expression: Option<String>,
    /// Where it does: one of the calls.
    pub example: Option<String>,
}

impl Extras {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty() && self.numbers.is_empty()
    }

    /// The calls of a set that enter by the policy's architecture. Descriptors have the names of the policy's slots.
    pub(crate) fn of(calls: &Calls, policy: &Policy) -> Self {
        let table = all(policy.arch).iter();
        Self {
            calls: table.filter_map(|call| Extra::of(calls, call, policy)).collect(),
            numbers: unnamed(calls, policy.arch),
        }
    }
}

impl Extra {
    fn of(calls: &Calls, call: &'static Syscall, policy: &Policy) -> Option<Self> {
        let arguments = calls.of_call(policy.arch.audit_value(), call.number);
        if arguments.is_empty() {
            return None;
        }
        let condition = condition_of(&arguments, call).ok();
        let expression =
            condition.and_then(|condition| write_condition(policy.arch, call, &policy.slots, &condition));
        let example = expression.is_none().then(|| example(&arguments, call, policy.arch)).flatten();
        Some(Self { call: call.name.to_owned(), expression, example })
    }
}

fn example(arguments: &Calls, call: &Syscall, arch: Arch) -> Option<String> {
    let arguments = arguments.example()?;
    let (number, arch_value) = (call.number, arch.audit_value());
    Some(decode::call(arch, &Call { number, arch: arch_value, instruction_pointer: 0, arguments }))
}

/// The numbers in a set that no call has. Where they are too many to list, the whole of what they lie in.
fn unnamed(calls: &Calls, arch: Arch) -> Vec<(u32, u32)> {
    let space = Space::new();
    let unnamed =
        all(arch).iter().fold(calls.intersection(&space.of_arch(arch.audit_value())), |left, call| {
            if left.contains_number(arch.audit_value(), call.number) {
                left.without(&space.numbered(call.number))
            } else {
                left
            }
        });
    let ranges = unnamed.numbers(arch.audit_value()).unwrap_or_else(|| vec![0..=u32::MAX]);
    debug_assert!(ranges.iter().all(|range| by_number(arch, *range.start()).is_none()) || ranges.len() == 1);
    ranges.into_iter().map(RangeInclusive::into_inner).collect()
}
