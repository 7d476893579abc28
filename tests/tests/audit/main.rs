//! `ringfence audit`: policies side by side, and what holds the threads of running processes.

mod browser;
mod disturbance;
mod learn;
mod moving;
mod observe;
mod others;
mod ours;
mod pipelines;
mod policies;
mod sleeper;

use std::process::{Command, Output, Stdio};

use ringfence_tests::{binary, child};
use serde_json::Value;

/// Whether filters can be seen here; says so where they cannot.
fn can_see_filters() -> bool {
    let root = child::is_root();
    if !root {
        eprintln!("skipped: the kernel shows filters to nobody without CAP_SYS_ADMIN, and this is not root");
    }
    root
}

/// Whether tracepoints can be had here; says so where they cannot.
fn has_tracepoints() -> bool {
    let root = child::is_root();
    if !root {
        eprintln!("skipped: tracepoints are for root, and this is not root");
    }
    root
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(binary::ringfence());
    command.args(["audit", "live"]).args(arguments).stdin(Stdio::null());
    command
}

fn live(arguments: &[&str]) -> Output {
    command(arguments).output().expect("the binary can be started")
}

/// What it says, and the exit code.
fn said(arguments: &[&str]) -> (i32, String) {
    let output = live(arguments);
    let code = output.status.code().expect("it ends by itself");
    (code, format!("{}{}", text(&output.stdout), text(&output.stderr)))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The report on one process.
fn report(code: i32, arguments: &[&str]) -> Value {
    let output = live(&[arguments, &["--json"]].concat());
    assert_eq!(output.status.code(), Some(code), "{}{}", text(&output.stdout), text(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["attested"], code == 0, "{report:#}");
    report["processes"][0].clone()
}

/// The threads of a report, by name.
fn thread<'a>(report: &'a Value, name: &str) -> &'a Value {
    let threads = report["threads"].as_array().expect("a list of threads");
    threads.iter().find(|thread| thread["name"] == name).unwrap_or_else(|| panic!("no {name} in {report:#}"))
}
