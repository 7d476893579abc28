//! What the tiers cost, of a run of `bench`, for the page.

use std::path::Path;

use super::Error;
use crate::bench::findings::{Findings, Table};
use crate::cli::bench::earlier;
use crate::cli::bench::figures::Figures;
use crate::cli::bench::shown::machine;

/// The tiers by the names of their rows, in the tables of the roles and in that of the history.
const TIERS: [&str; 3] = ["strict mode (2005)", "bitmask tier", "filter tier"];

/// The history's names for the latter two.
const OF_HISTORY: [&str; 3] = ["strict mode (2005)", "bitmask (2009)", "filter engine (2010)"];

/// What each tier costs a call.
pub(super) struct Costs {
    /// When, and on which machine.
    pub(super) machine: Vec<String>,
    /// The tiers.
    pub(super) tiers: [&'static str; 3],
    pub(super) rows: Vec<Row>,
}

/// A kind of call.
pub(super) struct Row {
    pub(super) call: String,
    /// What it takes without a filter.
    pub(super) without: String,
    /// What it takes more in each tier, with its interval; nothing where there is no such tier, or no figure that can be believed.
    pub(super) more: Vec<Option<(String, String)>>,
}

impl Costs {
    /// Reads a run.
    pub(super) fn read(path: &Path) -> Result<Self, Error> {
        Ok(Self::of(&earlier::read(path)?))
    }

    fn of(findings: &Findings) -> Self {
        Self {
            machine: machine(findings),
            tiers: ["strict mode", "bitmask tier", "filter tier"],
            rows: findings.tables.iter().filter_map(row).collect(),
        }
    }
}

/// A table's row, where it has a tier.
fn row(table: &Table) -> Option<Row> {
    let figures = Figures(table.unit);
    let more = |names: [&str; 3]| {
        let of_tier = |name| {
            table.row(name)?.difference.map(|found| (figures.signed(found.median), figures.interval(&found)))
        };
        names.map(of_tier).to_vec()
    };
    let has = |names: &[&str]| names.iter().any(|name| table.row(name).is_some());
    let names = if has(&OF_HISTORY) {
        OF_HISTORY
    } else if has(&TIERS) {
        TIERS
    } else {
        return None;
    };
    let without = table.baseline().map_or_else(String::new, |row| figures.of(row.value.median));
    Some(Row { call: table.title.clone(), without, more: more(names) })
}
