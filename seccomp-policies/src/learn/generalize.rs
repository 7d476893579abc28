//! Calls that were seen, as the conditions of rules.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::kind::{Kind, is_read};
use super::recording::{ADDRESS_IN_WORD, Called, Calls, is_negative};
use super::slots::Slots;
use crate::language::{Condition, Relation, Slot, Test, Width};
use crate::syscalls::{Arch, Syscall, by_name};

/// So many different combinations of flags are kept as they were.
const MOST_FLAGS: usize = 8;

/// So many different numbers are kept as they were.
const MOST_NUMBERS: usize = 4;

/// A number above this that was seen now and then may be another in the next run: a length of what was read or written.
const CERTAIN_AT_ONCE: u64 = 64;

/// One that was seen so often will come again.
const CERTAIN_BY_COUNT: u64 = 8;

/// Whether a condition of a call is within what is allowed at present.
pub(super) type Bound<'a> = dyn Fn(&'static Syscall, &Condition) -> bool + 'a;

/// The conditions under which a call was made, each with its evidence. One that is not within the bound is as narrow as what
/// was seen.
pub(super) fn generalize(
    call: &'static Syscall,
    called: &Called,
    slots: &Slots,
    bound: &Bound,
) -> Vec<(Condition, String)> {
    let kinds = Kind::of_all(call);
    let groups = groups(call, called, kinds, slots);
    let mut asked: Vec<Asked> = groups.into_values().map(|group| group.asked(call, kinds)).collect();
    while merge_two(&mut asked) {}
    let rule = |mut asked: Asked| {
        let mut condition = asked.condition(call, slots.all());
        for narrower in [Asked::bound_by_power_of_two, Asked::bound_by_greatest, Asked::bound_by_values] {
            if bound(call, &condition) {
                break;
            }
            narrower(&mut asked);
            condition = asked.condition(call, slots.all());
        }
        (condition, asked.evidence(call, called.is_rounded()))
    };
    asked.into_iter().map(rule).collect()
}

/// The least bound: how much of a stream is there at a time is a matter of the moment.
const PAGE: u64 = 4096;

/// What makes calls be spoken of together: slots, choices, and flags unless they are many.
type Key = [Option<Picked>; 6];

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Picked {
    Slot(usize),
    Value(u64),
}

/// Calls of one key.
#[derive(Default)]
struct Group {
    key: Key,
    count: u64,
    /// Values of each register, and how often.
    values: [BTreeMap<u64, u64>; 6],
    /// Registers that the kernel did not look at in one of the calls.
    unread: [bool; 6],
}

fn groups(call: &Syscall, called: &Called, kinds: [Kind; 6], slots: &Slots) -> BTreeMap<Key, Group> {
    let flags = |arguments: &[u64; 6]| -> Vec<u64> {
        let flags = kinds.iter().zip(arguments).filter(|(kind, _)| **kind == Kind::Flags);
        flags.map(|(_, value)| *value).collect()
    };
    let combinations: BTreeSet<Vec<u64>> = called.seen().map(|(arguments, _)| flags(&arguments)).collect();
    let keeps_flags = combinations.len() <= MOST_FLAGS;
    let mut groups: BTreeMap<Key, Group> = BTreeMap::new();
    for (arguments, count) in called.seen() {
        let mut key = Key::default();
        for (register, value) in arguments.iter().enumerate() {
            key[register] = match kinds[register] {
                Kind::Descriptor => Some(slots.place(*value).map_or(Picked::Value(*value), Picked::Slot)),
                Kind::Choice => Some(Picked::Value(*value)),
                Kind::Flags if keeps_flags => Some(Picked::Value(*value)),
                _ => None,
            };
        }
        let group = groups.entry(key).or_insert_with(|| Group { key, ..Group::default() });
        group.count += count;
        for register in 0..6_u8 {
            let index = usize::from(register);
            *group.values[index].entry(arguments[index]).or_default() += count;
            group.unread[index] |= !is_read(call, register, &arguments);
        }
    }
    groups
}

/// What is asked of one register.
#[derive(Clone, PartialEq, Eq)]
enum Asks {
    Nothing,
    /// Descriptors: places of slots, and numbers that are none.
    Descriptors(BTreeSet<usize>, BTreeSet<u64>),
    OneOf(BTreeSet<u64>),
    /// At most the first, or one of the others, which are negative.
    AtMost(u64, BTreeSet<u64>),
    /// No bit but these.
    Within(u64),
}

/// What is asked of the calls of a rule.
struct Asked {
    registers: [Asks; 6],
    count: u64,
    /// What was seen of registers whose values were generalized.
    spread: [Option<Spread>; 6],
}

/// Values that a register had.
#[derive(Clone)]
struct Spread {
    /// The values, as long as they are few.
    values: BTreeSet<u64>,
    count: usize,
    least: u64,
    most: u64,
}

impl Group {
    fn asked(&self, call: &Syscall, kinds: [Kind; 6]) -> Asked {
        let mut registers = [const { Asks::Nothing }; 6];
        let mut spread = [const { None }; 6];
        for register in 0..call.arguments.len() {
            if self.unread[register] {
                continue;
            }
            registers[register] = self.asks(call, kinds[register], register);
            let negative = match &registers[register] {
                Asks::AtMost(_, negative) => negative,
                Asks::Within(_) => &BTreeSet::new(),
                _ => continue,
            };
            let values: BTreeSet<u64> =
                self.values[register].keys().copied().filter(|value| !negative.contains(value)).collect();
            if let (Some(&least), Some(&most)) = (values.first(), values.last()) {
                let count = values.len();
                let values = if count <= MOST_NUMBERS { values } else { BTreeSet::new() };
                spread[register] = Some(Spread { values, count, least, most });
            }
        }
        Asked { registers, count: self.count, spread }
    }

    fn asks(&self, call: &Syscall, kind: Kind, register: usize) -> Asks {
        let values = &self.values[register];
        let width = call.arguments[register].width;
        let all: BTreeSet<u64> = values.keys().copied().collect();
        if is_of_allocator(call, register) {
            return if kind == Kind::Address { Asks::Nothing } else { at_most(values, width) };
        }
        match (kind, self.key[register]) {
            (Kind::Descriptor, Some(Picked::Slot(place))) => {
                Asks::Descriptors(BTreeSet::from([place]), BTreeSet::new())
            }
            (Kind::Descriptor, _) => Asks::Descriptors(BTreeSet::new(), all),
            (Kind::Choice, _) | (Kind::Flags, Some(_)) => Asks::OneOf(all),
            (Kind::Flags, None) => Asks::Within(all.iter().fold(0, |bits, value| bits | value)),
            (Kind::Address, _) if all.iter().all(|value| *value == 0) => Asks::OneOf(all),
            (Kind::Address | Kind::Open, _) => Asks::Nothing,
            (Kind::Identity, _) => {
                let is_certain = |value: &u64| *value == 0 || *value == width.mask();
                if all.len() == 1 && all.iter().all(is_certain) { Asks::OneOf(all) } else { Asks::Nothing }
            }
            (Kind::Word, _) if all.contains(&ADDRESS_IN_WORD) => Asks::Nothing,
            // Mostly what a command takes, as flags.
            (Kind::Word, _) if all.len() <= MOST_NUMBERS => Asks::OneOf(all),
            (Kind::Number | Kind::Word, _) => numbers(values, width),
        }
    }
}

/// Whether a register says where memory is or how much of it: an allocator's state, and so the order of threads, decides
/// that.
fn is_of_allocator(call: &Syscall, register: usize) -> bool {
    let argument = call.arguments[register].name;
    match call.name {
        "mmap" => matches!(argument, "addr" | "len"),
        "munmap" | "mprotect" | "mremap" | "madvise" => !matches!(argument, "prot" | "flags" | "behavior"),
        _ => false,
    }
}

/// What is asked of a number by the values that it took.
fn numbers(values: &BTreeMap<u64, u64>, width: Width) -> Asks {
    let is_certain = |(value, count): (&u64, &u64)| {
        *value <= CERTAIN_AT_ONCE || is_negative(*value, width.mask()) || *count >= CERTAIN_BY_COUNT
    };
    if values.len() <= MOST_NUMBERS && values.iter().all(is_certain) {
        return Asks::OneOf(values.keys().copied().collect());
    }
    at_most(values, width)
}

fn at_most(values: &BTreeMap<u64, u64>, width: Width) -> Asks {
    let (negative, others): (BTreeSet<u64>, BTreeSet<u64>) =
        values.keys().partition(|value| is_negative(**value, width.mask()));
    match others.last().map(|most| most.checked_next_power_of_two()) {
        _ if negative.len() > MOST_NUMBERS => Asks::Nothing,
        Some(Some(bound)) if bound <= width.mask() => Asks::AtMost(bound.max(PAGE), negative),
        Some(_) => Asks::Nothing,
        None => Asks::OneOf(negative),
    }
}

impl Spread {
    fn with(&self, other: &Self) -> Self {
        let are_few = !self.values.is_empty() && !other.values.is_empty();
        let values = if are_few { &self.values | &other.values } else { BTreeSet::new() };
        Self {
            count: self.count.max(other.count).max(values.len()),
            values,
            least: self.least.min(other.least),
            most: self.most.max(other.most),
        }
    }
}

/// Makes one of two that differ in a single register, where values of either will do; whether there were two.
fn merge_two(asked: &mut Vec<Asked>) -> bool {
    for one in 0..asked.len() {
        for other in one + 1..asked.len() {
            if let Some(merged) = asked[one].with(&asked[other]) {
                asked[one] = merged;
                asked.remove(other);
                return true;
            }
        }
    }
    false
}

impl Asked {
    fn with(&self, other: &Self) -> Option<Self> {
        let differing: Vec<usize> =
            (0..6).filter(|&index| self.registers[index] != other.registers[index]).collect();
        let &[register] = differing.as_slice() else { return None };
        let merged = match (&self.registers[register], &other.registers[register]) {
            (Asks::OneOf(one), Asks::OneOf(two)) => Asks::OneOf(one | two),
            (Asks::Descriptors(slots, numbers), Asks::Descriptors(more_slots, more_numbers)) => {
                Asks::Descriptors(slots | more_slots, numbers | more_numbers)
            }
            _ => return None,
        };
        let mut registers = self.registers.clone();
        registers[register] = merged;
        let mut spread = [const { None }; 6];
        for (spread, (one, two)) in spread.iter_mut().zip(self.spread.iter().zip(&other.spread)) {
            *spread = match (one, two) {
                (Some(one), Some(two)) => Some(one.with(two)),
                (one, two) => one.as_ref().or(two.as_ref()).cloned(),
            };
        }
        Some(Self { registers, count: self.count + other.count, spread })
    }

    /// Bounds become the next power of two, where they were a page.
    fn bound_by_power_of_two(&mut self) {
        self.rebound(|most| most.checked_next_power_of_two().unwrap_or(most));
    }

    /// Bounds become the greatest that was seen.
    fn bound_by_greatest(&mut self) {
        self.rebound(|most| most);
    }

    /// What was seen, where it was little.
    fn bound_by_values(&mut self) {
        for (asks, spread) in self.registers.iter_mut().zip(&self.spread) {
            if let (Asks::AtMost(_, negative), Some(spread)) = (&*asks, spread)
                && !spread.values.is_empty()
            {
                *asks = Asks::OneOf(&spread.values | negative);
            }
        }
    }

    fn rebound(&mut self, by: impl Fn(u64) -> u64) {
        for (asks, spread) in self.registers.iter_mut().zip(&self.spread) {
            if let (Asks::AtMost(bound, _), Some(spread)) = (asks, spread) {
                *bound = by(spread.most);
            }
        }
    }

    fn condition(&self, call: &Syscall, slots: &[Slot]) -> Condition {
        let mut parts = Vec::new();
        for (register, asks) in (0..).zip(&self.registers) {
            let width = call.argument_at(register).width;
            let test = |relation| Condition::Test(Test { argument: register, width, relation });
            let equal = |value: &u64| test(Relation::Equal(*value));
            match asks {
                Asks::Nothing => {}
                Asks::OneOf(values) => parts.push(any(values.iter().map(equal).collect())),
                Asks::Within(bits) => {
                    parts.push(test(Relation::Masked { mask: width.mask() & !bits, value: 0 }));
                }
                Asks::AtMost(bound, negative) => {
                    let at_most = test(Relation::LessOrEqual(*bound));
                    parts.push(any(negative.iter().map(equal).chain([at_most]).collect()));
                }
                Asks::Descriptors(places, numbers) => {
                    let of_slot = |place: &usize| {
                        let (first, last) = (u64::from(slots[*place].first), u64::from(slots[*place].last));
                        if first == last {
                            return test(Relation::Equal(first));
                        }
                        let bounds = [Relation::GreaterOrEqual(first), Relation::LessOrEqual(last)];
                        Condition::All(bounds.map(test).to_vec())
                    };
                    parts.push(any(places.iter().map(of_slot).chain(numbers.iter().map(equal)).collect()));
                }
            }
        }
        match parts.len() {
            0 => Condition::Always,
            1 => parts.remove(0),
            _ => Condition::All(parts),
        }
    }

    /// How often, and what lies behind each condition that says more than what was seen.
    fn evidence(&self, call: &Syscall, rounded: bool) -> String {
        let mut evidence = match self.count {
            1 => "seen once".to_owned(),
            count => format!("seen {count} times"),
        };
        for ((argument, spread), asks) in call.arguments.iter().zip(&self.spread).zip(&self.registers) {
            let Some(Spread { count, least, most, .. }) = spread else { continue };
            let (count, least, most) = (*count, *least, *most);
            if let Asks::OneOf(_) = asks {
                continue;
            }
            if let Asks::Within(_) = asks {
                let combinations = if count == 1 { "combination" } else { "combinations" };
                let _ = write!(evidence, "; {} had {count} {combinations}", argument.name);
                continue;
            }
            let values = if count == 1 { "1 value".to_owned() } else { format!("{count} values") };
            let range =
                if least == most { shown(most) } else { format!("{} to {}", shown(least), shown(most)) };
            let _ = write!(evidence, "; {} had {values}, {range}", argument.name);
            if let Asks::AtMost(_, negative) = asks
                && !negative.is_empty()
            {
                let signed = |value: &u64| format!("-{}", value.wrapping_neg() & argument.width.mask());
                let negative: Vec<_> = negative.iter().map(signed).collect();
                let _ = write!(evidence, ", beside {}", negative.join(", "));
            }
        }
        if rounded {
            evidence.push_str("; too many to keep, so numbers were kept by powers of two");
        }
        evidence
    }
}

fn shown(value: u64) -> String {
    if value <= 1 << 20 { value.to_string() } else { format!("{value:#x}") }
}

fn any(mut parts: Vec<Condition>) -> Condition {
    if parts.len() == 1 { parts.remove(0) } else { Condition::Any(parts) }
}

/// Waiting and waking of a futex: `FUTEX_*`, Linux `include/uapi/linux/futex.h`.
const WAIT: u64 = 0;
const WAKE: u64 = 1;
const WAIT_BITSET: u64 = 9;
const PRIVATE: u64 = 128;
const CLOCK_REALTIME: u64 = 256;

/// Calls that were not seen and go with some that were: another run may have its threads in another order, or be stopped.
/// What is not within the bound is left out.
pub(super) fn companions(
    arch: Arch,
    calls: &Calls,
    bound: &Bound,
) -> Vec<(&'static Syscall, Condition, String)> {
    let mut companions = Vec::new();
    let mut add = |name: &str, condition: Condition, reason: String| {
        if let Some(call) = by_name(arch, name).filter(|call| bound(call, &condition)) {
            companions.push((call, condition, reason));
        }
    };
    let operations: BTreeSet<u64> = calls
        .called
        .get("futex")
        .into_iter()
        .flat_map(|called| called.seen().map(|(seen, _)| seen[1]))
        .collect();
    for private in [0, PRIVATE] {
        let waits = [WAIT, WAIT_BITSET, WAIT_BITSET | CLOCK_REALTIME].map(|operation| operation | private);
        let wake = WAKE | private;
        let has_waited = waits.iter().any(|wait| operations.contains(wait));
        if has_waited && !operations.contains(&wake) {
            add("futex", operation(wake), "not seen: it waits by a futex".to_owned());
        }
        if operations.contains(&wake) && !has_waited {
            for wait in &waits[..2] {
                let without_limit = Condition::All(vec![operation(*wait), no_timeout()]);
                add("futex", without_limit, "not seen: it wakes by a futex".to_owned());
            }
        }
    }
    let timed = calls.each(arch).find(|(syscall, call, _)| match syscall.name {
        "poll" | "nanosleep" | "clock_nanosleep" => true,
        "futex" => call.arguments[3] != 0 && is_read(syscall, 3, &call.arguments),
        _ => false,
    });
    if let Some((syscall, ..)) = timed
        && !calls.called.contains_key("restart_syscall")
    {
        let reason = format!("not seen: the kernel goes on with {} by it after a stop", syscall.name);
        add("restart_syscall", Condition::Always, reason);
    }
    companions
}

/// `op` of `futex`.
fn operation(operation: u64) -> Condition {
    Condition::Test(Test { argument: 1, width: Width::Bits32, relation: Relation::Equal(operation) })
}

/// No `utime` of `futex`.
fn no_timeout() -> Condition {
    Condition::Test(Test { argument: 3, width: Width::Bits64, relation: Relation::Equal(0) })
}
