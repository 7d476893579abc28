//! A panic in a fenced thread: reported with message and place, and no guest output is lost.

use ringfence_tests::binary;
use ringfence_tests::run::{self, Ended, Run};

use crate::stopped::wait_until_main_waits_for_output;

/// The guest says this, leaves 200 times for nothing, and says it is at its end.
const BEGIN: &str = "exits: begin, 200 port exits";
const GUEST: [&str; 3] = ["exits", "--cmdline", "200"];
/// An exit in the middle of the 200: after the first line, before the last.
const IN_THE_MIDDLE: u64 = 120;

fn exits(deed: &str, options: &[&str]) -> Ended {
    let mut run = run::provoked(deed, GUEST.iter().chain(options));
    run.close_stdin();
    run.wait()
}

fn lines(ended: &Ended) -> Vec<String> {
    ended.output().lines().map(str::to_owned).collect()
}

#[test]
fn a_panic_is_reported_with_its_message_and_its_place() {
    for (thread, role) in
        [("rf-vcpu0", "vcpu"), ("rf-io", "io"), ("rf-console", "console"), ("rf-main", "main")]
    {
        let ended = exits(&format!("{thread}:panic"), &[]).expect_code(1);
        let line = format!("ringfence: {thread} ({role}) panicked: provoked after 0 exits, at ");
        assert!(ended.stderr.starts_with(&line), "{}", ended.stderr);
        let place = ended.stderr[line.len()..].lines().next().expect("the rest of the line");
        assert!(place.starts_with("vmm/src/confine/provoke.rs:"), "{place}");
        assert!(!ended.stderr.contains("backtrace"), "{}", ended.stderr);
    }
}

#[test]
fn a_panic_is_reported_in_json_too() {
    let report = exits("rf-vcpu0:panic@30", &["--json"]).expect_code(1).report();
    assert_eq!(report["cause"], "panic", "{report:#}");
    assert_eq!(report["exit_code"], 1, "{report:#}");
    let message = report["message"].as_str().expect("a message");
    assert!(message.contains("provoked after 30 exits"), "{message}");
}

#[test]
fn all_that_the_guest_wrote_before_a_panic_is_written() {
    let whole = lines(&exits("", &[]).expect_code(0));
    assert_eq!(whole, [BEGIN, "exits: end"]);
    let panicked = exits(&format!("rf-vcpu0:panic@{IN_THE_MIDDLE}"), &[]).expect_code(1);
    assert_eq!(lines(&panicked), [BEGIN]);
    let refused = exits(&format!("rf-vcpu0:getpid@{IN_THE_MIDDLE}"), &[]).expect_code(148);
    assert_eq!(lines(&refused), [BEGIN]);
}

/// More than a pipe takes, less than the pipe and the monitor's ring.
const WAITING_KIB: u64 = 80;

/// Exits to user space of the guest that writes so many KiB.
fn exits_of_flood(kib: u64) -> u64 {
    let mut run = run::guest(["flood", "--cmdline", &kib.to_string(), "--json"]);
    run.close_stdin();
    run.wait().expect_code(0).report()["vcpu_exits"][0].as_u64().expect("a number of exits")
}

#[test]
fn output_that_nobody_has_taken_yet_survives_a_panic_and_a_refused_call() {
    let exits = WAITING_KIB * (exits_of_flood(2) - exits_of_flood(1));
    for (deed, code) in [("panic", 1), ("getpid", 148)] {
        let deed = format!("rf-vcpu0:{deed}@{exits}");
        let arguments = ["flood", "--cmdline", "96", "--provoke", &deed];
        let run = Run::start_unread(run::run_command(binary::provoking()).args(arguments));
        wait_until_main_waits_for_output(&run);
        let written = run.wait().expect_code(code).stdout.len() as u64;
        // The exits before the first byte, and those to ask for room, round it down.
        let expected = WAITING_KIB * 1024;
        assert!((expected - 32..=expected).contains(&written), "{deed}: {written} of {expected} bytes");
    }
}

/// Whoever panics, what is written is what the guest has said so far: nothing in it is missing.
#[test]
fn output_around_a_panic_of_another_thread_has_no_hole() {
    let whole = exits("", &[]).expect_code(0).stdout;
    for thread in ["rf-io", "rf-console"] {
        let mut run = run::provoked(&format!("{thread}:panic"), GUEST.iter().chain(&["--json"]));
        run.close_stdin();
        let ended = run.wait().expect_code(1);
        assert!(whole.starts_with(&ended.stdout), "{thread}: {}", ended.output());
        assert_eq!(ended.report()["unwritten_bytes"], 0, "{thread}: {}", ended.stderr);
    }
}
