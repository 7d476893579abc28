//! Files of a megabyte, and files that are made to be hard.

use std::fmt::Write as _;

use seccomp_policies::import::{Format, MAX_BYTES, Options, read_bytes};

use super::{good, said, x86_64};

fn firecracker(rules: &str) -> String {
    format!(r#"{{"t": {{"default_action": "trap", "filter_action": "allow", "filter": [{rules}]}}}}"#)
}

fn oci(rules: &str) -> String {
    format!(r#"{{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{rules}]}}"#)
}

/// As many of the numbered texts as go into a megabyte, with commas between them.
fn filled(part: impl Fn(usize) -> String) -> String {
    let mut text = part(0);
    let mut number = 1;
    loop {
        let next = part(number);
        if text.len() + next.len() > MAX_BYTES - 1000 {
            return text;
        }
        text.push_str(",\n");
        text.push_str(&next);
        number += 1;
    }
}

#[test]
fn a_file_that_is_too_large_is_refused_by_its_size() {
    let text = firecracker(&" ".repeat(MAX_BYTES));
    let errors = read_bytes("big.json", text.as_bytes(), None, &Options::default()).unwrap_err();
    assert_eq!(errors.to_string(), "error: big.json is larger than 1 MiB, which no policy is\n");
}

#[test]
fn a_megabyte_of_rules_for_a_call_is_refused() {
    let rules = filled(|number| {
        format!(
            r#"{{"syscall": "read", "args": [{{"index": 2, "type": "qword", "op": "eq", "val": {number}}}]}}"#
        )
    });
    assert!(said(&firecracker(&rules), Format::Firecracker, &x86_64()).contains("more than 512 rules"));
}

#[test]
fn a_megabyte_of_comparisons_in_a_rule_is_refused() {
    let tests = filled(|number| format!(r#"{{"index": 2, "type": "qword", "op": "ne", "val": {number}}}"#));
    let rule = firecracker(&format!(r#"{{"syscall": "read", "args": [{tests}]}}"#));
    assert!(said(&rule, Format::Firecracker, &x86_64()).contains("more than 512 comparisons"));
}

#[test]
fn a_megabyte_of_mistakes_is_told_in_few_words() {
    let unknown = filled(|number| format!(r#"{{"syscall": "raed{number}"}}"#));
    assert!(said(&firecracker(&unknown), Format::Firecracker, &x86_64()).contains("more like these"));
    let fields = filled(|number| format!(r#""f{number}": 1"#));
    let fields = oci(&format!(r#"{{"name": "read", "action": "SCMP_ACT_ALLOW", {fields}}}"#));
    assert!(said(&fields, Format::Oci, &x86_64()).contains("more like these"));
}

#[test]
fn a_megabyte_of_names_is_read() {
    let names = filled(|number| format!(r#""{}""#, ["read", "write"][number % 2]));
    let names = oci(&format!(r#"{{"names": [{names}], "action": "SCMP_ACT_ALLOW"}}"#));
    assert!(said(&names, Format::Oci, &x86_64()).contains("more than"));
}

#[test]
fn a_name_of_a_megabyte_is_refused() {
    let name = "x".repeat(MAX_BYTES - 1000);
    let text = firecracker(&format!(r#"{{"syscall": "{name}"}}"#));
    assert!(said(&text, Format::Firecracker, &x86_64()).contains("is not a call"));
}

#[test]
fn names_times_conditions_are_counted_before_they_are_made() {
    let names = vec!["\"read\""; 3000].join(",");
    let args = vec![r#"{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}"#; 3000].join(",");
    let text = oci(&format!(r#"{{"names": [{names}], "action": "SCMP_ACT_ALLOW", "args": [{args}]}}"#));
    assert!(said(&text, Format::Oci, &x86_64()).contains("more than 65536 rules"));
}

#[test]
fn a_file_for_more_threads_than_a_process_has_kinds_of_is_refused() {
    let threads = |count: usize| {
        let thread = |number| {
            format!(r#""t{number}": {{"default_action": "trap", "filter_action": "allow", "filter": []}}"#)
        };
        format!("{{{}}}", (0..count).map(thread).collect::<Vec<_>>().join(","))
    };
    assert_eq!(good(&threads(256), Format::Firecracker, &x86_64()).policies.len(), 256);
    let message = said(&threads(257), Format::Firecracker, &x86_64());
    assert!(message.contains("the file has more than 256 filters"), "{message}");
}

/// Bits of one register paired with the same bits of another: exactly, this set needs a node for each of 2^64 values.
#[test]
fn rules_whose_exact_meaning_has_no_small_form_are_refused() {
    let mut rules = Vec::new();
    for bit in 0..64 {
        let mut rule = String::new();
        let bit = 1_u64 << bit;
        write!(rule, r#"{{"index": 0, "type": "qword", "op": {{"masked_eq": {bit}}}, "val": {bit}}}, "#)
            .unwrap();
        write!(rule, r#"{{"index": 1, "type": "qword", "op": {{"masked_eq": {bit}}}, "val": {bit}}}"#)
            .unwrap();
        rules.push(format!(r#"{{"syscall": "read", "args": [{rule}]}}"#));
    }
    let text = firecracker(&rules.join(","));
    let message = said(&text, Format::Firecracker, &x86_64());
    assert!(message.contains("too complicated"), "{message}");
}
