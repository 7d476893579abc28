//! Descriptors of a recording as slots of a policy.

use std::collections::BTreeSet;

use super::kind::{Kind, is_read};
use super::names::Names;
use super::recording::{Calls, Object};
use crate::language::{Condition, Policy, Relation, Rule, Slot, Width};
use crate::syscalls::Arch;

/// The highest descriptor that a process can have: `NR_OPEN`, Linux `fs/file.c` (`sysctl_nr_open`), less one. A
/// register that holds more names none.
const HIGHEST_DESCRIPTOR: u64 = 1024 * 1024 - 1;

/// How many names of objects the reason of a slot has.
const SHOWN_NAMES: usize = 3;

/// The slots of a policy that is being learned, ascending.
pub(super) struct Slots(Vec<Slot>);

/// What makes numbers belong together.
#[derive(Clone, PartialEq, Eq)]
enum Kin {
    /// A slot of the policy that the threads have.
    Present(usize),
    /// Standard input, output or error: always on its own.
    Standard(u32),
    /// What lies behind them, of several kinds where a number was given out again.
    Kinds(BTreeSet<String>),
}

impl Slots {
    /// Every descriptor among the arguments of the calls. One that the present policy has a slot for has its name.
    pub(super) fn of(arch: Arch, calls: &Calls, present: Option<&Policy>) -> Self {
        let mut ranges: Vec<(Kin, u32, u32)> = Vec::new();
        for number in numbers(arch, calls) {
            let kin = kin(number, calls, present);
            match ranges.last_mut() {
                Some((last, _, end)) if *last == kin => *end = number,
                _ => ranges.push((kin, number, number)),
            }
        }
        let mut names = Names::default();
        let slots = ranges.into_iter().map(|(kin, first, last)| {
            let (name, reason) = named(&kin, first, last, calls, present);
            Slot { name: names.take(name), first, last, reason }
        });
        Self(slots.collect())
    }

    pub(super) fn all(&self) -> &[Slot] {
        &self.0
    }

    /// The slot of a number, by its place.
    pub(super) fn place(&self, number: u64) -> Option<usize> {
        self.0.iter().position(|slot| (u64::from(slot.first)..=u64::from(slot.last)).contains(&number))
    }

    /// Those that a rule speaks of: a policy has no others.
    pub(super) fn used(&self, rules: &[Rule]) -> Vec<Slot> {
        let is_used = |slot: &&Slot| rules.iter().any(|rule| names(rule, &rule.condition, slot));
        self.0.iter().filter(is_used).cloned().collect()
    }
}

fn names(rule: &Rule, condition: &Condition, slot: &Slot) -> bool {
    match condition {
        Condition::Always => false,
        Condition::Not(part) => names(rule, part, slot),
        Condition::All(parts) | Condition::Any(parts) => parts.iter().any(|part| names(rule, part, slot)),
        Condition::Test(test) => {
            let first = u64::from(slot.first);
            rule.call.argument_at(test.argument).is_descriptor()
                && match test.relation {
                    Relation::Equal(value) => slot.first == slot.last && value == first,
                    Relation::GreaterOrEqual(value) => slot.first != slot.last && value == first,
                    _ => false,
                }
        }
    }
}

fn numbers(arch: Arch, calls: &Calls) -> BTreeSet<u32> {
    let mut numbers = BTreeSet::new();
    for (syscall, call, _) in calls.each(arch) {
        for register in 0..6_u8 {
            let value = call.arguments[usize::from(register)] & Width::Bits32.mask();
            if Kind::of(syscall, register) == Kind::Descriptor
                && is_read(syscall, register, &call.arguments)
                && value <= HIGHEST_DESCRIPTOR
            {
                numbers.extend(u32::try_from(value));
            }
        }
    }
    numbers
}

fn kin(number: u32, calls: &Calls, present: Option<&Policy>) -> Kin {
    let of_present = present
        .and_then(|policy| policy.slots.iter().position(|slot| (slot.first..=slot.last).contains(&number)));
    match (of_present, number) {
        (Some(place), _) => Kin::Present(place),
        (None, 0..=2) => Kin::Standard(number),
        (None, _) => {
            let objects = calls.descriptors.get(&number).into_iter().flatten();
            Kin::Kinds(objects.map(|object| object.kind.clone()).collect())
        }
    }
}

fn named(kin: &Kin, first: u32, last: u32, calls: &Calls, present: Option<&Policy>) -> (String, String) {
    match kin {
        Kin::Present(place) => {
            let slot = present.and_then(|policy| policy.slots.get(*place));
            slot.map_or_else(Default::default, |slot| (slot.name.clone(), slot.reason.clone()))
        }
        Kin::Standard(number) => {
            let name = ["stdin", "stdout", "stderr"][*number as usize];
            (name.to_owned(), reason(first, last, calls))
        }
        Kin::Kinds(kinds) => {
            let known: Vec<String> = kinds.iter().map(|kind| identifier(kind)).collect();
            let name = match known.as_slice() {
                [] => "unknown".to_owned(),
                [one] => one.clone(),
                [one, other] => format!("{one}_or_{other}"),
                _ => "several".to_owned(),
            };
            (name, reason(first, last, calls))
        }
    }
}

/// What was seen behind these numbers.
fn reason(first: u32, last: u32, calls: &Calls) -> String {
    let objects: BTreeSet<&Object> =
        calls.descriptors.range(first..=last).flat_map(|(_, objects)| objects).collect();
    let kinds: BTreeSet<&str> = objects.iter().map(|object| object.kind.as_str()).collect();
    let names: BTreeSet<&str> = objects.iter().filter_map(|object| object.name.as_deref()).collect();
    if kinds.is_empty() {
        return "gone before it could be seen what it is".to_owned();
    }
    let kinds = kinds.into_iter().collect::<Vec<_>>().join(", ");
    let more = names.len().saturating_sub(SHOWN_NAMES);
    let names: Vec<_> = names.into_iter().take(SHOWN_NAMES).collect();
    match (names.is_empty(), more) {
        (true, _) => kinds,
        (false, 0) => format!("{kinds}: {}", names.join(", ")),
        (false, more) => format!("{kinds}: {} and {more} more", names.join(", ")),
    }
}

/// A word that the language takes as a name.
fn identifier(kind: &str) -> String {
    let letters = kind.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' });
    let name: String = letters.collect();
    if name.starts_with(|c: char| c.is_ascii_lowercase()) { name } else { format!("x{name}") }
}
