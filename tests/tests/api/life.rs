//! A machine from its configuration to its end.

use std::collections::BTreeSet;
use std::fs::File;
use std::thread;
use std::time::Duration;

use ringfence_tests::api::{self, Served};
use ringfence_tests::{procfs, run};
use serde_json::json;

use crate::image;

const PAUSED: &str = r#"{"state":"Paused"}"#;
const RESUMED: &str = r#"{"state":"Resumed"}"#;

fn state(served: &Served) -> String {
    served.get("/")["state"].as_str().expect("a state is text").to_owned()
}

#[test]
fn a_machine_is_configured_started_and_ends_by_itself() {
    let served = api::serve(["--json"]);
    assert_eq!(state(&served), "Not started");
    served.boot(image("compute"), "1");
    served.done("PUT", "/machine-config", r#"{"vcpu_count":2,"mem_size_mib":64,"smt":false}"#);
    served.done("PATCH", "/machine-config", r#"{"mem_size_mib":96}"#);
    let disk = served.folder().join("disk");
    File::create(&disk).and_then(|file| file.set_len(1 << 20)).expect("the folder takes a file");
    let drive = json!({ "drive_id": "d", "path_on_host": disk, "is_root_device": false });
    served.done("PUT", "/drives/d", &drive.to_string());
    served.done("PUT", "/entropy", "{}");
    let config = served.get("/vm/config");
    assert_eq!(config["machine-config"], served.get("/machine-config"));
    assert_eq!(config["machine-config"]["mem_size_mib"], 96);
    assert_eq!(config["drives"][0]["drive_id"], "d");
    assert_eq!(config["drives"][0]["cache_type"], "Unsafe");
    served.start();
    let ended = served.wait().expect_code(0);
    assert!(ended.output().contains("compute"), "{}", ended.output());
    let report = ended.report();
    let roles: BTreeSet<_> = report["threads"]
        .as_array()
        .expect("threads")
        .iter()
        .map(|thread| thread["role"].to_string())
        .collect();
    let expected = ["api", "console", "io", "main_api", "vcpu"].map(|role| format!("{role:?}"));
    assert_eq!(roles, BTreeSet::from(expected));
    assert_eq!(report["allocations_in_sealed_threads"], 0);
}

#[test]
fn what_firecracker_says_of_itself_is_said_here() {
    let served = api::serve::<&str>([]);
    let info = served.get("/");
    assert_eq!((&info["id"], &info["app_name"]), (&json!("anonymous-instance"), &json!("Firecracker")));
    let version = served.get("/version");
    assert_eq!(version["firecracker_version"], info["vmm_version"]);
    assert!(version["firecracker_version"].as_str().is_some_and(|text| text.starts_with("1.")));
}

#[test]
fn a_paused_machine_does_nothing_and_goes_on_where_it_was() {
    let mut served = api::serve::<&str>([]);
    served.boot(image("spin"), "beat");
    served.start();
    served.run.wait_for("beat 2");
    assert_eq!(state(&served), "Running");
    for _ in 0..2 {
        served.done("PATCH", "/vm", PAUSED);
        assert_eq!(state(&served), "Paused");
    }
    // What was written before the pause may still be on its way.
    thread::sleep(Duration::from_millis(200));
    let threads = procfs::threads(served.run.pid());
    let before = served.run.stdout();
    for thread in threads.iter().filter(|thread| thread.name.starts_with("rf-vcpu") || thread.name == "rf-io")
    {
        assert_eq!(thread.sleeps_in(), Some(libc::SYS_futex), "{}", thread.name);
    }
    thread::sleep(Duration::from_millis(500));
    assert_eq!(served.run.stdout(), before, "a paused guest has written");
    for _ in 0..2 {
        served.done("PATCH", "/vm", RESUMED);
        assert_eq!(state(&served), "Running");
    }
    let next = before.lines().filter(|line| line.starts_with("beat ")).count() + 2;
    served.run.wait_for(&format!("beat {next}"));
}

#[test]
fn a_thousand_pauses_leave_the_output_of_a_guest_under_load_whole() {
    // The same guest alone: it ends by itself, having written numbered lines.
    let alone = run::guest(["flood", "--cmdline", "2048", "--vcpus", "2"]).wait().expect_code(0);
    let served = api::serve::<&str>([]);
    served.boot(image("flood"), "2048");
    served.done("PUT", "/machine-config", r#"{"vcpu_count":2,"mem_size_mib":128}"#);
    served.start();
    let mut client = served.connect();
    let mut cycles = 0;
    while cycles < 1000 {
        for body in [PAUSED, RESUMED] {
            let answer = client.ask("PATCH", "/vm", body);
            assert_eq!(answer.status, 204, "cycle {cycles}: {}", answer.body);
        }
        cycles += 1;
    }
    drop(client);
    let ended = served.wait().expect_code(0);
    assert_eq!(ended.output(), alone.output());
}

#[test]
fn a_paused_machine_can_be_ended_by_a_signal() {
    let mut served = api::serve::<&str>([]);
    served.boot(image("spin"), "beat");
    served.start();
    served.run.wait_for("beat 2");
    served.done("PATCH", "/vm", PAUSED);
    served.run.signal(rustix::process::Signal::TERM);
    let ended = served.wait().expect_code(143);
    assert!(ended.stderr.starts_with("ringfence: ended by SIGTERM\n"), "{}", ended.stderr);
}

#[test]
fn a_signal_ends_the_wait_for_a_client_and_its_threads_are_told() {
    let served = api::serve::<&str>([]);
    served.run.signal(rustix::process::Signal::TERM);
    let ended = served.wait().expect_code(143);
    assert!(ended.stderr.starts_with("ringfence: ended by SIGTERM\n"), "{}", ended.stderr);
    assert!(ended.stderr.contains("rf-api"), "{}", ended.stderr);
}

#[test]
fn a_run_of_the_command_line_is_seen_and_paused_by_its_api() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let socket = folder.path().join("api");
    let socket_text = socket.to_str().expect("the folder's name is text");
    let mut run = run::guest(["spin", "--cmdline", "beat", "--memory", "64", "--api-sock", socket_text]);
    run.wait_for("beat 1");
    let stream = std::os::unix::net::UnixStream::connect(&socket).expect("the socket takes connections");
    let mut client = api::Client::of(stream);
    let config: serde_json::Value =
        serde_json::from_str(&client.ask("GET", "/vm/config", "").body).expect("JSON");
    assert_eq!(config["boot-source"]["boot_args"], "beat");
    assert_eq!(config["machine-config"]["mem_size_mib"], 64);
    assert_eq!(client.ask("PATCH", "/vm", PAUSED).status, 204);
    assert!(client.ask("GET", "/", "").body.contains("Paused"));
    assert_eq!(client.ask("PATCH", "/vm", RESUMED).status, 204);
    assert_eq!(client.ask("PUT", "/entropy", "{}").status, 400);
}
