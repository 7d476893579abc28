//! Findings in the text form that Prometheus reads: <https://prometheus.io/docs/instrumenting/exposition_formats/>.

use std::fmt::Write as _;

use crate::bench::experiment::Unit;
use crate::bench::findings::{Findings, Row, Table};

/// A gauge: its name without a unit, what it is, and its value for a row.
type Gauge = (&'static str, &'static str, fn(&Row) -> Option<f64>);

const GAUGES: [Gauge; 4] = [
    ("call", "What a call takes, in the median", |row| Some(row.value.median)),
    ("overhead", "What a variant takes more than the baseline beside it", |row| {
        row.difference.map(|difference| difference.median)
    }),
    ("overhead_low", "Lower end of the 99 % interval of that", |row| {
        row.difference.map(|difference| difference.low)
    }),
    ("overhead_high", "Upper end of the 99 % interval of that", |row| {
        row.difference.map(|difference| difference.high)
    }),
];

/// A unit, its name there, which is one of Prometheus' base units, and how many of its own make one of those.
const UNITS: [(Unit, &str, f64); 2] = [(Unit::Nanoseconds, "seconds", 1e9), (Unit::Bytes, "bytes", 1.0)];

pub(super) fn text(findings: &Findings) -> String {
    let mut text = String::new();
    for (unit, base, size) in UNITS {
        let tables: Vec<&Table> = findings.tables.iter().filter(|table| table.unit == unit).collect();
        for (name, help, value) in GAUGES.iter().filter(|_| !tables.is_empty()) {
            let name = format!("ringfence_bench_{name}_{base}");
            let _ = writeln!(text, "# HELP {name} {help}.\n# TYPE {name} gauge");
            for table in &tables {
                for row in &table.rows {
                    if let Some(value) = value(row) {
                        let _ = writeln!(text, "{name}{{{}}} {:e}", labels(table, row), value / size);
                    }
                }
            }
        }
    }
    let name = "ringfence_bench_sound";
    let _ =
        writeln!(text, "# HELP {name} Whether a table's differences can be believed.\n# TYPE {name} gauge");
    for table in &findings.tables {
        let _ = writeln!(text, "{name}{{table=\"{}\"}} {}", escaped(&table.name), u8::from(table.is_sound()));
    }
    text
}

fn labels(table: &Table, row: &Row) -> String {
    format!("table=\"{}\",variant=\"{}\"", escaped(&table.name), escaped(&row.name))
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
