//! Metrics as Firecracker writes them: a line of JSON, an object for each subject. What has happened is told since the last line, what
//! is, as it is. A subject of which there are several has its sum, and an object with its name for each.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use super::{Group, Value};

/// What was told before.
#[derive(Debug, Default)]
pub struct Told(BTreeMap<(String, String), u64>);

impl Told {
    /// The next line. `time`: milliseconds since 1970.
    pub fn line(&mut self, time: u64, groups: &[Group]) -> String {
        let mut whole = Map::new();
        whole.insert("utc_timestamp_ms".into(), time.into());
        for group in groups {
            let subject = match &group.which {
                Some(which) => format!("{}_{which}", group.subject),
                None => group.subject.to_owned(),
            };
            for (name, value) in &group.values {
                let number = match value {
                    Value::Is(number) => *number,
                    Value::Count(number) => {
                        let before = self.0.insert((subject.clone(), name.clone()), *number).unwrap_or(0);
                        number.saturating_sub(before)
                    }
                };
                put(&mut whole, &subject, name, number);
                if group.which.is_some() && matches!(value, Value::Count(_)) {
                    put(&mut whole, group.subject, name, number);
                }
            }
        }
        Json::Object(whole).to_string() + "\n"
    }
}

fn put(whole: &mut Map<String, Json>, subject: &str, name: &str, number: u64) {
    let Json::Object(object) = whole.entry(subject).or_insert_with(|| Json::Object(Map::new())) else {
        return;
    };
    let before = object.get(name).and_then(Json::as_u64).unwrap_or(0);
    object.insert(name.to_owned(), (before + number).into());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_happened_is_told_once_and_summed_up_over_all_of_a_kind() {
        let disk = |which, reads| Group::new("block", [("read_count", Value::Count(reads))]).of(which);
        let groups =
            |a, b| [disk("a", a), disk("b", b), Group::new("latencies_us", [("pause_vm", Value::Is(7))])];
        let mut told = Told::default();
        assert_eq!(
            told.line(5, &groups(3, 4)),
            r#"{"block":{"read_count":7},"block_a":{"read_count":3},"block_b":{"read_count":4},"latencies_us":{"pause_vm":7},"utc_timestamp_ms":5}"#
                .to_owned()
                + "\n"
        );
        let second: Json = serde_json::from_str(&told.line(6, &groups(3, 9))).unwrap();
        assert_eq!(second["block"]["read_count"], 5);
        assert_eq!(second["block_a"]["read_count"], 0);
        assert_eq!(second["latencies_us"]["pause_vm"], 7);
    }
}
