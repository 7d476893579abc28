//! The examples of the help and of the README, by `curl`.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use ringfence_tests::{api, binary};

use crate::image;

/// The lines of `text` that ask the API by `curl`, as a shell takes them.
fn examples(text: &str) -> Vec<String> {
    let text = text.replace("\\\n", " ");
    text.lines().map(str::trim).filter(|line| line.starts_with("curl ")).map(str::to_owned).collect()
}

/// Runs examples as they are written, but for the names of files, and boot arguments that make the guest write; the
/// machine must be running afterwards.
fn run(examples: &[String], socket: &str) {
    let mut served = api::serve::<&str>([]);
    let text = |path: PathBuf| path.into_os_string().into_string().expect("a path is text");
    let file = |name: &str| text(served.folder().join(name));
    fs::write(file("vmlinux"), image("spin")).expect("the folder takes a file");
    fs::write(file("root.ext4"), [0; 4096]).expect("the folder takes a file");
    for example in examples {
        assert!(example.contains(socket), "{example}");
        let line = ["vmlinux", "root.ext4"]
            .iter()
            .fold(example.replace(socket, &text(served.socket())), |line, name| {
                line.replace(name, &file(name))
            })
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

#[test]
fn the_examples_of_the_help_configure_and_start_a_machine() {
    let mut command = Command::new(binary::ringfence());
    let output = command.args(["api", "--help"]).output().expect("the program can be started");
    let examples = examples(&String::from_utf8(output.stdout).expect("help is text"));
    assert_eq!(examples.len(), 3, "{examples:?}");
    run(&examples, "/run/ringfence.sock");
}

#[test]
fn the_examples_of_the_readme_configure_and_start_a_machine() {
    let readme = concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md");
    let examples = examples(&fs::read_to_string(readme).expect("there is a README"));
    assert_eq!(examples.len(), 5, "{examples:?}");
    run(&examples, "/tmp/rf.sock");
}
