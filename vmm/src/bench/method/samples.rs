//! What was measured in one process.

use serde::{Deserialize, Serialize};

use super::Timed;

/// Times of the variants by round.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Samples {
    /// Nanoseconds of a call by variant and round; none where the variant had no block in that round.
    pub times: Vec<Vec<Option<f64>>>,
    /// Blocks that ended on another processor than they began on.
    pub migrations: u32,
}

impl Samples {
    /// Without a round yet, of so many variants.
    pub fn of(variants: usize) -> Self {
        Self { times: vec![Vec::new(); variants], migrations: 0 }
    }

    /// Rounds so far.
    pub fn rounds(&self) -> usize {
        self.times.first().map_or(0, Vec::len)
    }

    /// Blocks so far.
    pub fn blocks(&self) -> usize {
        self.times.iter().flatten().flatten().count()
    }

    pub(super) fn add(&mut self, round: &[Option<Timed>]) {
        for (times, timed) in self.times.iter_mut().zip(round) {
            times.push(timed.map(|timed| timed.nanoseconds));
            self.migrations += u32::from(timed.is_some_and(|timed| timed.migrated));
        }
    }

    pub(super) fn forget(&mut self) {
        *self = Self::of(self.times.len());
    }
}
