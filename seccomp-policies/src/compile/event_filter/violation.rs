//! The event of one call, and which of its occurrences a policy does not allow.

use super::event::{self, Unsayable};
use super::predicate::Predicate;
use super::translate::{exact, foreign_upper_half, narrowed};
use super::{EventFilter, MAX_LENGTH, Note, numbers};
use crate::action::Action;
use crate::compile::probe::tests;
use crate::language::{Condition, Policy, Width};
use crate::prove::{Calls, Space};
use crate::syscalls::Syscall;

/// The filter for a call that the policy names; `None` where it allows the call whatever its arguments.
pub(super) fn of_call(policy: &Policy, call: &'static Syscall) -> Option<EventFilter> {
    let space = Space::new();
    let allowed = allowed(policy, call.number);
    let calls = space.calls(&allowed);
    if calls.is_everything() {
        return None;
    }
    let violations = Violations::new(call, allowed, &space, &calls);
    Some(match event::of(policy.arch, call) {
        Some(event) => violations.by_own_event(event),
        None => violations.by_number(),
    })
}

/// When the policy allows a call: the first rule that matches decides.
fn allowed(policy: &Policy, number: u32) -> Condition {
    let rules = policy.rules.iter().filter(|rule| rule.call.number == number);
    let otherwise = if policy.otherwise == Action::Allow { Condition::Always } else { never() };
    rules.rev().fold(otherwise, |allowed, rule| match rule.action {
        Action::Allow => either(rule.condition.clone(), allowed),
        _ => Condition::All(vec![Condition::Not(Box::new(rule.condition.clone())), allowed]),
    })
}

const fn never() -> Condition {
    Condition::Any(Vec::new())
}

/// One list for many alternatives, so that neighbouring values among them are found.
fn either(first: Condition, rest: Condition) -> Condition {
    let mut alternatives = match first {
        Condition::Any(parts) => parts,
        other => vec![other],
    };
    match rest {
        Condition::Any(parts) => alternatives.extend(parts),
        other => alternatives.push(other),
    }
    Condition::Any(alternatives)
}

/// The calls of one number that a policy does not allow.
struct Violations {
    call: &'static Syscall,
    allowed: Condition,
    /// Registers of which the policy compares half, and whose other half could make a filter overlook a violation.
    halved: Vec<u8>,
}

impl Violations {
    fn new(call: &'static Syscall, allowed: Condition, space: &Space, calls: &Calls) -> Self {
        let by_registers = space.calls(&exact(&allowed, call).condition());
        let is_halved = |register| {
            tests(&allowed).iter().any(|test| test.argument == register && test.width == Width::Bits32)
        };
        let slips_through = |register| {
            let foreign = space.calls(&foreign_upper_half(event::field(call, register)).condition());
            !calls.covers(&by_registers.intersection(&foreign))
        };
        let halved = (0..6).filter(|&register| is_halved(register) && slips_through(register)).collect();
        Self { call, allowed, halved }
    }

    fn by_own_event(self, event: String) -> EventFilter {
        let whole = self.outside(exact(&self.allowed, self.call));
        let (filter, too_long) = self.short_enough(self.sayable());
        let notes = self.unsayable_notes().chain(too_long).collect();
        let remainder = (filter != whole).then_some(whole);
        let filter = (filter != Predicate::ALWAYS).then_some(filter);
        EventFilter { event, call: Some(self.call), filter, remainder, notes }
    }

    fn by_number(self) -> EventFilter {
        let whole = self.outside(exact(&self.allowed, self.call));
        EventFilter {
            event: event::EVERY_CALL.into(),
            call: Some(self.call),
            filter: Some(numbers::only(self.call.number)),
            remainder: (whole != Predicate::ALWAYS).then_some(whole),
            notes: vec![Note::NoEvent { call: self.call.name }],
        }
    }

    /// The violations, where these are the calls allowed.
    fn outside(&self, allowed: Predicate) -> Predicate {
        let foreign =
            self.halved.iter().map(|&register| foreign_upper_half(event::field(self.call, register)));
        Predicate::any(std::iter::once(allowed.negated()).chain(foreign))
    }

    /// Calls allowed that the kernel can be told, perhaps not all.
    fn sayable(&self) -> Predicate {
        let sayable = |register| event::sayable(self.call, register).is_ok();
        if self.halved.iter().all(|&register| sayable(register)) {
            narrowed(&self.allowed, self.call, &sayable)
        } else {
            Predicate::NEVER
        }
    }

    /// The violations as a filter that the kernel takes. Where the calls allowed have too many alternatives, the last
    /// of them are left out.
    fn short_enough(&self, allowed: Predicate) -> (Predicate, Option<Note>) {
        let length = |allowed: &[Predicate]| self.outside(Predicate::any(allowed.to_vec())).to_string().len();
        let parts = match allowed {
            Predicate::Any(parts) => parts,
            other => vec![other],
        };
        let whole = length(&parts);
        let counts: Vec<usize> = (1..=parts.len()).collect();
        let fitting = counts.partition_point(|&count| length(&parts[..count]) <= MAX_LENGTH);
        let note = (fitting < parts.len()).then_some(Note::TooLong { length: whole });
        (self.outside(Predicate::any(parts.into_iter().take(fitting))), note)
    }

    fn unsayable_notes(&self) -> impl Iterator<Item = Note> {
        let call = self.call;
        let tested = tests(&self.allowed);
        (0..6).filter(move |&register| tested.iter().any(|test| test.argument == register)).filter_map(
            move |register| match event::sayable(call, register).err()? {
                Unsayable::NoField => Some(Note::NoField { call: call.name, register }),
                Unsayable::Text => Some(Note::Text { argument: call.arguments[usize::from(register)].name }),
            },
        )
    }
}
