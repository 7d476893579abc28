//! The log and the metrics of a run, by Firecracker's options and requests.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use ringfence_tests::api::{self, Served};
use ringfence_tests::{binary, run, wait};
use rustix::fs::{CWD, FileType, mknodat};
use serde_json::{Value, json};

use crate::image;

const SECTOR: usize = 512;

/// A machine whose guest reads a disk of 40 sectors once, and waits for another.
fn reading(served: &Served) {
    let disk = served.folder().join("disk");
    fs::write(&disk, vec![0; 40 * SECTOR]).expect("the folder takes a file");
    let drive = json!({ "drive_id": "d", "path_on_host": disk, "is_root_device": false });
    served.done("PUT", "/drives/d", &drive.to_string());
    served.boot(image("disk"), "sum watch");
}

fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).expect("the metrics are there");
    text.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
}

#[test]
fn metrics_are_exact_and_told_once() {
    let mut served = api::serve::<&str>([]);
    let path = served.folder().join("metrics");
    let body = json!({ "metrics_path": path }).to_string();
    served.done("PUT", "/metrics", &body);
    assert!(served.refused("PUT", "/metrics", &body).contains("to one file alone"));
    assert_eq!(served.ask("PUT", "/nothing", "{}").status, 400);
    reading(&served);
    served.refused("PUT", "/actions", r#"{"action_type":"FlushMetrics"}"#);
    served.start();
    served.run.wait_for("disk: sum");
    served.done("PATCH", "/vm", r#"{"state":"Paused"}"#);
    served.refused("PATCH", "/drives/d", r#"{"drive_id":"d","path_on_host":"/none"}"#);
    for _ in 0..2 {
        served.done("PUT", "/actions", r#"{"action_type":"FlushMetrics"}"#);
    }
    let [first, second] = &lines(&path)[..] else { panic!("two lines") };
    // The name is one more request, and no read.
    for subject in ["block", "block_d"] {
        assert_eq!(first[subject]["read_count"], 1, "64 sectors at once: {first}");
        assert_eq!(first[subject]["read_bytes"], 40 * SECTOR);
        assert_eq!(first[subject]["queue_event_count"], 2);
        assert_eq!([&second[subject]["read_count"], &second[subject]["read_bytes"]], [0, 0]);
    }
    assert_eq!(first["put_api_requests"]["metrics_count"], 2);
    assert_eq!(first["put_api_requests"]["metrics_fails"], 1);
    assert_eq!(
        first["put_api_requests"]["actions_count"], 2,
        "one of them refused, before the start: {first}"
    );
    assert_eq!(second["put_api_requests"]["actions_count"], 1, "the flush before");
    assert_eq!(
        [&first["patch_api_requests"]["drive_count"], &first["patch_api_requests"]["drive_fails"]],
        [1, 1]
    );
    assert_eq!(first["api_server"]["refused_requests_count"], 1);
    assert!(first["latencies_us"]["pause_vm"].as_u64() > Some(0));
    assert!(first["vcpu"]["exit_io_out"].as_u64() > Some(20), "it has said something: {first}");
    for (name, exits) in first["thread_rf-vcpu0"].as_object().expect("the thread is there") {
        if name.starts_with("exit") {
            assert_eq!(&first["vcpu"][name], exits, "there is one vCPU: {name}");
        }
    }
    assert_eq!(first["seccomp"]["num_faults"], 0);
}

#[test]
fn both_forms_of_metrics_have_the_same_numbers() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let written = |format: &str| {
        let path = folder.path().join(format);
        let arguments = ["exits", "--cmdline", "50", "--metrics-format", format, "--metrics-path"];
        let path_text = path.to_str().expect("its name is text");
        run::guest(arguments.into_iter().chain([path_text])).wait().expect_code(0);
        fs::read_to_string(path).expect("it was written at the end")
    };
    let json: Value = serde_json::from_str(&written("json")).expect("one line, of the end");
    let prometheus = written("prometheus");
    let mut typed = std::collections::BTreeSet::new();
    let mut compared = 0;
    for line in prometheus.lines() {
        if let Some(family) = line.strip_prefix("# TYPE ") {
            let (name, kind) = family.split_once(' ').expect("a name and a type");
            assert!(["counter", "gauge"].contains(&kind) && typed.insert(name.to_owned()), "{line}");
            continue;
        }
        let (name, value) = line.rsplit_once(' ').expect("a name and a number");
        let family = name.split('{').next().expect("a name");
        assert!(typed.contains(family), "a line without a type before it: {line}");
        let number: u64 = value.parse().expect("a number");
        // Two runs need not take as long as each other.
        if family.contains("guest_time") {
            continue;
        }
        if let Some(reason) =
            family.strip_prefix("ringfence_vcpu_").and_then(|rest| rest.strip_suffix("_total"))
        {
            assert_eq!(json["vcpu"][reason], number, "{line}");
            compared += 1;
        }
    }
    assert_eq!(compared, 5);
    assert!(json["vcpu"]["exit_io_out"].as_u64() >= Some(50), "{json}");
}

/// What stands behind the time, which has to be one.
fn said(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).expect("the log is there");
    let of_line = |line: &str| {
        let (time, rest) = line.split_once(' ').expect("a time and words");
        let shape: String =
            time.chars().map(|letter| if letter.is_ascii_digit() { '0' } else { letter }).collect();
        assert_eq!(shape, "0000-00-00T00:00:00.000000000", "{line}");
        rest.to_owned()
    };
    text.lines().map(of_line).collect()
}

#[test]
fn a_log_has_requests_answers_threads_and_the_end_in_firecracker_s_form() {
    let served = api::serve_by(
        binary::ringfence(),
        |socket| ["firecracker".into(), "--api-sock".into(), socket.into()],
        ["--id", "vm-7", "--show-level"],
    );
    let path = served.folder().join("log");
    served.done("PUT", "/logger", &json!({ "log_path": path, "level": "Info" }).to_string());
    served.refused("PUT", "/logger", r#"{"level":"Loud"}"#);
    served.boot(image("spin"), "");
    served.start();
    served.run.signal(rustix::process::Signal::TERM);
    served.run.wait().expect_code(143);
    let said = said(&path);
    let has = |start: &str| {
        assert!(said.iter().any(|line| line.starts_with(start)), "{start} is not in {said:#?}");
    };
    has("[vm-7:rf-api:INFO] The API server received a Put request on \"/boot-source\" with body \"{");
    has("[vm-7:rf-api:INFO] The request was executed successfully. Status code: 204 No Content.");
    has("[vm-7:rf-api:ERROR] Received Error. Status code: 400 Bad Request. Message: {\"fault_message\":");
    has("[vm-7:rf-vcpu0:INFO] held to vcpu by tier filter, ");
    has("[vm-7:rf-console:INFO] held to console by tier strict");
    assert_eq!(said.last().map(String::as_str), Some("[vm-7:rf-main:ERROR] ended by SIGTERM; exit code 143"));
}

#[test]
fn a_log_leaves_out_what_was_not_asked_for_and_stays_behind_what_was_there() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let log = |name: &str, options: &[&str]| {
        let path = folder.path().join(name);
        let path_text = path.to_str().expect("its name is text").to_owned();
        run::guest(["hello", "--log-path", &path_text].into_iter().chain(options.iter().copied()))
            .wait()
            .expect_code(0);
        said(&path)
    };
    let twice = [log("log", &[]), log("log", &[])];
    assert_eq!(twice[1].len(), 2 * twice[0].len(), "{twice:#?}");
    assert!(twice[0][0].starts_with("[anonymous-instance:rf-main] ringfence "), "{twice:#?}");
    assert_eq!(log("error", &["--level", "error"]), [""; 0]);
    assert_eq!(log("elsewhere", &["--module", "ringfence::devices"]), [""; 0]);
    let origin = log("origin", &["--show-log-origin", "--module", "ringfence::role::main"]);
    assert!(origin[0].contains("[anonymous-instance:rf-main:vmm/src/role/main/told.rs:"), "{origin:#?}");
}

#[test]
fn a_pipe_that_nobody_reads_and_a_full_disk_end_no_run() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let pipe = folder.path().join("pipe");
    mknodat(CWD, &pipe, FileType::Fifo, 0o600.into(), 0).expect("the folder takes a pipe");
    let pipe_text = pipe.to_str().expect("its name is text");
    for path in [pipe_text, "/dev/full"] {
        run::guest(["hello", "--log-path", path, "--metrics-path", path]).wait().expect_code(0);
    }
    let mut reader =
        fs::File::options().read(true).custom_flags(libc::O_NONBLOCK).open(&pipe).expect("the pipe is there");
    let mut left = String::new();
    reader.read_to_string(&mut left).expect("nobody has it open any more");
    assert_eq!(left, "", "what nobody read went with the last writer");
    let refused = run::guest(["hello", "--log-path", "/no/log"]).wait().expect_code(1);
    assert!(refused.stderr.contains("cannot write the log to /no/log: No such file"), "{}", refused.stderr);
}

#[test]
fn a_violation_is_the_last_line_and_counted() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let [log, metrics] = ["log", "metrics"].map(|name| folder.path().join(name));
    let text = |path: &Path| path.to_str().expect("its name is text").to_owned();
    run::provoked(
        "rf-io:getpid",
        ["spin", "--log-path", &text(&log), "--metrics-path", &text(&metrics), "--show-level"],
    )
    .wait()
    .expect_code(148);
    let last = said(&log).pop().expect("a line");
    assert!(last.starts_with("[anonymous-instance:rf-io:ERROR] rf-io (io) was refused getpid()"), "{last}");
    assert!(last.ends_with("; exit code 148"), "{last}");
    let [end] = &lines(&metrics)[..] else { panic!("one line") };
    assert_eq!([&end["seccomp"]["num_faults"], &end["thread_rf-io"]["refused_calls_count"]], [1, 1]);
    assert_eq!(end["thread_rf-vcpu0"]["refused_calls_count"], 0);
}

#[test]
fn a_driver_that_breaks_its_queue_again_and_again_does_not_fill_the_log() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let log = folder.path().join("log");
    let metrics = folder.path().join("metrics");
    let text = |path: &Path| path.to_str().expect("its name is text").to_owned();
    run::guest([
        "entropy",
        "--entropy",
        "--cmdline",
        "broken",
        "--log-path",
        &text(&log),
        "--metrics-path",
        &text(&metrics),
    ])
    .wait();
    let broken = lines(&metrics)[0]["entropy"]["event_fails"].as_u64().expect("a number");
    let told = said(&log).iter().filter(|line| line.contains("broke a queue of entropy")).count() as u64;
    assert!(broken > 0 && told > 0 && told <= u64::from(broken.ilog2()) + 1, "{told} lines of {broken}");
}

#[test]
fn what_the_guest_says_goes_to_the_file_that_was_named_and_not_to_standard_output() {
    let served = api::serve::<&str>([]);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("serial");
    fs::write(&path, "before\n").expect("the folder takes a file");
    let refused = served.refused("PUT", "/serial", r#"{"serial_out_path":"/no/file"}"#);
    assert!(refused.contains("cannot write the guest's serial port to /no/file: No such file"), "{refused}");
    served.done("PUT", "/serial", &json!({ "serial_out_path": path }).to_string());
    served.boot(image("hello"), "");
    served.start();
    let ended = served.wait().expect_code(0);
    assert_eq!(ended.output(), "");
    let said = fs::read_to_string(path).expect("it is there");
    assert!(said.starts_with("before\n") && said.contains("hello"), "{said}");
}

#[test]
fn time_in_the_guest_is_told_as_the_kernel_counts_it() {
    let served = api::serve::<&str>([]);
    let path = served.folder().join("metrics");
    served.done("PUT", "/metrics", &json!({ "metrics_path": path }).to_string());
    served.boot(image("spin"), "");
    served.start();
    wait::until("a tick of the clock while the guest runs", || {
        served.done("PUT", "/actions", r#"{"action_type":"FlushMetrics"}"#);
        let told = lines(&path).last().and_then(|line| line["vcpu"]["guest_time_ms"].as_u64());
        told.filter(|time| *time > 0)
    });
}
