//! Findings in the text form that Prometheus reads: <https://prometheus.io/docs/instrumenting/exposition_formats/>.

use std::fmt::Write as _;

use crate::bench::findings::{Findings, Row, Table};

/// A gauge: its name, what it is, and its value for a row.
type Gauge = (&'static str, &'static str, fn(&Row) -> Option<f64>);

const GAUGES: [Gauge; 4] = [
    ("ringfence_bench_call_seconds", "What a call takes, in the median.", |row| Some(row.time.median / 1e9)),
    ("ringfence_bench_overhead_seconds", "What a variant takes more than the baseline beside it.", |row| {
        row.difference.map(|difference| difference.median / 1e9)
    }),
    ("ringfence_bench_overhead_low_seconds", "Lower end of the 99 % interval of that.", |row| {
        row.difference.map(|difference| difference.low / 1e9)
    }),
    ("ringfence_bench_overhead_high_seconds", "Upper end of the 99 % interval of that.", |row| {
        row.difference.map(|difference| difference.high / 1e9)
    }),
];

pub(super) fn text(findings: &Findings) -> String {
    let mut text = String::new();
    for (name, help, value) in GAUGES {
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge");
        for table in &findings.tables {
            for row in &table.rows {
                if let Some(value) = value(row) {
                    let _ = writeln!(text, "{name}{{{}}} {value:e}", labels(table, row));
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
