//! Figures as people read them: each in the unit that keeps it short.

use crate::bench::experiment::Unit;
use crate::bench::method::statistics::Estimate;

/// The figures of a table, all in one unit.
#[derive(Clone, Copy)]
pub(in crate::cli) struct Figures(pub(in crate::cli) Unit);

/// Times.
pub(in crate::cli) const TIME: Figures = Figures(Unit::Nanoseconds);

/// How a figure is told: what it is divided by, the symbol, and the decimals.
type Scale = (f64, &'static str, usize);

impl Figures {
    /// What heads a column of them.
    pub(in crate::cli) fn header(self) -> &'static str {
        match self.0 {
            Unit::Nanoseconds => "a call",
            Unit::Bytes => "each",
        }
    }

    /// The scale that keeps a figure short.
    fn scale(self, figure: f64) -> Scale {
        match (self.0, figure.abs()) {
            (Unit::Nanoseconds, size) if size < 1e3 => (1.0, "ns", 1),
            (Unit::Nanoseconds, size) if size < 1e6 => (1e3, "us", 2),
            (Unit::Nanoseconds, _) => (1e6, "ms", 2),
            (Unit::Bytes, size) if size < 1024.0 => (1.0, "B", 0),
            (Unit::Bytes, size) if size < 1024.0 * 1024.0 => (1024.0, "KiB", 2),
            (Unit::Bytes, _) => (1024.0 * 1024.0, "MiB", 2),
        }
    }

    /// A figure.
    pub(in crate::cli) fn of(self, figure: f64) -> String {
        let (size, symbol, decimals) = self.scale(figure);
        format!("{:.decimals$} {symbol}", figure / size)
    }

    /// A difference of two.
    pub(in crate::cli) fn signed(self, difference: f64) -> String {
        let (size, symbol, decimals) = self.scale(difference);
        format!("{} {symbol}", plus(difference / size, decimals))
    }

    /// The interval of a difference, both ends in the scale of the larger.
    pub(in crate::cli) fn interval(self, Estimate { low, high, .. }: &Estimate) -> String {
        let (size, symbol, decimals) = self.scale(low.abs().max(high.abs()));
        format!("{} to {} {symbol}", plus(low / size, decimals), plus(high / size, decimals))
    }
}

/// With its sign; what rounds to nothing has none of its own.
fn plus(value: f64, decimals: usize) -> String {
    let text = format!("{value:+.decimals$}");
    if text.bytes().any(|byte| (b'1'..=b'9').contains(&byte)) { text } else { text.replace('-', "+") }
}

/// A share.
pub(in crate::cli) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    match percent.abs() {
        size if size < 0.005 => "0.00 %".to_owned(),
        size if size < 0.1 => format!("{percent:.2} %"),
        size if size < 10.0 => format!("{percent:.1} %"),
        _ => format!("{percent:.0} %"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_the_unit_that_keeps_them_short() {
        let shown = [0.04, 85.25, 9999.0, 12_340.0, 3_613_220.0].map(|time| TIME.of(time));
        assert_eq!(shown, ["0.0 ns", "85.2 ns", "10.00 us", "12.34 us", "3.61 ms"]);
        assert_eq!((TIME.signed(-1.0), TIME.signed(-0.01)), ("-1.0 ns".into(), "+0.0 ns".into()));
        let memory = [0.0, 1023.0, 7680.0, 3_250_586.0].map(|bytes| Figures(Unit::Bytes).of(bytes));
        assert_eq!(memory, ["0 B", "1023 B", "7.50 KiB", "3.10 MiB"]);
        let estimate = |low, high| Estimate { median: low, low, high };
        let shown =
            [estimate(-3.04, 9.0), estimate(900.0, 15_000.0)].map(|estimate| TIME.interval(&estimate));
        assert_eq!(shown, ["-3.0 to +9.0 ns", "+0.90 to +15.00 us"]);
    }

    #[test]
    fn shares_have_two_digits_that_matter() {
        assert_eq!([0.0009, 0.0088, 0.204, 15.0].map(percent), ["0.09 %", "0.9 %", "20 %", "1500 %"]);
    }
}
