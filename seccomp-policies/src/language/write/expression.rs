//! A simplified condition as an expression.

use super::value::Subject;
use crate::language::policy::{Condition, Relation, Slot, Test, Width};
use crate::syscalls::{Arch, Argument, Syscall};

/// Values that a rule leaves out are written as a set from this many on.
const SET_OF_OTHERS: usize = 3;

/// Writes conditions of one call.
pub(super) struct Writer<'a> {
    pub(super) arch: Arch,
    pub(super) call: &'static Syscall,
    pub(super) slots: &'a [Slot],
}

/// A part of a list: text, and whether it needs parentheses inside another list.
struct Part {
    text: String,
    is_list: bool,
}

impl Writer<'_> {
    /// The expression; empty for a condition that is always true.
    pub(super) fn expression(&self, condition: &Condition) -> String {
        if *condition == Condition::Always { String::new() } else { self.part(condition).text }
    }

    fn part(&self, condition: &Condition) -> Part {
        let (parts, operator) = match condition {
            Condition::All(parts) => (self.all(parts), " && "),
            Condition::Any(parts) => (self.any(parts), " || "),
            Condition::Test(test) => return leaf(self.test(*test)),
            Condition::Not(inner) => return leaf(self.not(inner)),
            // Simplified conditions have none inside.
            Condition::Always => return leaf(String::new()),
        };
        if parts.len() == 1 {
            return parts.into_iter().next().unwrap_or_else(|| leaf(String::new()));
        }
        let texts: Vec<_> = parts
            .into_iter()
            .map(|Part { text, is_list }| if is_list { format!("({text})") } else { text })
            .collect();
        Part { text: texts.join(operator), is_list: true }
    }

    /// Parts that all hold. Bounds that are a slot's become its name, values left out become a set.
    fn all(&self, parts: &[Condition]) -> Vec<Part> {
        let mut out = Vec::new();
        let mut taken = vec![false; parts.len()];
        for (index, part) in parts.iter().enumerate() {
            if std::mem::replace(&mut taken[index], true) {
                continue;
            }
            if let Some((upper, text)) = self.slot_range(part, parts) {
                taken[upper] = true;
                out.push(leaf(text));
                continue;
            }
            let others = same(part, parts, |relation| matches!(relation, Relation::NotEqual(_)));
            if others.len() < SET_OF_OTHERS {
                out.push(self.part(part));
                continue;
            }
            take(&others, &mut taken);
            out.push(leaf(format!("!({})", self.set(&others))));
        }
        out
    }

    /// Parts of which one holds. Values of one argument become a set.
    fn any(&self, parts: &[Condition]) -> Vec<Part> {
        let mut out = Vec::new();
        let mut taken = vec![false; parts.len()];
        for (index, part) in parts.iter().enumerate() {
            if std::mem::replace(&mut taken[index], true) {
                continue;
            }
            let members = same(part, parts, |relation| matches!(relation, Relation::Equal(_)));
            if members.len() < 2 {
                out.push(self.part(part));
                continue;
            }
            take(&members, &mut taken);
            out.push(leaf(self.set(&members)));
        }
        out
    }

    fn set(&self, members: &[(usize, Test)]) -> String {
        let subject = self.subject(members[0].1, members[0].1.width);
        let values = members.iter().filter_map(|(_, test)| match test.relation {
            Relation::Equal(value) | Relation::NotEqual(value) => Some(subject.value(value)),
            _ => None,
        });
        format!("{} in {{{}}}", subject.text(), values.collect::<Vec<_>>().join(", "))
    }

    /// `fd in @slots`, where the part is the lower bound of a slot and one of the others the upper.
    fn slot_range(&self, lower: &Condition, parts: &[Condition]) -> Option<(usize, String)> {
        let Condition::Test(lower) = lower else { return None };
        let Relation::GreaterOrEqual(first) = lower.relation else { return None };
        let subject = self.subject(*lower, lower.width);
        let slot = subject.slots().iter().find(|slot| u64::from(slot.first) == first)?;
        let upper = Test { relation: Relation::LessOrEqual(u64::from(slot.last)), ..*lower };
        let upper = parts.iter().position(|part| *part == Condition::Test(upper))?;
        Some((upper, format!("{} in @{}", subject.text(), slot.name)))
    }

    fn not(&self, inner: &Condition) -> String {
        let Condition::Test(test @ Test { relation: Relation::Masked { mask, value }, .. }) = inner else {
            // Simplified conditions negate nothing else.
            return format!("!({})", self.part(inner).text);
        };
        self.subject(*test, masked_width(self.natural(*test), *test, *mask)).masked(*mask, "!=", *value)
    }

    fn test(&self, test: Test) -> String {
        let subject = self.subject(test, test.width);
        let compared = |operator, value| format!("{} {operator} {}", subject.text(), subject.value(value));
        let ordered = |operator, value| format!("{} {operator} {}", subject.text(), subject.bound(value));
        match test.relation {
            Relation::Equal(value) => compared("==", value),
            Relation::NotEqual(value) => compared("!=", value),
            Relation::Less(value) => ordered("<", value),
            Relation::LessOrEqual(value) => ordered("<=", value),
            Relation::Greater(value) => ordered(">", value),
            Relation::GreaterOrEqual(value) => ordered(">=", value),
            Relation::Masked { mask, value } => {
                self.subject(test, masked_width(self.natural(test), test, mask)).masked(mask, "==", value)
            }
        }
    }

    fn natural(&self, test: Test) -> Width {
        self.call.argument_at(test.argument).width
    }

    fn subject(&self, test: Test, width: Width) -> Subject<'_> {
        let natural = *self.call.argument_at(test.argument);
        let argument = Argument { width, ..natural };
        Subject { arch: self.arch, call: self.call, argument, natural: natural.width, slots: self.slots }
    }
}

const fn leaf(text: String) -> Part {
    Part { text, is_list: false }
}

/// The tests of the same argument and width as this part's, if it is of this kind, with their places.
fn same(part: &Condition, parts: &[Condition], kind: impl Fn(Relation) -> bool) -> Vec<(usize, Test)> {
    let Condition::Test(first) = part else { return Vec::new() };
    if !kind(first.relation) {
        return Vec::new();
    }
    let alike =
        |test: &Test| kind(test.relation) && (test.argument, test.width) == (first.argument, first.width);
    let tests = parts.iter().enumerate().filter_map(|(index, part)| match part {
        Condition::Test(test) if alike(test) => Some((index, *test)),
        _ => None,
    });
    tests.collect()
}

/// Marks parts that a set has taken in.
fn take(members: &[(usize, Test)], taken: &mut [bool]) {
    for (index, _) in members {
        taken[*index] = true;
    }
}

/// The width that a masked comparison is written in. One that looks at the lower half alone means the same in both:
/// it needs no type, unless the mask is easier to read as what it leaves out.
fn masked_width(natural: Width, test: Test, mask: u64) -> Width {
    let low_half = mask <= Width::Bits32.mask();
    let is_broad = test.width == Width::Bits32 && mask.count_ones() > 16;
    if low_half && !is_broad { natural } else { test.width }
}
