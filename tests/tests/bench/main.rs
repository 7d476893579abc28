//! `ringfence bench`: what it says, and what it keeps to itself. No time is asserted.
#![forbid(unsafe_code)]

mod measuring;
mod showing;

use std::process::{Command, Output, Stdio};

use ringfence_tests::binary;

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(binary::ringfence());
    command.arg("bench").args(arguments).stdin(Stdio::null());
    command
}

fn bench(arguments: &[&str]) -> Output {
    command(arguments).output().expect("the binary can be started")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What it says, of either kind.
fn said(code: i32, arguments: &[&str]) -> String {
    let output = bench(arguments);
    let said = text(&output.stdout) + &text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    said
}
