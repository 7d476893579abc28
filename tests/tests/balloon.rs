//! The memory balloon, as the host's memory shows it.
#![forbid(unsafe_code)]

use std::fs;

use ringfence_tests::run::{self, Run};

const MIB: u64 = 1 << 20;

/// Bytes of the process that are in memory: the second number of `/proc/PID/statm`, in pages.
fn resident(run: &Run) -> u64 {
    let statm = fs::read_to_string(format!("/proc/{}/statm", run.pid())).expect("it runs");
    let pages: u64 = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("a number");
    pages * 4096
}

/// What the process had after the guest touched its pages, after it gave them, and after it touched them again.
fn through_the_steps(balloon: &str, command_line: &str) -> [u64; 3] {
    let mut run = run::guest([
        "balloon",
        "--memory",
        "256",
        "--balloon",
        balloon,
        "--exit-port",
        "--json",
        "--cmdline",
        command_line,
    ]);
    let steps = ["touched 24576 pages", "gave them", "took them back, and they were empty"];
    let resident = steps.map(|step| {
        run.wait_for(&format!("balloon: {step}"));
        let resident = resident(&run);
        run.say("\n");
        resident
    });
    let ended = run.wait().expect_code(16);
    assert_eq!(ended.report()["allocations_in_sealed_threads"], 0);
    resident
}

#[test]
fn what_a_guest_gives_leaves_the_process_and_comes_back_empty_when_touched() {
    for (balloon, command_line) in [
        ("96", ""),
        ("96,statistics=1,deflate-on-oom", ""),
        ("96,free-page-reporting", "free"),
        ("96,free-page-reporting,statistics=1", "free"),
    ] {
        let [touched, given, again] = through_the_steps(balloon, command_line);
        // All but what else the process may have touched meanwhile.
        let (less, more) = (touched.saturating_sub(given), again.saturating_sub(given));
        assert!(less > 90 * MIB && more > 90 * MIB, "{balloon}: {touched}, {given}, {again} bytes");
    }
}

#[test]
fn there_is_a_balloon_when_it_was_asked_for_and_fits() {
    let run = |arguments: &[&str]| run::guest(["balloon", "--exit-port"].iter().chain(arguments)).wait();
    let without = run(&[]).expect_code(17);
    assert!(without.output().contains("there is no balloon"), "{}", without.output());
    for (arguments, code, expected) in [
        (&["--balloon", "129"][..], 1, "a balloon of 129 MiB is larger than the guest's memory of 128 MiB"),
        (&["--balloon", "1", "--huge-pages", "2m"], 1, "with --huge-pages 2m there are none"),
        (&["--balloon", "1,statistics=0"], 2, "statistics=SECONDS takes 1 to 65535 seconds, not `0`"),
        (&["--balloon", "much"], 2, "not `much`"),
    ] {
        let stderr = run(arguments).expect_code(code).stderr;
        assert!(stderr.contains(expected), "{stderr}");
    }
}
