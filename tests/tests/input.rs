//! Standard input on its way to the guest: whole, from whatever it comes, and its end ends nothing.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::process::Stdio;

use ringfence_tests::run::{self, Ended, Run};
use ringfence_tests::{binary, child};
use rustix::fs::OFlags;
use rustix::process::Signal;

/// The longest line that the guest `echo` says back in one piece, less one.
const LINE_BYTES: usize = 1000;

fn line(number: usize) -> String {
    let start = format!("{number:06} ");
    start.clone() + &"abcdefghij".repeat(LINE_BYTES / 10)[start.len()..]
}

/// Numbered lines of [`LINE_BYTES`] bytes, so many of them, and the one that ends the guest.
fn paste(lines: usize) -> String {
    (0..lines).map(|number| line(number) + "\n").collect::<String>() + "quit\n"
}

fn assert_all_echoed(ended: Ended, lines: usize) {
    let output = ended.expect_code(0).output();
    let said: Vec<&str> = output.lines().filter_map(|line| line.strip_prefix("you said: ")).collect();
    assert_eq!(said.len(), lines);
    for (number, said) in said.into_iter().enumerate() {
        assert_eq!(said, line(number), "line {number}");
    }
}

fn echo_from(stdin: impl Into<Stdio>) -> Run {
    let mut command = run::run_command(binary::ringfence());
    command.arg("echo").stdin(stdin);
    Run::start(&mut command)
}

/// The guest still beats: what comes next is later than all that has come.
fn wait_for_another_beat(run: &mut Run) {
    let beats = run.stdout().matches("beat ").count();
    run.wait_for(&format!("beat {}\r\n", beats + 2));
}

fn beating_from(stdin: impl Into<Stdio>) -> Run {
    let mut command = run::run_command(binary::ringfence());
    command.args(["spin", "--cmdline", "beat"]).stdin(stdin);
    Run::start(&mut command)
}

#[test]
fn a_paste_of_64_kib_reaches_the_guest_whole() {
    let mut run = run::guest(["echo"]);
    // Before the guest listens: what it has no room for waits.
    run.say(&paste(65));
    assert_all_echoed(run.wait(), 65);
}

#[test]
fn a_regular_file_reaches_the_guest_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("input");
    fs::write(&path, paste(12)).expect("a file of a temporary folder can be written");
    assert_all_echoed(echo_from(File::open(&path).expect("it is there")).wait(), 12);
}

#[test]
fn a_pipe_that_does_not_block_reaches_the_guest_whole() {
    let (reader, mut writer) = io::pipe().expect("the system makes a pipe");
    rustix::fs::fcntl_setfl(&reader, OFlags::NONBLOCK).expect("a pipe takes the flag");
    let mut run = echo_from(reader);
    run.wait_for("\"quit\" ends me.");
    writer.write_all(paste(5).as_bytes()).expect("the pipe takes it");
    assert_all_echoed(run.wait(), 5);
}

#[test]
fn a_byte_is_a_byte_whatever_its_value() {
    // All but those that end a line; by a file, so that no terminal has a say.
    let bytes: Vec<u8> = (0..=255).filter(|byte| !b"\r\n".contains(byte)).collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("input");
    fs::write(&path, [&bytes[..], b"\nquit\n"].concat())
        .expect("a file of a temporary folder can be written");
    let ended = echo_from(File::open(&path).expect("it is there")).wait().expect_code(0);
    let expected = [b"you said: ", &bytes[..], b"\r\n"].concat();
    assert!(ended.stdout.windows(expected.len()).any(|window| window == expected), "{}", ended.output());
}

#[test]
fn end_of_a_pipe_ends_nothing() {
    let mut run = run::guest(["echo"]);
    run.say("good morning\n");
    run.close_stdin();
    run.wait_for("you said: good morning\r\n");
    assert!(run.is_running());
    run.signal(Signal::TERM);
    let _ = run.wait().expect_code(143);
}

#[test]
fn no_input_at_all_ends_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let empty =
        File::create_new(folder.path().join("empty")).expect("a file of a temporary folder can be made");
    // A directory can be opened and not read.
    let directory = File::open(folder.path()).expect("a folder can be opened");
    for stdin in [Stdio::null(), empty.into(), directory.into()] {
        let mut run = beating_from(stdin);
        wait_for_another_beat(&mut run);
        run.signal(Signal::TERM);
        let _ = run.wait().expect_code(143);
    }
}

#[test]
fn closed_standard_input_ends_nothing() {
    let mut command = run::run_command(binary::ringfence());
    command.args(["spin", "--cmdline", "beat"]);
    child::close(&mut command, &[0]);
    let mut run = Run::start(&mut command);
    wait_for_another_beat(&mut run);
    run.signal(Signal::TERM);
    let _ = run.wait().expect_code(143);
}

#[test]
fn ctrl_a_means_nothing_where_input_is_no_terminal() {
    let mut run = run::guest(["echo"]);
    run.say("one\u{1}x two\n");
    run.wait_for("you said: one\u{1}x two\r\n");
    run.say("quit\n");
    let _ = run.wait().expect_code(0);
}
