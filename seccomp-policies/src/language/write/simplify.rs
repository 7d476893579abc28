//! Conditions in the few shapes that text has.

use std::collections::HashSet;

use crate::language::policy::{Condition, Relation, Test, Width};

/// The same condition without foregone tests, nested lists of one kind, lists of one, and negations of anything but
/// a mask. A condition that is true of everything is [`Condition::Always`], one that is true of nothing an empty
/// [`Condition::Any`]; neither stands inside another condition.
pub(super) fn simplify(condition: &Condition) -> Condition {
    of(condition, true)
}

pub(super) fn is_never(condition: &Condition) -> bool {
    *condition == never()
}

const fn never() -> Condition {
    Condition::Any(Vec::new())
}

/// The condition, or its negation where it is not `wanted`.
fn of(condition: &Condition, wanted: bool) -> Condition {
    match (condition, wanted) {
        (Condition::Always, true) => Condition::Always,
        (Condition::Always, false) => never(),
        (Condition::Test(test), _) => self::test(*test, wanted),
        (Condition::Not(inner), _) => of(inner, !wanted),
        (Condition::All(parts), true) | (Condition::Any(parts), false) => all(parts, wanted),
        (Condition::Any(parts), true) | (Condition::All(parts), false) => any(parts, wanted),
    }
}

fn all(parts: &[Condition], wanted: bool) -> Condition {
    let mut flat = Vec::new();
    for part in parts {
        match of(part, wanted) {
            Condition::Always => {}
            part if is_never(&part) => return never(),
            Condition::All(inner) => flat.extend(inner),
            part => flat.push(part),
        }
    }
    let mut flat = distinct(flat);
    match flat.len() {
        0 => Condition::Always,
        1 => flat.remove(0),
        _ => Condition::All(flat),
    }
}

fn any(parts: &[Condition], wanted: bool) -> Condition {
    let mut flat = Vec::new();
    for part in parts {
        match of(part, wanted) {
            Condition::Always => return Condition::Always,
            Condition::Any(inner) => flat.extend(inner),
            part => flat.push(part),
        }
    }
    let mut flat = distinct(flat);
    if flat.len() == 1 { flat.remove(0) } else { Condition::Any(flat) }
}

/// The parts without repetitions.
fn distinct(mut parts: Vec<Condition>) -> Vec<Condition> {
    let mut seen = HashSet::new();
    parts.retain(|part| seen.insert(part.clone()));
    parts
}

fn test(test: Test, wanted: bool) -> Condition {
    let max = test.width.mask();
    let plain = |relation| Condition::Test(Test { relation, ..test });
    let relation = if wanted { Some(test.relation) } else { negated(test.relation) };
    let Some(relation) = relation else {
        // A mask, which has no opposite of its own.
        return match self::test(test, true) {
            Condition::Always => never(),
            Condition::Test(test @ Test { relation: Relation::Equal(value), .. }) => {
                Condition::Test(Test { relation: Relation::NotEqual(value), ..test })
            }
            part if is_never(&part) => Condition::Always,
            part => Condition::Not(Box::new(part)),
        };
    };
    let foregone = match relation {
        Relation::Equal(value) if value > max => Some(false),
        Relation::NotEqual(value) if value > max => Some(true),
        Relation::Less(0) => Some(false),
        Relation::Less(value) if value > max => Some(true),
        Relation::LessOrEqual(value) if value >= max => Some(true),
        Relation::Greater(value) if value >= max => Some(false),
        Relation::GreaterOrEqual(0) => Some(true),
        Relation::GreaterOrEqual(value) if value > max => Some(false),
        Relation::Masked { mask, value } if value & !(mask & max) != 0 => Some(false),
        Relation::Masked { mask, .. } if mask & max == 0 => Some(true),
        _ => None,
    };
    match (foregone, relation) {
        (Some(true), _) => Condition::Always,
        (Some(false), _) => never(),
        (None, Relation::Masked { mask, value }) if mask & max == max => plain(Relation::Equal(value)),
        (None, Relation::Masked { mask, value }) if mask & max == Width::Bits32.mask() => {
            Condition::Test(Test { width: Width::Bits32, relation: Relation::Equal(value), ..test })
        }
        (None, Relation::Masked { mask, value }) => plain(Relation::Masked { mask: mask & max, value }),
        (None, relation) => plain(relation),
    }
}

/// The relation that holds where this one does not; `None` for a mask.
const fn negated(relation: Relation) -> Option<Relation> {
    Some(match relation {
        Relation::Equal(value) => Relation::NotEqual(value),
        Relation::NotEqual(value) => Relation::Equal(value),
        Relation::Less(value) => Relation::GreaterOrEqual(value),
        Relation::LessOrEqual(value) => Relation::Greater(value),
        Relation::Greater(value) => Relation::LessOrEqual(value),
        Relation::GreaterOrEqual(value) => Relation::Less(value),
        Relation::Masked { .. } => return None,
    })
}
