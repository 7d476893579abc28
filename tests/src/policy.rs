//! `ringfence policy`, run to its end.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::binary::ringfence;

/// The command in a folder, without input.
pub fn policy(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(ringfence());
    command.arg("policy").args(arguments).current_dir(folder).env_remove("NO_COLOR").stdin(Stdio::null());
    command
}

/// Runs a command to its end: exit code, standard output, standard error.
pub fn run(command: &mut Command) -> (i32, String, String) {
    let Output { status, stdout, stderr } = command.output().expect("the binary starts");
    let text = |bytes| String::from_utf8(bytes).expect("it writes UTF-8");
    (status.code().expect("it ends by itself"), text(stdout), text(stderr))
}
