//! A policy's conditions, as predicates over whole registers.
//!
//! A policy compares 32 bits of an `int`; a field of an event is the whole register. A 32-bit value is looked for
//! in two forms: with an upper half of zeros, and as its sign extension, which is how many programs pass a negative
//! one. Whatever else an upper half holds meets no form, which [`foreign_upper_half`] is for.

use std::ops::RangeInclusive;

use super::event;
use super::predicate::{Field, Operator, Predicate};
use crate::compile::normal::with_ranges;
use crate::language::{Condition, Relation, Test, Width};
use crate::syscalls::Syscall;

/// The lowest 32-bit value with a sign, sign-extended.
const LOWEST_NEGATIVE: u64 = 0xffff_ffff_8000_0000;

/// 32-bit values that have two forms in a register.
const SIGNED: RangeInclusive<u64> = 0x8000_0000..=0xffff_ffff;

/// What the condition says of a call's registers. A test of a register that cannot be said is taken to fail where
/// that makes the predicate hold for fewer calls, and to pass where that does.
pub(super) fn narrowed(condition: &Condition, call: &Syscall, sayable: &impl Fn(u8) -> bool) -> Predicate {
    translate(condition, call, sayable, false)
}

/// What the condition says of a call's registers, by whoever can look at all of them.
pub(super) fn exact(condition: &Condition, call: &Syscall) -> Predicate {
    translate(condition, call, &|_| true, false)
}

fn translate(
    condition: &Condition,
    call: &Syscall,
    sayable: &impl Fn(u8) -> bool,
    unsayable_passes: bool,
) -> Predicate {
    let all = |parts: &[Condition]| -> Vec<Predicate> {
        parts.iter().map(|part| translate(part, call, sayable, unsayable_passes)).collect()
    };
    match condition {
        Condition::Always => Predicate::ALWAYS,
        Condition::Test(test) if sayable(test.argument) => passes(*test, event::field(call, test.argument)),
        Condition::Test(_) if unsayable_passes => Predicate::ALWAYS,
        Condition::Test(_) => Predicate::NEVER,
        Condition::All(parts) => Predicate::all(all(parts)),
        Condition::Any(parts) => Predicate::any(all(&with_ranges(parts))),
        Condition::Not(part) => translate(part, call, sayable, !unsayable_passes).negated(),
    }
}

/// That the upper half of a register holds neither zeros nor the sign of the lower half.
pub(super) fn foreign_upper_half(field: Field) -> Predicate {
    Predicate::all([
        Predicate::compare(field, Operator::Greater, Width::Bits32.mask()),
        Predicate::compare(field, Operator::Less, LOWEST_NEGATIVE),
    ])
}

fn passes(test: Test, field: Field) -> Predicate {
    let max = test.width.mask();
    match test.relation {
        Relation::Equal(value) => equal(test.width, field, value),
        Relation::NotEqual(value) => equal(test.width, field, value).negated(),
        Relation::LessOrEqual(value) => up_to(test.width, field, value),
        Relation::Greater(value) => up_to(test.width, field, value).negated(),
        Relation::GreaterOrEqual(value) => from(test.width, field, value),
        Relation::Less(value) => from(test.width, field, value).negated(),
        Relation::Masked { mask, value } => masked(field, mask & max, value),
    }
}

fn equal(width: Width, field: Field, value: u64) -> Predicate {
    let is = |value| Predicate::compare(field, Operator::Equal, value);
    match width {
        Width::Bits32 if SIGNED.contains(&value) => Predicate::any([is(value), is(sign_extended(value))]),
        _ => is(value),
    }
}

/// The values from 0 to `last`.
fn up_to(width: Width, field: Field, last: u64) -> Predicate {
    let up_to = |value| Predicate::compare(field, Operator::LessOrEqual, value);
    match width {
        _ if last >= width.mask() => Predicate::ALWAYS,
        Width::Bits32 if SIGNED.contains(&last) => {
            let negative = Predicate::compare(field, Operator::GreaterOrEqual, LOWEST_NEGATIVE);
            Predicate::any([up_to(last), Predicate::all([negative, up_to(sign_extended(last))])])
        }
        _ => up_to(last),
    }
}

/// The values from `first` up.
fn from(width: Width, field: Field, first: u64) -> Predicate {
    match (width, first.checked_sub(1)) {
        (_, None) => Predicate::ALWAYS,
        (Width::Bits32, Some(last_below)) if SIGNED.contains(&last_below) => {
            up_to(width, field, last_below).negated()
        }
        _ => Predicate::compare(field, Operator::GreaterOrEqual, first),
    }
}

/// The parser refuses `(field & MASK) == VALUE`, but can ask whether some bit of a constant is set: each bit of the
/// value must be, and none of the mask's others.
fn masked(field: Field, mask: u64, value: u64) -> Predicate {
    if value & !mask != 0 {
        return Predicate::NEVER;
    }
    let any_bit = |bits| Predicate::compare(field, Operator::AnyBit, bits);
    let set = (0..u64::BITS).map(|bit| 1 << bit).filter(|bit| value & bit != 0).map(any_bit);
    let unset = (mask != value).then(|| any_bit(mask & !value).negated());
    Predicate::all(set.chain(unset))
}

const fn sign_extended(value: u64) -> u64 {
    value | 0xffff_ffff_0000_0000
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syscalls::{Arch, by_name};

    fn text(call: &str, argument: u8, width: Width, relation: Relation) -> String {
        let call = by_name(Arch::X86_64, call).expect("a call");
        exact(&Condition::Test(Test { argument, width, relation }), call).to_string()
    }

    #[test]
    fn a_mask_asks_for_each_bit_that_must_be_set_and_once_for_those_that_must_not() {
        let masked = |mask, value| text("openat", 2, Width::Bits32, Relation::Masked { mask, value });
        assert_eq!(masked(0x83, 0), "!(flags & 0x83)");
        assert_eq!(masked(0x83, 0x82), "flags & 2 && flags & 0x80 && !(flags & 1)");
        assert_eq!(masked(0x80, 0x80), "flags & 0x80");
    }

    #[test]
    fn a_negative_value_is_looked_for_with_and_without_its_sign() {
        let dfd = |relation| text("openat", 0, Width::Bits32, relation);
        let minus_100 = 0xffff_ff9c;
        assert_eq!(dfd(Relation::Equal(minus_100)), "dfd == 0xffffff9c || dfd == 0xffffffffffffff9c");
        assert_eq!(
            dfd(Relation::LessOrEqual(minus_100)),
            "dfd <= 0xffffff9c || dfd >= 0xffffffff80000000 && dfd <= 0xffffffffffffff9c"
        );
        assert_eq!(
            (dfd(Relation::Greater(7)), dfd(Relation::GreaterOrEqual(0x8000_0000))),
            ("dfd > 7".into(), "dfd >= 0x80000000".into())
        );
        let count = |relation| text("read", 2, Width::Bits64, relation);
        assert_eq!(count(Relation::Equal(0xffff_ffff)), "count == 0xffffffff");
    }

    #[test]
    fn a_test_that_nothing_or_everything_passes_is_not_written() {
        let count = |relation| text("read", 2, Width::Bits64, relation);
        let fd = |relation| text("read", 0, Width::Bits32, relation);
        assert_eq!(count(Relation::LessOrEqual(u64::MAX)), "");
        assert_eq!(fd(Relation::LessOrEqual(0xffff_ffff)), "");
        assert_eq!(count(Relation::GreaterOrEqual(0)), "");
        let read = by_name(Arch::X86_64, "read").expect("a call");
        let less = Condition::Test(Test { argument: 2, width: Width::Bits64, relation: Relation::Less(0) });
        assert_eq!(exact(&less, read), Predicate::NEVER);
    }

    #[test]
    fn a_register_that_cannot_be_said_narrows_whichever_way_it_is_asked_for() {
        let read = by_name(Arch::X86_64, "read").expect("a call");
        let test =
            |argument| Condition::Test(Test { argument, width: Width::Bits64, relation: Relation::Equal(1) });
        let sayable = |register| register != 1;
        let either = Condition::Any(vec![test(1), test(2)]);
        let none = Condition::Not(Box::new(either.clone()));
        assert_eq!(narrowed(&either, read, &sayable).to_string(), "count == 1");
        assert_eq!(narrowed(&none, read, &sayable), Predicate::NEVER);
    }
}
