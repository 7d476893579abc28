//! Which threads there are, and what holds each.

use std::collections::BTreeMap;

use ringfence_tests::procfs::{self, Thread};
use ringfence_tests::run::{self, Run};

/// The guest that never ends, seen to run, so that every thread is in its loop.
pub(crate) fn spinning(vcpus: usize, options: &[&str]) -> Run {
    let vcpus = vcpus.to_string();
    let mut run = run::guest(["spin", "--cmdline", "beat", "--vcpus", &vcpus].iter().chain(options));
    run.wait_for("beat 2");
    run
}

/// The monitor's own threads by name, without the kernel's workers.
pub(crate) fn own_threads(run: &Run) -> BTreeMap<String, Thread> {
    let threads = procfs::threads(run.pid());
    let own = threads.into_iter().filter(|thread| !thread.is_kernel_worker());
    own.map(|thread| (thread.name.clone(), thread)).collect()
}

/// Mode and number of filters.
type Hold = (u32, u32);

const NOTHING: Hold = (0, 0);
const STRICT: Hold = (1, 0);
const ONE_FILTER: Hold = (2, 1);

/// What each of a run's threads must show.
fn expected(vcpus: usize, filtered: Hold, console: Hold) -> BTreeMap<String, Hold> {
    let vcpus = (0..vcpus).map(|index| format!("rf-vcpu{index}"));
    let filtered =
        ["rf-main", "rf-io"].map(str::to_owned).into_iter().chain(vcpus).map(|name| (name, filtered));
    filtered.chain([("rf-console".to_owned(), console)]).collect()
}

fn holds(run: &Run) -> BTreeMap<String, Hold> {
    let hold = |thread: Thread| (thread.seccomp_mode, thread.seccomp_filters);
    own_threads(run).into_iter().map(|(name, thread)| (name, hold(thread))).collect()
}

#[test]
fn every_thread_has_its_roles_name_and_exactly_one_filter_and_the_console_strict_mode() {
    for vcpus in [1, 2, 4] {
        let run = spinning(vcpus, &[]);
        assert_eq!(holds(&run), expected(vcpus, ONE_FILTER, STRICT), "{vcpus} vCPUs");
    }
}

#[test]
fn with_an_api_its_thread_has_one_filter_too() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let socket = folder.path().join("api");
    let run = spinning(1, &["--api-sock", socket.to_str().expect("the folder's name is text")]);
    let mut expected = expected(1, ONE_FILTER, STRICT);
    expected.insert("rf-api".to_owned(), ONE_FILTER);
    assert_eq!(holds(&run), expected);
}

#[test]
fn the_bitmask_tier_gives_one_filter_and_leaves_the_console_strict() {
    let run = spinning(2, &["--tier", "bitmask"]);
    assert_eq!(holds(&run), expected(2, ONE_FILTER, STRICT));
}

#[test]
fn tier_none_leaves_every_thread_free() {
    let run = spinning(2, &["--tier", "none"]);
    assert_eq!(holds(&run), expected(2, NOTHING, NOTHING));
}

#[test]
fn no_thread_of_a_confined_run_can_gain_privileges() {
    for tier in ["filter", "bitmask"] {
        let run = spinning(2, &["--tier", tier]);
        for (name, thread) in own_threads(&run) {
            assert!(thread.no_new_privs, "{name} under tier {tier}");
        }
    }
}

#[test]
fn kernel_workers_in_the_process_hold_no_descriptor() {
    let run = spinning(1, &[]);
    let workers: Vec<_> = procfs::threads(run.pid()).into_iter().filter(Thread::is_kernel_worker).collect();
    // KVM makes one at the first KVM_RUN on processors with the iTLB multihit problem; none elsewhere.
    for worker in workers {
        assert!(worker.descriptors().is_empty(), "{worker:?} holds {:?}", worker.descriptors());
        assert!(!worker.name.starts_with("rf-"), "{worker:?} has the name of a role");
    }
}
