//! What is said at the end: the table for a person, the object for programs, the calls that were counted.

use std::fs;
use std::process::Stdio;

use ringfence_tests::run::{self, Run};
use ringfence_tests::terminal::Terminal;
use ringfence_tests::{binary, child};
use serde_json::Value;

/// The report of a run whose calls are counted; `None`, with the reason said, where they cannot be.
fn counted(arguments: &[&str]) -> Option<Value> {
    let arguments = arguments.iter().copied().chain(["--count-calls", "--json"]);
    let report = run::guest(arguments).wait().expect_code(0).report();
    match report["calls_not_counted_because"].as_str() {
        None => Some(report),
        Some(reason) if child::is_root() => panic!("calls are not counted, as root: {reason}"),
        Some(reason) => {
            eprintln!("skipped: {reason}");
            None
        }
    }
}

fn thread<'report>(report: &'report Value, name: &str) -> &'report Value {
    let threads = report["threads"].as_array().expect("a list of threads");
    threads.iter().find(|thread| thread["thread"] == name).unwrap_or_else(|| panic!("no {name} in {report}"))
}

fn times(report: &Value, name: &str, call: &str) -> u64 {
    thread(report, name)["calls_used"][call].as_u64().unwrap_or(0)
}

/// The table's lines: from its header on, without what is said below it.
fn table_of(text: &str) -> Vec<&str> {
    let lines = text.lines().map(|line| line.trim_end_matches('\r'));
    lines.skip_while(|line| !line.starts_with(" thread")).take_while(|line| line.starts_with(' ')).collect()
}

#[test]
fn table_has_a_line_for_each_thread_with_role_tier_and_descriptors() {
    let ended = run::guest(["hello", "--vcpus", "2"]).wait().expect_code(0);
    let table = table_of(&ended.stderr);
    let starts: Vec<Vec<&str>> =
        table[1..].iter().map(|line| line.split_whitespace().take(3).collect()).collect();
    let expected = [
        ["rf-main", "main", "filter"],
        ["rf-io", "io", "filter"],
        ["rf-console", "console", "strict"],
        ["rf-vcpu0", "vcpu", "filter"],
        ["rf-vcpu1", "vcpu", "filter"],
    ];
    assert_eq!(starts, expected, "{}", ended.stderr);
    assert!(
        ended.stderr.ends_with("calls not counted: not asked for; --count-calls does\n"),
        "{}",
        ended.stderr
    );
}

#[test]
fn table_names_the_tier_that_was_asked_for() {
    for (tier, [filtered, console]) in [("bitmask", ["bitmask", "strict"]), ("none", ["none", "none"])] {
        let report = run::guest(["hello", "--tier", tier, "--json"]).wait().expect_code(0).report();
        for (name, expected) in [("rf-main", filtered), ("rf-vcpu0", filtered), ("rf-console", console)] {
            assert_eq!(thread(&report, name)["tier"], expected, "--tier {tier}");
        }
    }
}

#[test]
fn table_fits_terminals_of_80_and_100_columns() {
    for columns in [80, 100] {
        for arguments in [&["run", "tour", "--vcpus", "4"][..], &["run", "hello"], &["run", "fault"]] {
            let terminal = Terminal::open(columns);
            let mut command = std::process::Command::new(binary::ringfence());
            command.args(arguments);
            terminal.give_to(&mut command);
            let _ = Run::start(&mut command).wait();
            terminal.wait_for("rf-vcpu0");
            // The last line of a table has its last column.
            ringfence_tests::wait::until("the whole table", || {
                let shown = terminal.shown();
                shown.trim_end().rsplit('\n').next()?.ends_with(['0', 's']).then_some(())
            });
            let shown = terminal.shown();
            let table = table_of(&shown);
            assert!(table.len() >= 5, "{shown}");
            for line in table {
                assert!(line.chars().count() <= usize::from(columns), "{columns} columns: {line:?}");
            }
        }
    }
}

#[test]
fn object_for_programs_has_its_members() {
    let report = run::guest(["hello", "--json"]).wait().expect_code(0).report();
    assert_eq!(report["schema"], 1);
    assert_eq!(report["exit_code"], 0);
    assert_eq!(report["cause"], "reset");
    assert_eq!(report["message"], "the guest reset the machine");
    assert_eq!(report["violation"], Value::Null);
    assert_eq!(report["unwritten_bytes"], 0);
    assert_eq!(report["allocations_in_sealed_threads"], 0);
    assert_eq!(report["calls_not_counted_because"], "not asked for; --count-calls does");
    let vcpu = thread(&report, "rf-vcpu0");
    assert_eq!((&vcpu["role"], &vcpu["calls_used"]), (&"vcpu".into(), &Value::Null));
    assert!(vcpu["bpf_instructions"].as_u64().is_some_and(|count| count > 0), "{vcpu}");
    assert!(vcpu["calls_allowed"].as_u64().is_some_and(|count| (1..=5).contains(&count)), "{vcpu}");
    assert_eq!(vcpu["violations"], 0);
    assert_eq!(thread(&report, "rf-console")["bpf_instructions"], Value::Null);
}

#[test]
fn object_is_the_only_thing_on_standard_error() {
    let ended = run::guest(["fault", "--json"]).wait().expect_code(3);
    let report: Value = serde_json::from_str(&ended.stderr).expect("standard error is one object");
    assert_eq!((&report["cause"], &report["exit_code"]), (&"guest".into(), &3.into()));
}

#[test]
fn report_in_a_file_is_the_same_object_and_replaces_an_old_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.json");
    fs::write(&path, "x".repeat(100_000)).expect("a file of a temporary folder can be written");
    let path_text = path.to_str().expect("its path is text");
    let ended = run::guest(["hello", "--json", "--report", path_text]).wait().expect_code(0);
    let text = fs::read_to_string(&path).expect("the report is there");
    assert_eq!(serde_json::from_str::<Value>(&text).expect("one object"), ended.report());
}

#[test]
fn counted_calls_are_exact_for_the_vcpu_and_plausible_for_the_others() {
    let Some(report) = counted(&["exits", "--cmdline", "2000"]) else { return };
    let exits = report["vcpu_exits"][0].as_u64().expect("a number of exits");
    assert!(exits >= 2000, "{report}");
    // Each exit ends one KVM_RUN. One more may have been interrupted.
    let entries = times(&report, "rf-vcpu0", "ioctl");
    assert!((exits..=exits + 2).contains(&entries), "{entries} calls for {exits} exits");
    // It writes to bells alone, and rings the console's at most once for each byte of output.
    let rung = times(&report, "rf-vcpu0", "write");
    assert!((1..100).contains(&rung), "{report}");
    // The console hears its bell and writes what there is.
    assert!(times(&report, "rf-console", "write") >= 1, "{report}");
    assert!(times(&report, "rf-console", "read") >= 1, "{report}");
    // Main waited.
    assert!(times(&report, "rf-main", "ppoll") >= 1, "{report}");
}

#[test]
fn a_thousand_exits_more_are_a_thousand_counted_calls_more() {
    let entries =
        |exits| counted(&["exits", "--cmdline", exits]).map(|report| times(&report, "rf-vcpu0", "ioctl"));
    let (Some(few), Some(many)) = (entries("1000"), entries("2000")) else { return };
    assert!((998..=1002).contains(&(many - few)), "{few} and {many}");
}

#[test]
fn no_thread_uses_more_calls_than_it_is_allowed() {
    let Some(report) = counted(&["tour", "--vcpus", "2"]) else { return };
    for thread in report["threads"].as_array().expect("a list of threads") {
        let used = thread["calls_used"].as_object().expect("counted").len() as u64;
        assert!(used <= thread["calls_allowed"].as_u64().expect("a count"), "{thread}");
    }
}

#[test]
fn counting_leaves_no_mount_behind() {
    let mounts = || fs::read_to_string("/proc/self/mountinfo").expect("/proc tells");
    let before = mounts();
    let _ = run::guest(["hello", "--count-calls"]).wait().expect_code(0);
    assert_eq!(mounts(), before);
}

#[test]
fn without_privilege_calls_are_not_counted_and_the_reason_is_said() {
    if !child::is_root() {
        eprintln!("skipped: only root can make a /dev/kvm for a user without privilege");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let place = child::open_to_everyone(folder.path());
    let device = folder.path().join("kvm");
    child::make_kvm_for_everyone(&device).expect("root can make a device");
    let mut command = run::run_command(&place);
    command.args(["hello", "--count-calls", "--json"]).stdin(Stdio::null());
    child::mount(&mut command, &[(binary::ringfence(), &place), (&device, "/dev/kvm".as_ref())]);
    child::become_nobody(&mut command);
    let report = Run::start(&mut command).wait().expect_code(0).report();
    let reason = report["calls_not_counted_because"].as_str().expect("a reason");
    assert!(reason.contains("run as root"), "{reason}");
    assert_eq!(thread(&report, "rf-vcpu0")["calls_used"], Value::Null);
}
