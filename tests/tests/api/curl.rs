//! The examples of the help, by `curl`.

use std::fs;
use std::process::{Command, Stdio};

use ringfence_tests::{api, binary};

use crate::image;

/// The lines that `ringfence api --help` shows, as a shell takes them.
fn examples() -> Vec<String> {
    let mut command = Command::new(binary::ringfence());
    let output = command.args(["api", "--help"]).output().expect("the program can be started");
    let help = String::from_utf8(output.stdout).expect("help is text").replace("\\\n", " ");
    help.lines().map(str::trim).filter(|line| line.starts_with("curl ")).map(str::to_owned).collect()
}

#[test]
fn the_examples_of_the_help_configure_and_start_a_machine() {
    let mut served = api::serve::<&str>([]);
    fs::write(served.folder().join("vmlinux"), image("spin")).expect("the folder takes a file");
    let examples = examples();
    assert_eq!(examples.len(), 3, "{examples:?}");
    for example in examples {
        let socket = served.socket();
        let line = example
            .replace("/run/ringfence.sock", socket.to_str().expect("the folder's name is text"))
            .replace("vmlinux", served.folder().join("vmlinux").to_str().expect("the folder's name is text"))
            .replace("console=ttyS0", "beat");
        let mut command = Command::new("sh");
        let output = command
            .args(["-c", &format!("{line} --silent --show-error --fail-with-body")])
            .stdin(Stdio::null())
            .output()
            .expect("there is a shell");
        let said = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&said));
    }
    served.run.wait_for("beat 1");
}
