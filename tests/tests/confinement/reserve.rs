//! The fenced threads that may not ask for memory do not.

use ringfence_tests::run;

/// Guests with command lines that bring them to an end by themselves.
const GUESTS: &[(&str, &str, u8)] = &[
    ("tour", "", 1),
    ("tour", "", 2),
    ("hello", "", 1),
    ("exits", "500", 1),
    ("exits", "mmio=500", 1),
    ("smp", "", 4),
    ("compute", "1", 1),
    ("flood", "16", 1),
    ("flood", "16 burst", 1),
    ("panic", "", 1),
    ("hostile", "step=61", 1),
];

#[test]
fn no_sealed_thread_allocates_in_an_ordinary_run() {
    for &(guest, cmdline, vcpus) in GUESTS {
        let vcpus = vcpus.to_string();
        let mut run = run::guest([guest, "--cmdline", cmdline, "--vcpus", &vcpus, "--json"]);
        run.close_stdin();
        let report = run.wait().expect_code(0).report();
        assert_eq!(report["allocations_in_sealed_threads"], 0, "{guest} {cmdline:?}: {report:#}");
    }
}

#[test]
fn no_sealed_thread_allocates_while_it_takes_input() {
    let mut run = run::guest(["echo", "--json"]);
    run.wait_for("type a line");
    run.say(&"a line that is longer than the serial port's FIFO, several times over\n".repeat(20));
    run.say("quit\n");
    run.wait_for("goodbye");
    let report = run.wait().expect_code(0).report();
    assert_eq!(report["allocations_in_sealed_threads"], 0, "{report:#}");
}
