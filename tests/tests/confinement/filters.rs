//! The filter that a thread carries is the program that the build proved, byte for byte.

use std::io;

use ringfence::role::policies::ALL;
use ringfence_tests::procfs::Thread;
use ringfence_tests::ptrace::Stopped;
use seccomp_policies::bpf::Instruction;
use seccomp_policies::embed::{Embedded, OnViolation};
use seccomp_policies::language::Tier;

use crate::threads::{own_threads, spinning};

fn policy(thread: &str) -> &'static Embedded {
    let role = thread.trim_start_matches("rf-").trim_end_matches(|letter: char| letter.is_ascii_digit());
    ALL.iter().find(|policy| policy.role == role).expect("every thread's role has a policy")
}

/// The thread's newest filter; the index behind it must be empty.
fn filter_of(thread: &Thread) -> Vec<Instruction> {
    let stopped = Stopped::attach(thread).unwrap_or_else(|error| panic!("{}: {error}", thread.name));
    let filter = stopped.filter(0).unwrap_or_else(|error| {
        panic!("{}: {error}; only root, itself without a filter, may read filters", thread.name)
    });
    let second = stopped.filter(1).map_err(|error| error.kind());
    assert_eq!(second.err(), Some(io::ErrorKind::NotFound), "{} has a second filter", thread.name);
    filter
}

fn assert_carries_what_was_proved(options: &[&str], tier: Tier, on_violation: OnViolation) {
    let run = spinning(2, options);
    let mut filtered = 0;
    for (name, thread) in own_threads(&run) {
        if let Some(variants) = policy(&name).variants(tier) {
            assert!(filter_of(&thread) == variants.get(on_violation), "{name} under {options:?}");
            filtered += 1;
        }
    }
    assert_eq!(filtered, 4, "main, io and two vCPUs");
}

#[test]
fn every_thread_carries_the_bytes_that_the_build_proved() {
    assert_carries_what_was_proved(&[], Tier::Filter, OnViolation::Trap);
}

#[test]
fn every_thread_carries_the_bytes_of_the_bitmask_tier() {
    assert_carries_what_was_proved(&["--tier", "bitmask"], Tier::Bitmask, OnViolation::Trap);
}

#[test]
fn the_choice_of_what_a_violation_does_selects_the_bytes() {
    for (name, on_violation) in
        [("kill", OnViolation::Kill), ("errno", OnViolation::Errno), ("log", OnViolation::Log)]
    {
        assert_carries_what_was_proved(&["--on-violation", name], Tier::Filter, on_violation);
    }
}
