//! What a run found out: plain data, as the JSON has it and as an earlier run left it.

pub mod analysis;
pub mod compare;

use serde::{Deserialize, Serialize};

use super::environment::{Busy, Environment};
use super::experiment::{self, Unit};
use super::method::statistics::Estimate;
use super::variant::Part;

/// Version of the shape; it changes when a member changes its meaning or goes away.
pub const SCHEMA: u32 = 1;

/// A whole run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Findings {
    /// When it began, UTC.
    pub at: String,
    /// The program's version.
    pub version: String,
    /// The machine.
    pub environment: Environment,
    /// What else the machine did meanwhile.
    pub busy: Busy,
    /// Processes, one after the other, that each measured everything.
    pub processes: usize,
    /// How long it all took, in seconds.
    pub seconds: f64,
    /// What should be known before a figure is believed.
    pub warnings: Vec<String>,
    /// What was measured.
    pub tables: Vec<Table>,
}

/// An experiment's findings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// The experiment's name.
    pub name: String,
    /// Its head.
    pub title: String,
    /// What one call is.
    pub call: String,
    /// What its figures are in.
    pub unit: Unit,
    /// Whether the differences can be believed.
    pub verdict: Verdict,
    /// Rounds in all processes together.
    pub rounds: usize,
    /// Share of the blocks that ended on another processor than they began on.
    pub migrated: f64,
    /// How far the time of work that always takes as long went apart: what lies between the slowest twentieth and the fastest, in
    /// shares of the middle one. The processor's speed, and interruptions.
    pub speed: f64,
    /// The variants, the baseline first.
    pub rows: Vec<Row>,
    /// Pairs of variants, none of which is the baseline.
    pub pairs: Vec<Pair>,
    /// What was left out, and why.
    pub notes: Vec<String>,
}

/// Whether differences can be believed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum Verdict {
    /// The same twice came out as the same, and what was planted was found.
    Sound,
    /// The same twice came out as different: so far off may every other row be too.
    ControlDiffers,
    /// Work of a known cost cannot be told from none: what is as small cannot be either, and is withheld.
    Blurred {
        /// What it costs.
        expected: Estimate,
        /// What it came out as.
        found: Estimate,
    },
    /// Work of a known cost came out as of another.
    PlantedMissed {
        /// What it costs.
        expected: Estimate,
        /// What it came out as.
        found: Estimate,
    },
}

/// A variant's findings, for a call, in the table's unit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Its name.
    pub name: String,
    /// What it is there for.
    pub part: Part,
    /// Instructions of its program; none without one.
    pub instructions: Option<usize>,
    /// Those that the kernel executes for the call, in the mean of several; 0 where it answers from its cache.
    pub executed: Option<f64>,
    /// The call.
    pub value: Estimate,
    /// What it takes more than the baseline in the same round; none of the baseline, and of what is withheld by the verdict.
    pub difference: Option<Estimate>,
    /// That as a share of the baseline's time.
    pub share: Option<Estimate>,
    /// Blocks that it had.
    pub blocks: usize,
    /// Those of them that took far longer than the others (Tukey's "far out"). They are among the others.
    pub far_out: usize,
}

/// One variant beside another in the same rounds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pair {
    /// The one.
    pub one: String,
    /// The other.
    pub other: String,
    /// What the one takes more.
    pub difference: Estimate,
    /// What the one adds to the baseline, in shares of what the other adds.
    pub ratio: Estimate,
}

impl Table {
    /// The row of this name.
    pub fn row(&self, name: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.name == name)
    }

    /// The row that differences are taken from.
    pub fn baseline(&self) -> Option<&Row> {
        self.rows.iter().find(|row| row.part == Part::Baseline)
    }

    /// Whether the baseline is something that a difference can be a share of, and not nothing.
    pub fn has_share(&self) -> bool {
        self.baseline().is_some_and(|row| row.name != experiment::NOTHING)
    }

    /// Whether its differences can be believed.
    pub fn is_sound(&self) -> bool {
        self.verdict == Verdict::Sound
    }
}

impl Findings {
    /// The table of this name.
    pub fn table(&self, name: &str) -> Option<&Table> {
        self.tables.iter().find(|table| table.name == name)
    }
}
