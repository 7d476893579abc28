//! Findings as Markdown, for a document.

use std::fmt::Write as _;

use super::shown::{self, Shown};
use crate::bench::findings::Findings;

pub(super) fn text(findings: &Findings) -> String {
    let mut text = format!("{}\n", shown::sentence(findings));
    if let Some(loss) = shown::loss(findings) {
        let _ = writeln!(text, "\n{loss}");
    }
    let _ = writeln!(text, "\n{}", shown::machine(findings).join(" "));
    for warning in &findings.warnings {
        let _ = writeln!(text, "\nWarning: {warning}.");
    }
    for table in &findings.tables {
        let shown = Shown::of(table);
        let _ = write!(text, "\n**{}**\n\n{}", table.title, of_table(&shown));
        for line in &shown.lines {
            let _ = writeln!(text, "\n{line}");
        }
    }
    text
}

/// Names to the left, figures to the right, each column as wide as its widest cell.
fn of_table(shown: &Shown) -> String {
    let header: Vec<String> = shown.header.iter().map(ToString::to_string).collect();
    let all: Vec<&Vec<String>> = std::iter::once(&header).chain(&shown.rows).collect();
    let width = |column: usize| all.iter().map(|row| row[column].chars().count()).max().unwrap_or(0).max(3);
    let widths: Vec<usize> = (0..shown.header.len()).map(width).collect();
    let line = |row: &[String]| {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| {
            if column == 0 { format!(" {cell:<width$} ") } else { format!(" {cell:>width$} ") }
        });
        format!("|{}|\n", cells.collect::<Vec<_>>().join("|"))
    };
    let rule: Vec<String> = widths
        .iter()
        .enumerate()
        .map(
            |(column, &width)| {
                if column == 0 { "-".repeat(width) } else { format!("{}:", "-".repeat(width - 1)) }
            },
        )
        .collect();
    let rows: String = shown.rows.iter().map(|row| line(row)).collect();
    format!("{}{}{rows}", line(&header), line(&rule))
}
