//! Threads that a debugger, an auditor or job control holds still go on as if nothing had been.
//!
//! The kernel continues a timed wait after a stop by a system call of its own, `restart_syscall`, which a filter
//! sees; so each thread is stopped in each of the waits that it has.

use ringfence_tests::procfs::{self, Thread};
use ringfence_tests::ptrace::Stopped;
use ringfence_tests::run::{self, Run};
use ringfence_tests::{binary, wait};
use rustix::process::Signal;

use crate::threads::own_threads;

const TIMES: usize = 50;

/// A thread and the system call in which it waits.
type Wait = (&'static str, libc::c_long);

/// Nothing to do: the guest sleeps in KVM, its other processor was never started.
const IDLE: &[Wait] = &[
    ("rf-main", libc::SYS_ppoll),
    ("rf-io", libc::SYS_epoll_wait),
    ("rf-console", libc::SYS_read),
    ("rf-vcpu0", libc::SYS_ioctl),
    ("rf-vcpu1", libc::SYS_ioctl),
];

/// Nobody takes the output: the console is in its write, the vCPU waits for room.
const BLOCKED: &[Wait] = &[
    ("rf-main", libc::SYS_ppoll),
    ("rf-io", libc::SYS_epoll_wait),
    ("rf-console", libc::SYS_write),
    ("rf-vcpu0", libc::SYS_futex),
];

/// The guest has ended, its last output has not been taken yet: main looks again and again, with a timeout.
const ENDED: &[Wait] = &[
    ("rf-main", libc::SYS_ppoll),
    ("rf-io", libc::SYS_epoll_wait),
    ("rf-console", libc::SYS_write),
    ("rf-vcpu0", libc::SYS_futex),
];

fn wait_until_all_wait(run: &Run, waits: &[Wait]) {
    for &(name, call) in waits {
        wait_until_it_waits(run, name, call);
    }
}

fn wait_until_it_waits(run: &Run, name: &str, call: libc::c_long) -> Thread {
    // A thread that the kernel continues waits in restart_syscall, in its own words.
    let calls = [call, libc::SYS_restart_syscall];
    wait::until(&format!("{name} waits in system call {call}"), || {
        let thread = procfs::find(run.pid(), name)?;
        assert_ne!(thread.state, 'Z', "{name} has ended: {}", run.stderr());
        thread.sleeps_in().filter(|call| calls.contains(call)).map(|_| thread)
    })
}

/// Stops each thread by ptrace, again and again, each time after it has gone back to its wait.
fn trace_each(run: &Run, waits: &[Wait]) {
    for &(name, call) in waits {
        for _ in 0..TIMES {
            let thread = wait_until_it_waits(run, name, call);
            drop(Stopped::attach(&thread).unwrap_or_else(|error| panic!("stopping {name}: {error}")));
        }
    }
}

fn all_are(run: &Run, is: impl Fn(char) -> bool) -> Option<()> {
    own_threads(run).values().all(|thread| is(thread.state)).then_some(())
}

/// Stops and continues the whole process, as a shell does.
fn stop_all(run: &Run, waits: &[Wait]) {
    for _ in 0..TIMES {
        wait_until_all_wait(run, waits);
        run.signal(Signal::STOP);
        wait::until("every thread stops", || all_are(run, |state| state == 'T'));
        run.signal(Signal::CONT);
        wait::until("every thread goes on", || all_are(run, |state| state != 'T'));
    }
}

#[test]
fn threads_that_wait_for_something_to_do_go_on_after_stops() {
    let mut run = run::guest(["echo", "--vcpus", "2"]);
    run.wait_for("type a line");
    trace_each(&run, IDLE);
    run.say("after ptrace\n");
    run.wait_for("you said: after ptrace");
    stop_all(&run, IDLE);
    run.say("after SIGSTOP\n");
    run.wait_for("you said: after SIGSTOP");
    run.say("quit\n");
    let ended = run.wait().expect_code(0);
    assert!(ended.output().ends_with("echo: goodbye\r\n"), "{}", ended.output());
}

/// More than the pipe and the monitor's own ring take.
const FLOOD_KIB: usize = 512;

fn flood(kib: usize) -> Run {
    let kib = kib.to_string();
    let arguments = ["flood", "--cmdline", &kib];
    Run::start_unread(run::run_command(binary::ringfence()).args(arguments))
}

/// Nothing is missing, and nothing came twice: the lines are numbered.
fn assert_is_whole(output: &str, kib: usize) {
    let numbers: Vec<usize> = output.lines().filter_map(|line| line.get(..8)?.parse().ok()).collect();
    assert_eq!(numbers, (0..kib * 1024 / 64).collect::<Vec<_>>());
}

#[test]
fn threads_that_wait_for_room_go_on_after_stops() {
    let run = flood(FLOOD_KIB);
    trace_each(&run, BLOCKED);
    stop_all(&run, BLOCKED);
    assert_is_whole(&run.wait().expect_code(0).output(), FLOOD_KIB);
}

/// More than the pipe takes; the ring takes the rest.
const SMALL_FLOOD_KIB: usize = 96;

/// The run is at its end but for the output that nobody takes: main waits with a timeout, its third argument.
pub(crate) fn wait_until_main_waits_for_output(run: &Run) {
    wait::until("main waits with a timeout", || {
        let main = procfs::find(run.pid(), "rf-main")?;
        assert_ne!(main.state, 'Z', "main has ended: {}", run.stderr());
        let arguments = main.arguments_of_sleep()?;
        (main.sleeps_in() == Some(libc::SYS_ppoll) && arguments[2] != 0).then_some(())
    });
}

#[test]
fn main_that_waits_for_the_last_output_goes_on_after_stops() {
    let run = flood(SMALL_FLOOD_KIB);
    wait_until_main_waits_for_output(&run);
    trace_each(&run, ENDED);
    stop_all(&run, ENDED);
    assert_is_whole(&run.wait().expect_code(0).output(), SMALL_FLOOD_KIB);
}

#[test]
fn main_that_waits_for_a_vcpu_to_pause_goes_on_after_stops() {
    let run = flood(FLOOD_KIB);
    wait_until_all_wait(&run, BLOCKED);
    // Main kicks the vCPU, which cannot come for want of room, and waits for it with a timeout.
    let main = procfs::thread(run.pid(), "rf-main");
    run.signal(Signal::TERM);
    let mut stops = 0;
    while let Ok(stopped) = Stopped::attach(&main) {
        drop(stopped);
        stops += 1;
    }
    assert!(stops > 0, "main was never stopped");
    // 128 + SIGTERM: neither a violation nor an end by the kernel.
    let ended = run.wait().expect_code(143);
    assert!(ended.stderr.contains("ended by SIGTERM"), "{}", ended.stderr);
}

#[test]
fn a_vcpu_inside_its_guest_goes_on_after_stops() {
    let mut run = run::guest(["spin", "--cmdline", "beat"]);
    run.wait_for("beat 1\r\n");
    let vcpu = procfs::thread(run.pid(), "rf-vcpu0");
    for _ in 0..TIMES {
        drop(Stopped::attach(&vcpu).expect("a running vCPU can be stopped"));
    }
    for _ in 0..TIMES {
        run.signal(Signal::STOP);
        wait::until("every thread stops", || all_are(&run, |state| state == 'T'));
        run.signal(Signal::CONT);
    }
    let beats = |run: &Run| run.stdout().matches("beat ").count();
    let before = beats(&run);
    wait::until("the guest's next beats", || (beats(&run) >= before + 3).then_some(()));
    run.signal(Signal::TERM);
    let _ = run.wait().expect_code(143);
}
