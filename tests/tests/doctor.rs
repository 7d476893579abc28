//! `ringfence doctor` on the machine that runs the tests, which therefore is one that can run guests.
#![forbid(unsafe_code)]

use std::fs::OpenOptions;
use std::process::{Command, Output, Stdio};

use ringfence_tests::{binary, run};
use serde_json::Value;

fn doctor(arguments: &[&str]) -> Output {
    run::require_kvm();
    let output = Command::new(binary::ringfence()).arg("doctor").args(arguments).output();
    output.expect("the binary can be started")
}

#[test]
fn doctor_ends_with_0_where_guests_can_be_run_and_keeps_to_80_columns() {
    let output = doctor(&[]);
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.ends_with("Guests can be run here.\n"), "{text}");
    let wide: Vec<&str> = text.lines().filter(|line| line.chars().count() > 80).collect();
    assert!(wide.is_empty(), "{wide:?}");
}

#[test]
fn json_of_doctor_has_checks_for_each_job_and_a_remedy_for_each_lack() {
    let report: Value = serde_json::from_slice(&doctor(&["--json"]).stdout).unwrap();
    assert_eq!(report["can_run"], true);
    let checks = report["checks"].as_array().unwrap();
    for job in ["run", "audit", "measure"] {
        assert!(checks.iter().any(|check| check["job"] == job), "{job}");
    }
    for check in checks {
        assert_eq!(check["state"] == "ok", check["remedy"].is_null(), "{check}");
    }
}

#[test]
fn doctor_says_when_its_report_cannot_be_written() {
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let child = Command::new(binary::ringfence()).arg("doctor").stdout(full).stderr(Stdio::piped()).spawn();
    let output = child.unwrap().wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("cannot write the report to standard output: No space left on device"), "{said}");
}
