//! What `--help` says: it fits 100 columns, and its examples can be run.

use std::fs;
use std::process::{Command, Output, Stdio};

use ringfence_tests::image::Kernel;
use ringfence_tests::{binary, network};
use tempfile::TempDir;

/// Columns that a help text takes at most.
const COLUMNS: usize = 100;

fn ringfence(arguments: &[&str]) -> Output {
    let mut command = Command::new(binary::ringfence());
    command.args(arguments).stdin(Stdio::null()).output().expect("the program can be started")
}

fn help_of(path: &[&str]) -> String {
    let output = ringfence(&[path, &["--help"]].concat());
    assert_eq!(output.status.code(), Some(0), "{path:?} --help");
    assert!(output.stderr.is_empty(), "{path:?} --help");
    String::from_utf8(output.stdout).expect("help is text")
}

/// The names below `Commands:`.
fn commands_in(help: &str) -> Vec<&str> {
    let section = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let names = section.take_while(|line| !line.is_empty()).filter(|line| !line.starts_with("   "));
    names.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help").collect()
}

fn assert_fits(path: &[&str]) {
    let help = help_of(path);
    for line in help.lines() {
        assert!(line.chars().count() <= COLUMNS, "{path:?} --help is wider than {COLUMNS}: {line}");
    }
    for name in commands_in(&help) {
        assert_fits(&[path, &[name]].concat());
    }
}

#[test]
fn help_of_every_command_fits_100_columns() {
    let help = help_of(&[]);
    let commands = commands_in(&help);
    assert!(["run", "policy", "guest", "doctor"].iter().all(|name| commands.contains(name)), "{help}");
    assert_fits(&[]);
}

/// The examples of a command's help, as words, without what is said about them at their right.
fn examples_in(help: &str) -> Vec<Vec<String>> {
    let examples = help.lines().filter_map(|line| line.strip_prefix("  ringfence "));
    let command = |line: &str| line.split("   ").next().unwrap_or(line).to_owned();
    examples.map(|line| command(line).split_whitespace().map(str::to_owned).collect()).collect()
}

fn run_examples(path: &[&str], folder: &TempDir) {
    run_those_examples(path, folder, |_| true);
}

fn run_those_examples(path: &[&str], folder: &TempDir, which: impl Fn(&[String]) -> bool) {
    let help = help_of(path);
    let mut examples = examples_in(&help);
    examples.retain(|example| which(example));
    assert!(!examples.is_empty(), "{path:?} --help shows no example");
    for example in examples {
        let mut command = Command::new(binary::ringfence());
        let output = command.args(&example).current_dir(folder).stdin(Stdio::null()).output();
        let output = output.expect("the program can be started");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "the example {example:?} fails: {said}");
    }
}

/// What the examples of `run` name, in a folder.
fn files_of_run() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let files = [
        ("vmlinux", Kernel::with_verdict(0).file()),
        ("initrd.cpio", vec![b'0'; 512]),
        ("root.ext4", vec![0; 512]),
    ];
    for (name, bytes) in files {
        fs::write(folder.path().join(name), bytes).expect("a file of a temporary folder can be written");
    }
    folder
}

/// It makes a TAP.
fn has_network(example: &[String]) -> bool {
    example.iter().any(|word| word == "--net")
}

#[test]
fn examples_of_run_run() {
    ringfence_tests::run::require_kvm();
    let folder = files_of_run();
    run_those_examples(&["run"], &folder, |example| !has_network(example));
    assert!(folder.path().join("report.json").exists(), "the example with --report made none");
}

#[test]
fn the_example_of_run_with_a_network_runs() {
    ringfence_tests::run::require_kvm();
    network::in_namespace(|| run_those_examples(&["run"], &files_of_run(), has_network));
}

#[test]
fn examples_of_guest_list_run() {
    run_examples(&["guest", "list"], &tempfile::tempdir().unwrap());
}

#[test]
fn every_embedded_guest_is_listed() {
    let output = ringfence(&["guest", "list"]);
    let text = String::from_utf8(output.stdout).expect("a list is text");
    for guest in guest_images::bare::GUESTS {
        let start = format!(" {} ", guest.name);
        assert!(text.lines().any(|line| line.starts_with(&start) && line.contains(guest.summary)), "{text}");
    }
}

#[test]
fn a_reader_that_goes_away_has_read_enough() {
    ringfence_tests::run::require_kvm();
    let (reader, writer) = std::io::pipe().expect("the system makes a pipe");
    drop(reader);
    for arguments in [&["--help"][..], &["guest", "list"], &["doctor"], &["--version"]] {
        let mut command = Command::new(binary::ringfence());
        command.args(arguments).stdin(Stdio::null());
        command.stdout(writer.try_clone().expect("a descriptor can be duplicated"));
        let output = command.stderr(Stdio::piped()).output().expect("the program can be started");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), said.as_ref()), (Some(0), ""), "{arguments:?}");
    }
}
