//! Results as a Markdown table, which reads well on a terminal too.
#![forbid(unsafe_code)]

use std::fmt::{self, Display, Formatter};

use ringfence::bench::method::statistics::Estimate;

/// A unit of time that nanoseconds are shown in.
#[derive(Clone, Copy, Debug)]
pub struct Unit {
    /// Its symbol.
    pub symbol: &'static str,
    /// Nanoseconds in one.
    pub nanoseconds: f64,
}

/// Nanoseconds.
pub const NANOSECONDS: Unit = Unit { symbol: "ns", nanoseconds: 1.0 };
/// Microseconds.
pub const MICROSECONDS: Unit = Unit { symbol: "us", nanoseconds: 1e3 };
/// Milliseconds.
pub const MILLISECONDS: Unit = Unit { symbol: "ms", nanoseconds: 1e6 };

impl Unit {
    fn decimals(self) -> usize {
        if self.nanoseconds > 1.0 { 2 } else { 1 }
    }

    /// A time.
    pub fn time(self, nanoseconds: f64) -> String {
        format!("{:.*} {}", self.decimals(), nanoseconds / self.nanoseconds, self.symbol)
    }

    /// A difference, always with its sign.
    pub fn difference(self, nanoseconds: f64) -> String {
        format!("{:+.*} {}", self.decimals(), nanoseconds / self.nanoseconds, self.symbol)
    }

    /// The interval of a difference.
    pub fn interval(self, estimate: &Estimate) -> String {
        let decimals = self.decimals();
        let [low, high] = [estimate.low, estimate.high].map(|end| end / self.nanoseconds);
        format!("{low:+.decimals$} to {high:+.decimals$} {}", self.symbol)
    }
}

/// A table: what heads its columns, and its rows, each as long as the head.
#[derive(Clone, Debug)]
pub struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows.
    pub fn new(head: &[&str]) -> Self {
        Self { head: head.iter().map(ToString::to_string).collect(), rows: Vec::new() }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    fn width(&self, column: usize) -> usize {
        let cells = self.rows.iter().chain([&self.head]).filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    }
}

impl Display for Table {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let widths: Vec<_> = (0..self.head.len()).map(|column| self.width(column)).collect();
        // The first column holds names, all others figures.
        let rule = |(column, &width): (usize, &usize)| {
            if column == 0 { "-".repeat(width) } else { format!("{}:", "-".repeat(width.max(2) - 1)) }
        };
        let rule: Vec<_> = widths.iter().enumerate().map(rule).collect();
        for row in [&self.head, &rule].into_iter().chain(&self.rows) {
            for (column, (cell, &width)) in row.iter().zip(&widths).enumerate() {
                if column == 0 { write!(f, "| {cell:<width$} |")? } else { write!(f, " {cell:>width$} |")? }
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(&["variant", "time"]);
        table.row(vec!["a".into(), "12.5 ns".into()]);
        assert_eq!(
            table.to_string(),
            "| variant |    time |\n| ------- | ------: |\n| a       | 12.5 ns |\n"
        );
    }

    #[test]
    fn differences_have_their_sign_and_their_unit() {
        let estimate = Estimate { median: 1.0, low: -0.26, high: 3.0 };
        assert_eq!(NANOSECONDS.difference(1.0), "+1.0 ns");
        assert_eq!(NANOSECONDS.interval(&estimate), "-0.3 to +3.0 ns");
        assert_eq!(MILLISECONDS.time(8_504_000.0), "8.50 ms");
    }
}
