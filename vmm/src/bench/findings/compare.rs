//! What two runs say differently.
#![forbid(unsafe_code)]

use serde::Serialize;

use super::{Findings, Row, Table};
use crate::bench::experiment::Unit;

/// A row that both runs have.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// The table.
    pub table: String,
    /// The row.
    pub row: String,
    /// What it is told in.
    pub unit: Unit,
    /// What it took more than the baseline before.
    pub old: f64,
    /// What it takes more now.
    pub new: f64,
    /// How much more it is now, in percent of what it was.
    pub percent: f64,
    /// The intervals of both do not touch.
    pub is_beyond_noise: bool,
}

/// Every row that both runs can say something of, in the order of the later one. What is compared is what each row takes more than
/// the baseline beside it: two machines, or two days, differ in everything else too.
pub fn changes(old: &Findings, new: &Findings) -> Vec<Change> {
    let both = new.tables.iter().filter_map(|table| Some((old.table(&table.name)?, table)));
    both.flat_map(|(old, new)| rows(old, new)).collect()
}

fn rows<'a>(old: &'a Table, new: &'a Table) -> impl Iterator<Item = Change> + 'a {
    new.rows.iter().filter_map(|row| change(new, old.row(&row.name)?, row))
}

fn change(table: &Table, old: &Row, new: &Row) -> Option<Change> {
    use crate::bench::variant::Part;

    if new.part != Part::Subject {
        return None;
    }
    let (before, now) = (old.difference?, new.difference?);
    Some(Change {
        table: table.name.clone(),
        row: new.name.clone(),
        unit: table.unit,
        old: before.median,
        new: now.median,
        percent: (now.median / before.median - 1.0) * 100.0,
        is_beyond_noise: now.low > before.high || now.high < before.low,
    })
}
