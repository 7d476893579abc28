//! Searches over the values of one word: which tests, in which order, tell ranges of different outcomes apart.
//!
//! Neighbours with one outcome form a range. A tree over ranges is found by dynamic programming over intervals of
//! them: an interval is decided by a few tests in a row where that is possible, is cut in two, or has a single value
//! taken out of it by equality first.

mod bits;
mod plan;
mod range;
mod row;

pub(super) use plan::{Cost, Goal, Problem};
pub(super) use range::{Range, Ranges};

use crate::bpf::Comparison;

/// A decision over the values of a word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Tree {
    /// The outcome with this index.
    Leaf(usize),
    /// A comparison of the word with a constant.
    Branch { comparison: Comparison, constant: u32, then: Box<Tree>, otherwise: Box<Tree> },
}

impl Tree {
    fn branch(comparison: Comparison, constant: u32, then: Self, otherwise: Self) -> Self {
        Self::Branch { comparison, constant, then: Box::new(then), otherwise: Box::new(otherwise) }
    }
}
