//! Findings as SARIF, which code hosts show beside the lines that they are about.
//!
//! Source: OASIS, Static Analysis Results Interchange Format (SARIF) version 2.1.0, sections 3.13 to 3.33.

use std::fmt::Write as _;

use serde::Serialize;

/// `version`, section 3.13.2, and where its JSON schema lies.
const VERSION: &str = "2.1.0";
const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

/// A kind of finding.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    /// Its name.
    pub id: &'static str,
    /// What it means.
    pub text: &'static str,
}

/// A finding.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    /// Its kind: a [`Rule::id`].
    pub rule: &'static str,
    pub level: Level,
    pub message: String,
    /// The file that it is about.
    pub file: Option<String>,
    /// Where in that, from 1: first line and column, and those behind the last character.
    pub region: Option<[(usize, usize); 2]>,
    /// What it is about where that is no place in a file: a thread.
    pub subject: Option<String>,
}

/// How much a finding weighs (section 3.27.10).
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    Warning,
    Error,
}

/// The whole, of one run of this program.
#[derive(Serialize)]
pub(super) struct Log {
    #[serde(rename = "$schema")]
    schema: &'static str,
    version: &'static str,
    runs: [Run; 1],
}

#[derive(Serialize)]
struct Run {
    tool: Tool,
    results: Vec<Outcome>,
}

#[derive(Serialize)]
struct Tool {
    driver: Driver,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Driver {
    name: &'static str,
    version: &'static str,
    information_uri: &'static str,
    rules: Vec<Described>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Described {
    id: &'static str,
    short_description: Message,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Outcome {
    rule_id: &'static str,
    level: Level,
    message: Message,
    locations: [Location; 1],
}

#[derive(Serialize)]
struct Message {
    text: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Location {
    #[serde(skip_serializing_if = "Option::is_none")]
    physical_location: Option<Physical>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logical_locations: Option<[Logical; 1]>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Physical {
    artifact_location: Artifact,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<Region>,
}

#[derive(Serialize)]
struct Artifact {
    uri: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Region {
    start_line: usize,
    start_column: usize,
    end_line: usize,
    end_column: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Logical {
    fully_qualified_name: String,
}

impl Log {
    pub(super) fn new(rules: &[Rule], problems: Vec<Problem>) -> Self {
        let described = |rule: &Rule| Described { id: rule.id, short_description: message(rule.text) };
        let driver = Driver {
            name: env!("CARGO_PKG_NAME"),
            version: env!("CARGO_PKG_VERSION"),
            information_uri: env!("CARGO_PKG_REPOSITORY"),
            rules: rules.iter().map(described).collect(),
        };
        let results = problems.into_iter().map(Outcome::new).collect();
        Self { schema: SCHEMA, version: VERSION, runs: [Run { tool: Tool { driver }, results }] }
    }
}

impl Outcome {
    fn new(problem: Problem) -> Self {
        let Problem { rule, level, message: text, file, region, subject } = problem;
        let region = region.map(|[first, last]| Region {
            start_line: first.0,
            start_column: first.1,
            end_line: last.0,
            end_column: last.1,
        });
        let physical = file.map(|path| Physical { artifact_location: Artifact { uri: uri(&path) }, region });
        let logical = subject.map(|name| [Logical { fully_qualified_name: name }]);
        Self {
            rule_id: rule,
            level,
            message: message(&text),
            locations: [Location { physical_location: physical, logical_locations: logical }],
        }
    }
}

fn message(text: &str) -> Message {
    Message { text: text.to_owned() }
}

/// A path as a URI reference (RFC 3986): what is no unreserved character or slash stands as its bytes. Absolute paths are of
/// this host.
fn uri(path: &str) -> String {
    let mut uri = if path.starts_with('/') { "file://".to_owned() } else { String::new() };
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_uri_whatever_it_holds() {
        assert_eq!(uri("policies/vcpu.policy"), "policies/vcpu.policy");
        assert_eq!(uri("/a b/ä#?"), "file:///a%20b/%C3%A4%23%3F");
    }
}
