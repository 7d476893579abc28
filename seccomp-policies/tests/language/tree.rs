//! Generated expressions over the arguments of `ioctl`, which know what they mean without the checker.

use proptest::prelude::*;

/// The arguments of `ioctl` and the bits that the kernel reads of each.
const ARGUMENTS: [(&str, u64); 3] = [("fd", 0xffff_ffff), ("cmd", 0xffff_ffff), ("arg", u64::MAX)];
/// Few values, so that tests often meet; their neighbours are in [`registers`] too.
const VALUES: [(&str, u64); 5] = [("1", 1), ("3", 3), ("010", 8), ("0x7fffffff", 0x7fff_ffff), ("-2", 0)];

/// An expression.
#[derive(Clone, Debug)]
pub(crate) enum Tree {
    Compare { argument: usize, operator: &'static str, value: usize },
    Masked { argument: usize, mask: u64, complement: bool, equal: bool },
    OneOf { argument: usize, value: usize },
    InBits { argument: usize },
    All(Vec<Tree>),
    Any(Vec<Tree>),
    Not(Box<Tree>),
}

impl Tree {
    /// The expression in the language's words, each apart by one space.
    pub(crate) fn text(&self) -> String {
        let joined = |parts: &[Self], operator: &str| {
            let parts: Vec<_> = parts.iter().map(Self::text).collect();
            format!("({})", parts.join(operator))
        };
        match self {
            Self::Compare { argument, operator, value } => {
                format!("{} {operator} {}", ARGUMENTS[*argument].0, VALUES[*value].0)
            }
            Self::Masked { argument, mask, complement, equal } => {
                let (tilde, operator) =
                    (if *complement { "~" } else { "" }, if *equal { "==" } else { "!=" });
                format!("({} & {tilde}{mask:#x}) {operator} 0x2", ARGUMENTS[*argument].0)
            }
            Self::OneOf { argument, value } => {
                format!("{} in {{7, {}, 0x4444}}", ARGUMENTS[*argument].0, VALUES[*value].0)
            }
            Self::InBits { argument } => format!("{} in ~0x6|0x8", ARGUMENTS[*argument].0),
            Self::All(parts) => joined(parts, " && "),
            Self::Any(parts) => joined(parts, " || "),
            Self::Not(inner) => format!("!({})", inner.text()),
        }
    }

    /// Whether a call with these registers meets the expression.
    pub(crate) fn holds(&self, registers: &[u64; 6]) -> bool {
        let argument = |index: usize| registers[index] & ARGUMENTS[index].1;
        match self {
            Self::Compare { argument: index, operator, value } => {
                let (left, right) = (argument(*index), value_in(*value, *index));
                match *operator {
                    "==" => left == right,
                    "!=" => left != right,
                    "<" => left < right,
                    "<=" => left <= right,
                    ">" => left > right,
                    _ => left >= right,
                }
            }
            Self::Masked { argument: index, mask, complement, equal } => {
                let mask = if *complement { !mask } else { *mask };
                (argument(*index) & mask == 2) == *equal
            }
            Self::OneOf { argument: index, value } => {
                [7, value_in(*value, *index), 0x4444].contains(&argument(*index))
            }
            Self::InBits { argument: index } => argument(*index) & !0xe == 0,
            Self::All(parts) => parts.iter().all(|part| part.holds(registers)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(registers)),
            Self::Not(inner) => !inner.holds(registers),
        }
    }
}

/// A value in the width of an argument: -2 is the only one that depends on it.
fn value_in(value: usize, argument: usize) -> u64 {
    match VALUES[value] {
        ("-2", _) => ARGUMENTS[argument].1 - 1,
        (_, number) => number,
    }
}

fn test() -> impl Strategy<Value = Tree> {
    let ordered = prop::sample::select(vec!["<", "<=", ">", ">="]);
    let equality = prop::sample::select(vec!["==", "!="]);
    let mask = prop::sample::select(vec![(0x3, false), (0x1, true), (0x8000_0003, false)]);
    prop_oneof![
        (0..3_usize, equality, 0..5_usize).prop_map(|(argument, operator, value)| Tree::Compare {
            argument,
            operator,
            value
        }),
        // Not -2, which has no order.
        (0..3_usize, ordered, 0..4_usize).prop_map(|(argument, operator, value)| Tree::Compare {
            argument,
            operator,
            value
        }),
        (0..3_usize, mask, any::<bool>()).prop_map(|(argument, (mask, complement), equal)| Tree::Masked {
            argument,
            mask,
            complement,
            equal
        }),
        (0..3_usize, 0..5_usize).prop_map(|(argument, value)| Tree::OneOf { argument, value }),
        (0..3_usize).prop_map(|argument| Tree::InBits { argument }),
    ]
}

/// Expressions that are met by some calls and not by others.
pub(crate) fn tree() -> impl Strategy<Value = Tree> {
    let any_tree = test().prop_recursive(4, 24, 3, |inner| {
        let parts = prop::collection::vec(inner.clone(), 2..4);
        prop_oneof![
            parts.clone().prop_map(Tree::All),
            parts.prop_map(Tree::Any),
            inner.prop_map(|part| Tree::Not(Box::new(part))),
        ]
    });
    // Whatever the tree is: an fd of 8 and a request of 1 meet the whole, and a request of 8 does not.
    any_tree.prop_map(|tree| {
        let met = Tree::Compare { argument: 0, operator: "==", value: 2 };
        let unmet = Tree::Compare { argument: 1, operator: "!=", value: 2 };
        Tree::All(vec![Tree::Any(vec![tree, met]), unmet])
    })
}

/// Argument registers at and around the values that the tests name, with rubbish in the halves that are not read.
pub(crate) fn registers() -> impl Strategy<Value = [u64; 6]> {
    let near = prop::sample::select(vec![
        0,
        1,
        2,
        3,
        4,
        7,
        8,
        9,
        0xe,
        0x4444,
        0x7fff_ffff,
        0x8000_0000,
        0xffff_fffe,
    ]);
    let high = prop::sample::select(vec![0, 0, 1 << 32, 0xffff_ffff << 32]);
    let register = (near, high).prop_map(|(low, high): (u64, u64)| low | high);
    prop::array::uniform6(register)
}
