//! Findings for a person at a terminal: a sentence, the tables, and where to look.

use std::fmt::Write as _;

use super::figures::Figures;
use super::shown::{self, Shown};
use crate::bench::findings::Findings;
use crate::bench::findings::compare::Change;
use crate::cli::table::{self, Cell};

/// What there is to measure.
pub(super) fn list() -> String {
    let rows = shown::catalogue().map(|row| row.map(Cell::from).to_vec()).collect();
    table::text(&["name", "table", "one call of it"], rows)
}

pub(super) fn text(findings: &Findings, changes: Option<&[Change]>) -> String {
    let mut text = format!("{}\n", shown::sentence(findings));
    if let Some(loss) = shown::loss(findings) {
        let _ = writeln!(text, "{loss}");
    }
    for warning in &findings.warnings {
        let _ = writeln!(text, "Warning: {warning}.");
    }
    for table in &findings.tables {
        let _ = write!(text, "\n{}", of_table(&Shown::of(table)));
    }
    if let Some(changes) = changes {
        let _ = write!(text, "\n{}", of_changes(changes));
    }
    let _ = writeln!(text, "\n{}", shown::machine(findings).join("\n"));
    text.push_str("docs/measuring.md says how it was measured; --json keeps it, --html and --svg show it.\n");
    text
}

fn of_table(shown: &Shown) -> String {
    let row = |row: &Vec<String>| {
        let cell = |(column, text): (usize, &String)| match column {
            0 => Cell::Words(text.clone()),
            _ => Cell::Number(text.clone()),
        };
        row.iter().enumerate().map(cell).collect()
    };
    let rows = shown.rows.iter().map(row).collect();
    let mut text = format!("{}\n{}", shown.table.title, table::text(&shown.header, rows));
    for line in &shown.lines {
        let _ = writeln!(text, "  {line}");
    }
    text
}

fn of_changes(changes: &[Change]) -> String {
    let beyond: Vec<_> = changes.iter().filter(|change| change.is_beyond_noise).collect();
    if beyond.is_empty() {
        return format!("Nothing has changed beyond noise, of {} rows in both runs.\n", changes.len());
    }
    let row = |change: &&Change| {
        vec![
            Cell::from(change.table.as_str()),
            Cell::from(change.row.as_str()),
            Cell::Number(Figures(change.unit).of(change.old)),
            Cell::Number(Figures(change.unit).of(change.new)),
            Cell::Number(format!("{:+.0} %", change.percent)),
        ]
    };
    let header = ["changed beyond noise", "", "before", "now", ""];
    format!(
        "{}  {} of {} rows in both runs.\n",
        table::text(&header, beyond.iter().map(row).collect()),
        beyond.len(),
        changes.len()
    )
}
