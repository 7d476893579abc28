//! Signals that end a run, those that do not, and a guest that would never end by itself.

use std::process::Stdio;

use ringfence_tests::ptrace::Stopped;
use ringfence_tests::run::{self, Run};
use ringfence_tests::{binary, child, procfs, wait};
use rustix::process::Signal;

const ENDING: [(Signal, &str); 4] =
    [(Signal::INT, "SIGINT"), (Signal::TERM, "SIGTERM"), (Signal::HUP, "SIGHUP"), (Signal::QUIT, "SIGQUIT")];

/// A guest that says each twentieth of a second that it is alive.
fn beating(change: impl FnOnce(&mut std::process::Command)) -> Run {
    let mut command = run::run_command(binary::ringfence());
    command.args(["spin", "--cmdline", "beat"]).stdin(Stdio::null());
    change(&mut command);
    let mut run = Run::start(&mut command);
    run.wait_for("beat 1\r\n");
    run
}

/// Two more beats: one might have been on its way.
fn wait_until_it_went_on(run: &mut Run) {
    let beats = run.stdout().matches("beat ").count();
    run.wait_for(&format!("beat {}\r\n", beats + 2));
}

#[test]
fn a_guest_that_never_ends_is_ended_by_each_of_four_signals_in_words() {
    for vcpus in ["1", "2", "4"] {
        for (signal, name) in ENDING {
            let mut run = run::guest(["spin", "--vcpus", vcpus]);
            run.wait_for("spinning");
            run.signal(signal);
            let ended = run.wait().expect_code(128 + signal.as_raw());
            assert!(ended.stderr.starts_with(&format!("ringfence: ended by {name}\n")), "{}", ended.stderr);
            let threads = ended.stderr.lines().filter(|line| line.contains(" rf-")).count();
            assert_eq!(threads.to_string(), (3 + vcpus.parse::<usize>().unwrap()).to_string());
        }
    }
}

#[test]
fn a_sleeping_guest_is_ended_as_well() {
    let mut run = run::guest(["spin", "--cmdline", "halt", "--json"]);
    run.wait_for("asleep");
    run.signal(Signal::TERM);
    let report = run.wait().expect_code(143).report();
    assert_eq!(report["cause"], "signal");
    assert_eq!(report["exit_code"], 143);
}

#[test]
fn signals_that_were_ignored_at_the_start_stay_ignored() {
    for (signal, _) in ENDING {
        let mut run = beating(|command| child::ignore_signal(command, signal.as_raw()));
        run.signal(signal);
        wait_until_it_went_on(&mut run);
        // Any other one still ends it.
        let other = if signal == Signal::TERM { Signal::INT } else { Signal::TERM };
        run.signal(other);
        let _ = run.wait().expect_code(128 + other.as_raw());
    }
}

#[test]
fn other_signals_change_nothing() {
    let mut run = beating(|_| {});
    let others = [Signal::USR1, Signal::USR2, Signal::ALARM, Signal::PIPE, Signal::CHILD, Signal::WINCH];
    for signal in
        others.into_iter().chain([Signal::TSTP, Signal::TTIN, Signal::TTOU, Signal::CONT, Signal::IO])
    {
        run.signal(signal);
    }
    wait_until_it_went_on(&mut run);
    assert_eq!(run.stderr(), "");
    run.signal(Signal::TERM);
    let _ = run.wait().expect_code(143);
}

#[test]
fn the_monitors_own_kick_from_outside_changes_nothing() {
    let mut run = beating(|_| {});
    let vcpu = procfs::thread(run.pid(), "rf-vcpu0");
    for _ in 0..200 {
        // SAFETY: sends a signal to a thread of a child that was not waited for; takes integers.
        let sent = unsafe { libc::syscall(libc::SYS_tgkill, run.pid(), vcpu.tid, libc::SIGURG) };
        assert_eq!(sent, 0);
    }
    wait_until_it_went_on(&mut run);
    run.signal(Signal::TERM);
    let _ = run.wait().expect_code(143);
}

#[test]
fn a_vcpu_that_a_debugger_holds_does_not_keep_the_run_from_ending() {
    for bystander in ["rf-vcpu0", "rf-io"] {
        let run = beating(|_| {});
        let held = Stopped::attach(&procfs::thread(run.pid(), bystander)).expect("a child can be traced");
        run.signal(Signal::TERM);
        // Said while the thread is still held. The process itself cannot be gone before its tracer lets go.
        wait::until("a run that ends", || {
            run.stderr().starts_with("ringfence: ended by SIGTERM\n").then_some(())
        });
        drop(held);
        let _ = run.wait().expect_code(143);
    }
}

#[test]
fn a_signal_at_any_moment_of_the_start_ends_the_run() {
    for pause_us in (0..40_000).step_by(2_000) {
        let run = run::guest(["spin", "--vcpus", "2"]);
        std::thread::sleep(std::time::Duration::from_micros(pause_us));
        run.signal(Signal::TERM);
        // By the default action before the monitor takes signals, by its own afterwards.
        let _ = run.wait().expect_code(143);
    }
}
