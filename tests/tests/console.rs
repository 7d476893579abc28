//! The console device: a guest's user sits there instead of at the serial port.
#![forbid(unsafe_code)]

use std::fmt::Write as _;

use ringfence_tests::run;

fn console(arguments: &[&str]) -> run::Run {
    run::guest(["console", "--console", "virtio", "--exit-port", "--json"].iter().chain(arguments))
}

#[test]
fn what_is_typed_reaches_the_guest_and_what_it_says_comes_out() {
    for vcpus in ["1", "2"] {
        let mut run = console(&["--vcpus", vcpus]);
        run.wait_for("console: say something\n");
        run.say("a short line\n");
        run.wait_for("you said: a short line\n");
        let long = "long ".repeat(200);
        run.say(&format!("{long}\n"));
        run.wait_for(&format!("you said: {long}\n"));
        run.say("quit\n");
        let ended = run.wait().expect_code(16);
        assert!(ended.output().ends_with("console: goodbye\n"), "{}", ended.output());
        assert_eq!(ended.report()["allocations_in_sealed_threads"], 0);
    }
}

#[test]
fn a_flood_of_output_and_of_input_comes_whole_and_in_order() {
    let mut run = console(&["--cmdline", "512"]);
    run.wait_for("console: say something\n");
    let mut typed = String::new();
    for number in 0..2000 {
        writeln!(typed, "line {number}").expect("memory takes it");
    }
    run.say(&typed);
    run.say("quit\n");
    let output = run.wait().expect_code(16).output();
    let lines: Vec<&str> = output.lines().collect();
    let numbered = |line: &&str| line.ends_with('.');
    let flood: Vec<String> = (0..8192).map(|number| format!("{number:08}{}", ".".repeat(55))).collect();
    assert_eq!(lines.iter().copied().filter(numbered).collect::<Vec<_>>(), flood);
    let said: Vec<String> = (0..2000).map(|number| format!("you said: line {number}")).collect();
    assert_eq!(lines[8193..8193 + 2000], said);
}

#[test]
fn what_the_guest_says_to_a_console_costs_no_exit() {
    let exits = |kib: &str| {
        let mut run = console(&["--cmdline", kib]);
        run.say("quit\n");
        run.wait().expect_code(16).report()["vcpu_exits"][0].as_u64().expect("exits are counted")
    };
    assert_eq!(exits("1"), exits("9"));
}

#[test]
fn without_the_option_there_is_no_console_device() {
    let ended = run::guest(["console", "--exit-port"]).wait().expect_code(17);
    assert!(ended.output().contains("there is no console device"), "{}", ended.output());
}
