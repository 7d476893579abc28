//! The user's terminal: raw while a guest has it, as before afterwards, whatever the end.

use std::fs;
use std::path::Path;
use std::process::Command;

use ringfence_tests::image::Kernel;
use ringfence_tests::run::{self, Run};
use ringfence_tests::terminal::Terminal;
use ringfence_tests::{binary, wait};
use rustix::process::Signal;

const CTRL_A: u8 = 0x01;
const CTRL_C: u8 = 0x03;

fn command(binary: &Path, arguments: &[&str]) -> Command {
    let mut command = run::run_command(binary);
    command.args(arguments);
    command
}

/// A run on a terminal of its own.
fn start_on(terminal: &Terminal, mut command: Command) -> Run {
    terminal.give_to(&mut command);
    Run::start(&mut command)
}

fn start(arguments: &[&str]) -> (Terminal, Run) {
    let terminal = Terminal::open(80);
    let run = start_on(&terminal, command(binary::ringfence(), arguments));
    (terminal, run)
}

/// What the monitor says at the end, once it is shown: the table's last line.
const LAST_WORDS: &str = "calls not counted: ";

/// Runs to the end, with what `during` does to the running guest, and compares the modes before and after.
fn assert_restored(command: Command, code: i32, during: impl FnOnce(&mut Terminal, &Run)) -> String {
    let mut terminal = Terminal::open(80);
    let before = terminal.modes();
    assert!(!before.is_raw());
    let run = start_on(&terminal, command);
    during(&mut terminal, &run);
    let _ = run.wait().expect_code(code);
    assert_eq!(terminal.modes(), before);
    terminal.shown()
}

fn until_raw(terminal: &Terminal) {
    wait::until("a raw terminal", || terminal.modes().is_raw().then_some(()));
}

#[test]
fn terminal_is_raw_while_the_guest_runs_and_translates_its_newlines() {
    let (mut terminal, run) = start(&["echo"]);
    terminal.wait_for("\"quit\" ends me.");
    assert!(terminal.modes().is_raw());
    assert!(terminal.modes().translates_newlines());
    terminal.enter(b"quit\r");
    let _ = run.wait().expect_code(0);
    assert!(!terminal.modes().is_raw());
}

#[test]
fn a_newline_alone_begins_a_line_at_its_beginning() {
    let folder = tempfile::tempdir().unwrap();
    let kernel = folder.path().join("kernel");
    fs::write(&kernel, Kernel::saying("one\ntwo\n").file())
        .expect("a file of a temporary folder can be written");
    let (terminal, run) = start(&["--kernel", kernel.to_str().expect("its path is text")]);
    let _ = run.wait().expect_code(0);
    terminal.wait_for("one\r\ntwo\r\n");
}

#[test]
fn what_is_typed_is_shown_by_the_guest_alone() {
    let (mut terminal, run) = start(&["echo"]);
    terminal.wait_for("\"quit\" ends me.");
    terminal.enter(b"good morning\rquit\r");
    let _ = run.wait().expect_code(0);
    terminal.wait_for(LAST_WORDS);
    assert_eq!(terminal.shown().matches("good morning").count(), 1, "{}", terminal.shown());
}

#[test]
fn ctrl_c_goes_to_the_guest() {
    let (mut terminal, run) = start(&["echo"]);
    terminal.wait_for("\"quit\" ends me.");
    terminal.enter(&[b'a', CTRL_C, b'b', b'\r']);
    terminal.wait_for("you said: a\u{3}b");
    terminal.enter(b"quit\r");
    let _ = run.wait().expect_code(0);
}

#[test]
fn ctrl_a_twice_and_ctrl_a_a_each_send_one() {
    let (mut terminal, run) = start(&["echo"]);
    terminal.wait_for("\"quit\" ends me.");
    terminal.enter(&[b'<', CTRL_A, CTRL_A, CTRL_A, b'a', b'>', b'\r']);
    terminal.wait_for("you said: <\u{1}\u{1}>");
    terminal.enter(b"quit\r");
    let _ = run.wait().expect_code(0);
}

#[test]
fn ctrl_a_d_presses_ctrl_alt_del_on_the_keyboard_of_a_guest_that_listens() {
    for vcpus in ["1", "2"] {
        let (mut terminal, run) = start(&["keyboard", "--keyboard", "--vcpus", vcpus]);
        terminal.wait_for("keyboard: reset fa aa, who fa ab 41");
        terminal.enter(&[CTRL_A, b'd']);
        let _ = run.wait().expect_code(0);
        terminal.wait_for(LAST_WORDS);
        let shown = terminal.shown();
        let codes: Vec<&str> =
            shown.lines().filter_map(|line| line.trim_end().strip_prefix("keyboard: ")).collect();
        assert_eq!(codes[1..], ["1d", "38", "e0 53", "Ctrl-Alt-Del"], "{shown}");
    }
}

#[test]
fn ctrl_a_d_without_a_keyboard_is_dropped() {
    let (mut terminal, run) = start(&["echo"]);
    terminal.wait_for("\"quit\" ends me.");
    terminal.enter(&[b'<', CTRL_A, b'd', b'>', b'\r']);
    terminal.wait_for("you said: <>");
    terminal.enter(b"quit\r");
    let _ = run.wait().expect_code(0);
}

#[test]
fn ctrl_a_x_leaves_and_the_terminal_is_as_before() {
    for guest in [&["spin"][..], &["echo"]] {
        let shown = assert_restored(command(binary::ringfence(), guest), 130, |terminal, _| {
            until_raw(terminal);
            terminal.enter(&[CTRL_A, b'x']);
            terminal.wait_for(LAST_WORDS);
        });
        assert!(shown.contains("ringfence: left from the terminal (Ctrl-A x)\r\n"), "{shown}");
    }
}

#[test]
fn ctrl_a_x_leaves_behind_keys_that_the_guest_does_not_take() {
    for keys in [1, 63, 64, 200, 5_000] {
        let shown = assert_restored(command(binary::ringfence(), &["spin"]), 130, |terminal, _| {
            until_raw(terminal);
            terminal.enter(&vec![b'z'; keys]);
            terminal.enter(&[CTRL_A, b'x']);
            terminal.wait_for(LAST_WORDS);
        });
        assert!(shown.contains("left from the terminal"), "{keys} keys before: {shown}");
    }
}

#[test]
fn a_paste_of_64_kib_into_a_terminal_reaches_the_guest_whole() {
    let (mut terminal, run) = start(&["echo"]);
    terminal.wait_for("\"quit\" ends me.");
    let line = |number: usize| format!("{number:06} ") + &"abcdefghij".repeat(99);
    for number in 0..66 {
        terminal.enter(format!("{}\r", line(number)).as_bytes());
    }
    terminal.enter(b"quit\r");
    let _ = run.wait().expect_code(0);
    terminal.wait_for(LAST_WORDS);
    let shown = terminal.shown();
    let said: Vec<&str> = shown.lines().filter_map(|line| line.strip_prefix("you said: ")).collect();
    assert_eq!(said.len(), 66);
    for (number, said) in said.into_iter().enumerate() {
        assert_eq!(said.trim_end_matches('\r'), line(number), "line {number}");
    }
}

#[test]
fn terminal_is_as_before_after_a_reset_and_after_a_triple_fault() {
    for (guest, code) in [("hello", 0), ("fault", 3)] {
        let shown = assert_restored(command(binary::ringfence(), &[guest]), code, |terminal, _| {
            terminal.wait_for(LAST_WORDS);
        });
        // The monitor's own lines come after the restoration: none of them is a staircase.
        assert!(!shown.replace("\r\n", "").contains('\n'), "{shown}");
    }
}

#[test]
fn terminal_is_as_before_after_each_signal() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT] {
        assert_restored(command(binary::ringfence(), &["spin"]), 128 + signal.as_raw(), |terminal, run| {
            terminal.wait_for("spinning");
            until_raw(terminal);
            run.signal(signal);
        });
    }
}

#[test]
fn terminal_is_as_before_after_a_violation_of_each_thread() {
    for thread in ["rf-main", "rf-io", "rf-vcpu0"] {
        let deed = format!("{thread}:getppid");
        let command = command(binary::provoking(), &["spin", "--provoke", &deed]);
        let shown = assert_restored(command, 148, |terminal, _| terminal.wait_for("was refused getppid"));
        assert!(shown.contains(thread), "{shown}");
    }
}

#[test]
fn terminal_is_as_before_after_the_console_thread_s_violation() {
    let command = command(binary::provoking(), &["spin", "--provoke", "rf-console:getppid"]);
    assert_restored(command, 148, |terminal, _| terminal.wait_for("was ended by the kernel"));
}

#[test]
fn terminal_is_as_before_after_a_panic_of_each_thread() {
    for thread in ["rf-main", "rf-io", "rf-console", "rf-vcpu0"] {
        let deed = format!("{thread}:panic");
        let command = command(binary::provoking(), &["spin", "--provoke", &deed]);
        let shown = assert_restored(command, 1, |terminal, _| terminal.wait_for("panicked"));
        assert!(shown.contains(thread), "{shown}");
    }
}

#[test]
fn an_error_before_the_start_leaves_the_terminal_alone() {
    let command = command(binary::ringfence(), &["no-such-guest"]);
    let shown = assert_restored(command, 1, |terminal, _| terminal.wait_for("no-such-guest"));
    assert!(shown.ends_with("\r\n"), "{shown}");
}

#[test]
fn in_the_background_the_terminal_is_not_touched_and_not_read() {
    // A shell with job control puts the run into a process group of its own, and itself into the foreground.
    let script =
        r#"set -m; "$0" run spin --cmdline beat & trap "kill $!" TERM; wait $!; wait $!; echo "ended: $?""#;
    let mut shell = Command::new("sh");
    shell.args(["-c", script]).arg(binary::ringfence());
    let mut terminal = Terminal::open(80);
    let before = terminal.modes();
    let run = start_on(&terminal, shell);
    terminal.wait_for("beat 2");
    assert_eq!(terminal.modes(), before);
    terminal.enter(&[CTRL_A, b'x']);
    terminal.wait_for(&format!("beat {}", terminal.shown().matches("beat ").count() + 2));
    run.signal(Signal::TERM);
    terminal.wait_for("ended: 143");
    assert_eq!(terminal.modes(), before);
}
