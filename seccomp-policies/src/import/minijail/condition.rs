//! What an expression of minijail means.

use super::syntax::{Atom, Operator};
use crate::language::{Comparator, Condition, Relation, Test, Width};

/// The meaning of a filter's expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Folded {
    /// There is no expression.
    Unconditional,
    /// It is true of every call.
    Always,
    /// It is true of no call.
    Never,
    /// It depends on the arguments.
    When(Condition),
}

impl Folded {
    /// How many comparisons it makes, at least one.
    pub(super) fn comparisons(&self) -> usize {
        fn of(condition: &Condition) -> usize {
            match condition {
                Condition::Always | Condition::Test(_) => 1,
                Condition::Not(inner) => of(inner),
                Condition::All(parts) | Condition::Any(parts) => parts.iter().map(of).sum(),
            }
        }
        match self {
            Self::Unconditional | Self::Always | Self::Never => 1,
            Self::When(condition) => of(condition),
        }
    }
}

/// An expression in disjunctive normal form. Tests that are always or never true are taken out.
pub(super) fn folded(any: &[Vec<Atom>]) -> Folded {
    let mut alternatives = Vec::new();
    for all in any {
        match conjunction(all) {
            Folded::When(condition) => alternatives.push(condition),
            Folded::Never => {}
            always => return always,
        }
    }
    match alternatives.len() {
        0 => Folded::Never,
        1 => Folded::When(alternatives.remove(0)),
        _ => Folded::When(Condition::Any(alternatives)),
    }
}

fn conjunction(all: &[Atom]) -> Folded {
    let mut tests = Vec::new();
    for atom in all {
        match test(*atom) {
            Folded::When(condition) => tests.push(condition),
            Folded::Never => return Folded::Never,
            Folded::Always | Folded::Unconditional => {}
        }
    }
    match tests.len() {
        0 => Folded::Always,
        1 => Folded::When(tests.remove(0)),
        _ => Folded::When(Condition::All(tests)),
    }
}

fn test(atom: Atom) -> Folded {
    let value = atom.value;
    let test = |relation| Condition::Test(Test { argument: atom.argument, width: Width::Bits64, relation });
    Folded::When(match (atom.operator, value) {
        (Operator::Compare(Comparator::Less) | Operator::AnyBit, 0)
        | (Operator::Compare(Comparator::Greater), u64::MAX) => return Folded::Never,
        (Operator::Compare(Comparator::GreaterOrEqual), 0)
        | (Operator::Compare(Comparator::LessOrEqual) | Operator::Within, u64::MAX) => return Folded::Always,
        (Operator::Compare(comparator), _) => test(comparator.relation(value)),
        (Operator::AnyBit, _) => Condition::Not(Box::new(test(Relation::Masked { mask: value, value: 0 }))),
        (Operator::Within, _) => test(Relation::Masked { mask: !value, value: 0 }),
    })
}
