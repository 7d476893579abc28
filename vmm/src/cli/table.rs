//! Tables for a person: words at the left, numbers at the right, no wider than the terminal and 100 columns.

use std::env;

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

/// The widest that a table gets, in columns.
const WIDEST: u16 = 100;

/// What stands in a table.
#[derive(Clone)]
pub(super) enum Cell {
    /// To the left.
    Words(String),
    /// To the right.
    Number(String),
}

impl From<&str> for Cell {
    fn from(words: &str) -> Self {
        Self::Words(words.to_owned())
    }
}

impl From<String> for Cell {
    fn from(words: String) -> Self {
        Self::Words(words)
    }
}

impl From<usize> for Cell {
    fn from(number: usize) -> Self {
        Self::Number(number.to_string())
    }
}

impl From<f64> for Cell {
    fn from(number: f64) -> Self {
        Self::Number(format!("{number:.1}"))
    }
}

/// The table as lines, without white space at their ends.
pub(super) fn text(header: &[&str], rows: Vec<Vec<Cell>>) -> String {
    let mut table = Table::new();
    // One more: the space behind the last column, which is cut off below.
    let width = width().saturating_add(1);
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    let numbers: Vec<bool> = (0..header.len())
        .map(|column| rows.iter().any(|row| matches!(row.get(column), Some(Cell::Number(_)))))
        .collect();
    table.set_header(header);
    for row in rows {
        table.add_row(row.into_iter().map(|cell| match cell {
            Cell::Words(text) | Cell::Number(text) => text,
        }));
    }
    for (column, _) in numbers.iter().enumerate().filter(|(_, is_number)| **is_number) {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let mut text = String::new();
    for line in table.lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// What the terminal says that it has, or the widest.
fn width() -> u16 {
    let stated = env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let asked = || rustix::termios::tcgetwinsize(std::io::stdout()).ok().map(|size| size.ws_col);
    stated.or_else(asked).filter(|columns| *columns > 0).unwrap_or(WIDEST).min(WIDEST)
}
