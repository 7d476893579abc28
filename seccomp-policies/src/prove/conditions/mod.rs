//! From a set of calls back to a condition that a person can read.
//!
//! A set is taken apart by the first register that decides: which values of it leave the same choice to the others
//! ([`split`]). Each group of values becomes the shortest test that fits ([`values`]), and what it leaves to the others is
//! taken apart in the same way.

mod cost;
mod cover;
mod split;
mod values;

use biodivine_lib_bdd::Bdd;

use self::cost::cost;
use self::split::split;
use self::values::condition_on;
use super::layout::{Field, REGISTERS};
use super::{Calls, Space};
use crate::language::{Condition, Width};
use crate::syscalls::Syscall;

/// Groups of values that a register is taken apart into, and alternatives that a condition comes to.
const MAX_ALTERNATIVES: usize = 512;

/// Alternatives among which ones without need are looked for, since each is compared with all others.
const MAX_COMPARED: usize = 64;

/// Why a set of calls is not written as a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Inexpressible {
    /// It is not about arguments alone.
    #[error(
        "it depends on the architecture, the number or the instruction pointer of a call, not on its arguments alone"
    )]
    BesideArguments,
    /// A program that computes can decide by more than a list of tests can say.
    #[error("it takes more than {MAX_ALTERNATIVES} alternatives to write down")]
    TooLong,
}

/// A condition that is met by exactly the calls of a set, with tests as few and plain as they come.
///
/// The set is about arguments alone, as [`Calls::of_call`] leaves it. The tests compare as many bits of an argument of
/// `syscall` as the kernel reads, unless the set is about others. An empty set is `Any` of nothing.
///
/// # Errors
/// [`Inexpressible`] for a set that is about more than arguments, or takes too many tests.
pub fn condition_of(calls: &Calls, syscall: &Syscall) -> Result<Condition, Inexpressible> {
    if [Field::Arch, Field::Number, Field::InstructionPointer]
        .into_iter()
        .any(|field| calls.depends_on(field))
    {
        return Err(Inexpressible::BesideArguments);
    }
    let space = Space::new();
    let widths = widths(syscall);
    let plain = alternatives(&space, &calls.0, &widths);
    // Few exceptions are shorter to write than all that is left.
    let inverted = alternatives(&space, &calls.0.not(), &widths).map(not);
    let condition = match (plain, inverted) {
        (Ok(plain), Ok(inverted)) if 2 * cost(&inverted) < cost(&plain) => inverted,
        (Err(_), Ok(inverted)) => inverted,
        (plain, _) => plain?,
    };
    assert!(space.calls(&condition) == *calls, "{condition:?} does not mean the set that it was made of");
    Ok(condition)
}

/// How many bits the kernel reads of each register.
fn widths(syscall: &Syscall) -> [Width; REGISTERS as usize] {
    std::array::from_fn(|register| {
        syscall.arguments.get(register).map_or(Width::Bits64, |argument| argument.width)
    })
}

fn not(condition: Condition) -> Condition {
    match condition {
        Condition::Always => Condition::Any(Vec::new()),
        Condition::Any(parts) if parts.is_empty() => Condition::Always,
        Condition::Not(part) => *part,
        other => Condition::Not(Box::new(other)),
    }
}

/// One way to be in the set: a group of values of the first register that decides, and what it leaves to the others.
fn alternatives(space: &Space, set: &Bdd, widths: &[Width]) -> Result<Condition, Inexpressible> {
    let Some(register) = (0..REGISTERS).find(|register| Calls(set.clone()).looks_at(*register)) else {
        return Ok(if set.is_true() { Condition::Always } else { Condition::Any(Vec::new()) });
    };
    let groups = split(set, Field::Argument(register), MAX_ALTERNATIVES).ok_or(Inexpressible::TooLong)?;
    let mut found = Vec::new();
    for (values, rest) in &groups {
        // Values that leave more are welcome to this group where that makes it shorter to write.
        let wider = groups.iter().filter(|(_, other)| rest.and_not(other).is_false());
        let wider = wider.fold(values.clone(), |wider, (more, _)| wider.or(more));
        let width = widths[usize::from(register)];
        let exact = condition_on(space, values, register, width);
        let wider = condition_on(space, &wider, register, width);
        let test = [exact, wider].into_iter().flatten().min_by_key(cost).ok_or(Inexpressible::TooLong)?;
        found.push(all(test, alternatives(space, rest, widths)?));
    }
    if found.len() <= MAX_COMPARED {
        drop_covered(space, &mut found);
    }
    Ok(any(found))
}

/// Both, without a level of its own for what is an `All` or `Always` already.
fn all(test: Condition, rest: Condition) -> Condition {
    match (test, rest) {
        (Condition::Always, only) | (only, Condition::Always) => only,
        (test, rest) => {
            let parts = [test, rest].into_iter().flat_map(|part| match part {
                Condition::All(parts) => parts,
                other => vec![other],
            });
            Condition::All(parts.collect())
        }
    }
}

/// One of these, without a level of its own for what is an `Any` already.
fn any(alternatives: Vec<Condition>) -> Condition {
    let mut parts: Vec<_> = alternatives
        .into_iter()
        .flat_map(|part| match part {
            Condition::Any(parts) => parts,
            other => vec![other],
        })
        .collect();
    if parts.len() == 1 { parts.remove(0) } else { Condition::Any(parts) }
}

/// Takes away alternatives that the others together cover, long ones first.
fn drop_covered(space: &Space, alternatives: &mut Vec<Condition>) {
    let mut by_cost: Vec<_> = (0..alternatives.len()).collect();
    by_cost.sort_by_key(|&index| std::cmp::Reverse(cost(&alternatives[index])));
    let sets: Vec<_> = alternatives.iter().map(|alternative| space.calls(alternative)).collect();
    let mut kept = vec![true; alternatives.len()];
    for index in by_cost {
        let others = (0..sets.len()).filter(|&other| other != index && kept[other]);
        let left = others.fold(sets[index].clone(), |left, other| left.without(&sets[other]));
        kept[index] = !left.is_empty();
    }
    let mut kept = kept.into_iter();
    alternatives.retain(|_| kept.next().unwrap_or(true));
}
