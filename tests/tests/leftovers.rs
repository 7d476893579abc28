//! What is there after a run that was not there before: nothing.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Stdio;

use ringfence_tests::run::{self, Run};
use ringfence_tests::terminal::Terminal;
use ringfence_tests::{binary, procfs};
use rustix::io::Errno;
use rustix::process::{Pid, Signal};

/// How a run is brought to its end.
#[derive(Clone, Copy, Debug)]
enum End {
    Itself,
    Signal(Signal),
}

/// Ten runs of different kinds and ends.
fn ten_runs() -> [(&'static [&'static str], End); 10] {
    [
        (&["hello"], End::Itself),
        (&["tour", "--vcpus", "4"], End::Itself),
        (&["hello", "--count-calls"], End::Itself),
        (&["fault"], End::Itself),
        (&["no-such-guest"], End::Itself),
        (&["spin"], End::Signal(Signal::TERM)),
        (&["spin", "--vcpus", "4"], End::Signal(Signal::INT)),
        (&["spin", "--tier", "none"], End::Signal(Signal::HUP)),
        (&["spin"], End::Signal(Signal::KILL)),
        (&["spin", "--vcpus", "4", "--count-calls"], End::Signal(Signal::KILL)),
    ]
}

fn names_in(folder: &Path) -> BTreeSet<OsString> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries.filter_map(|entry| Some(entry.ok()?.file_name())).collect()
}

fn mounts() -> String {
    fs::read_to_string("/proc/self/mountinfo").expect("/proc tells")
}

/// Whether any process of this group, which the run has led, is left.
fn is_group_empty(leader: i32) -> bool {
    let group = Pid::from_raw(leader).expect("a process has a number");
    rustix::process::test_kill_process_group(group) == Err(Errno::SRCH)
}

#[test]
fn ten_runs_in_a_row_leave_no_process_no_file_and_no_mount() {
    let folder = tempfile::tempdir().unwrap();
    let (shared_memory, mounts_before) = (names_in("/dev/shm".as_ref()), mounts());
    for (arguments, end) in ten_runs() {
        let mut command = run::run_command(binary::ringfence());
        command.args(arguments).current_dir(&folder).env("TMPDIR", folder.path()).process_group(0);
        let mut run = Run::start(&mut command);
        let leader = run.pid();
        if let End::Signal(signal) = end {
            run.wait_for("spinning");
            run.signal(signal);
        }
        // It returns when nobody holds the other ends of the run's pipes any more.
        let ended = run.wait();
        assert!(is_group_empty(leader), "{arguments:?} left a process behind");
        assert_eq!(names_in(folder.path()), BTreeSet::new(), "{arguments:?}: {}", ended.stderr);
    }
    assert_eq!(names_in("/dev/shm".as_ref()), shared_memory);
    assert_eq!(mounts(), mounts_before);
}

#[test]
fn ten_runs_in_a_row_leave_the_terminal_as_it_was() {
    let terminal = Terminal::open(80);
    let before = terminal.modes();
    let killed = |end| matches!(end, End::Signal(Signal::KILL));
    // Nothing can put the terminal back for a process that is killed.
    for (arguments, end) in ten_runs().into_iter().filter(|&(_, end)| !killed(end)) {
        let mut command = run::run_command(binary::ringfence());
        command.args(arguments);
        terminal.give_to(&mut command);
        // The terminal is for its input and its mode; what the guest says is waited for.
        command.stdout(Stdio::piped());
        let mut run = Run::start(&mut command);
        if let End::Signal(signal) = end {
            run.wait_for("spinning");
            assert!(terminal.modes().is_raw(), "{arguments:?}");
            run.signal(signal);
        }
        let ended = run.wait();
        assert_eq!(terminal.modes(), before, "{arguments:?} {:?}", ended.status);
    }
}

#[test]
fn a_guest_that_never_ends_takes_no_more_threads_and_descriptors_as_it_runs() {
    let mut run = run::guest(["spin", "--vcpus", "2", "--cmdline", "beat"]);
    let pid = run.pid();
    let held = || {
        let threads = procfs::threads(pid);
        threads.iter().map(|thread| (thread.name.clone(), thread.descriptors())).collect::<Vec<_>>()
    };
    run.wait_for("beat 5\r\n");
    let early = held();
    run.wait_for("beat 60\r\n");
    assert_eq!(held(), early);
    run.signal(Signal::TERM);
    let _ = run.wait().expect_code(143);
}
