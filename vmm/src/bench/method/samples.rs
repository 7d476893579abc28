//! What was measured in one process.

use serde::{Deserialize, Serialize};

use super::Figure;

/// Figures of the variants by round.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Samples {
    /// What a call came to, by variant and round; none where the variant had no block in that round.
    pub figures: Vec<Vec<Option<f64>>>,
    /// Blocks that ended on another processor than they began on.
    pub migrations: u32,
}

impl Samples {
    /// Without a round yet, of so many variants.
    pub fn of(variants: usize) -> Self {
        Self { figures: vec![Vec::new(); variants], migrations: 0 }
    }

    /// Rounds so far.
    pub fn rounds(&self) -> usize {
        self.figures.first().map_or(0, Vec::len)
    }

    /// Blocks so far.
    pub fn blocks(&self) -> usize {
        self.figures.iter().flatten().flatten().count()
    }

    pub(super) fn add(&mut self, round: &[Option<Figure>]) {
        for (figures, figure) in self.figures.iter_mut().zip(round) {
            figures.push(figure.map(|figure| figure.value));
            self.migrations += u32::from(figure.is_some_and(|figure| figure.migrated));
        }
    }

    pub(super) fn forget(&mut self) {
        *self = Self::of(self.figures.len());
    }
}
