//! Metrics in Prometheus' text form, version 0.0.4: for each name its type, then a line for each subject that has it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{Group, Value};

/// The whole. `time`: milliseconds since 1970.
pub fn text(time: u64, groups: &[Group]) -> String {
    let mut families: BTreeMap<String, (&'static str, Vec<String>)> = BTreeMap::new();
    for group in groups {
        for (name, value) in &group.values {
            let (kind, ending) = match value {
                Value::Count(_) => ("counter", "_total"),
                Value::Is(_) => ("gauge", ""),
            };
            let family = format!(
                "ringfence_{}_{}{ending}",
                word(group.subject),
                word(name.trim_end_matches("_count"))
            );
            let label = group.which.as_ref().map_or_else(String::new, |which| {
                format!("{{{}=\"{}\"}}", label_of(group.subject), escaped(which))
            });
            let line = format!("{family}{label} {}", value.number());
            families.entry(family).or_insert_with(|| (kind, Vec::new())).1.push(line);
        }
    }
    let mut text = String::new();
    for (family, (kind, lines)) in families {
        let _ = writeln!(text, "# TYPE {family} {kind}");
        for line in lines {
            let _ = writeln!(text, "{line}");
        }
    }
    let _ = writeln!(text, "# TYPE ringfence_timestamp_ms gauge\nringfence_timestamp_ms {time}");
    text
}

fn label_of(subject: &str) -> &'static str {
    if subject == "thread" { "thread" } else { "device" }
}

/// A name has letters, digits and underscores.
fn word(text: &str) -> String {
    text.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '_' }).collect()
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_has_one_type_and_a_line_for_each_that_has_it() {
        let disk = |which, reads| Group::new("block", [("read_count", Value::Count(reads))]).of(which);
        let groups = [disk("a\"", 3), Group::new("latencies_us", [("pause_vm", Value::Is(7))]), disk("b", 4)];
        assert_eq!(
            text(9, &groups),
            "# TYPE ringfence_block_read_total counter\n\
             ringfence_block_read_total{device=\"a\\\"\"} 3\n\
             ringfence_block_read_total{device=\"b\"} 4\n\
             # TYPE ringfence_latencies_us_pause_vm gauge\n\
             ringfence_latencies_us_pause_vm 7\n\
             # TYPE ringfence_timestamp_ms gauge\n\
             ringfence_timestamp_ms 9\n"
        );
    }
}
