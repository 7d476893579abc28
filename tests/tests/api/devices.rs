//! Devices by the API, and what may be changed of them while the machine runs.

use ringfence_tests::{api, wait};
use serde_json::json;

use crate::image;

#[test]
fn a_balloon_grows_and_shrinks_while_the_machine_runs_and_its_guest_tells_of_itself() {
    let mut served = api::serve(["--json"]);
    served.done("PUT", "/balloon", r#"{"amount_mib":8,"deflate_on_oom":false,"stats_polling_interval_s":1}"#);
    served.boot(image("balloon"), "obey");
    served.start();
    for (mib, pages) in [(8, 2048), (24, 6144), (0, 0)] {
        served.done("PATCH", "/balloon", &json!({ "amount_mib": mib }).to_string());
        served.run.wait_for(&format!("balloon: at {pages} pages"));
        let statistics = served.get("/balloon/statistics");
        let sizes =
            ["target_pages", "actual_pages", "target_mib", "actual_mib"].map(|name| &statistics[name]);
        assert_eq!(sizes, [&json!(pages), &json!(pages), &json!(mib), &json!(mib)]);
        assert_eq!(served.get("/balloon")["amount_mib"], mib);
    }
    served.done("PATCH", "/balloon/statistics", r#"{"stats_polling_interval_s":2}"#);
    // The guest counts how often it was asked.
    wait::until("the guest to be asked again", || {
        served.get("/balloon/statistics")["free_memory"].as_u64().filter(|asked| *asked > 1)
    });
    assert!(served.get("/balloon/statistics").get("swap_in").is_none(), "it does not tell of that");
    let larger = served.refused("PATCH", "/balloon", r#"{"amount_mib":129}"#);
    assert!(larger.contains("larger than the guest's memory of 128 MiB"), "{larger}");
    let stopped = served.refused("PATCH", "/balloon/statistics", r#"{"stats_polling_interval_s":0}"#);
    assert!(stopped.contains("cannot be switched off"), "{stopped}");
}

#[test]
fn a_balloon_that_was_changed_while_the_machine_paused_is_told_when_it_goes_on() {
    let mut served = api::serve::<&str>([]);
    served.done("PUT", "/balloon", r#"{"amount_mib":0,"deflate_on_oom":false}"#);
    served.boot(image("balloon"), "obey");
    served.start();
    served.done("PATCH", "/vm", r#"{"state":"Paused"}"#);
    served.done("PATCH", "/balloon", r#"{"amount_mib":4}"#);
    served.done("PATCH", "/vm", r#"{"state":"Resumed"}"#);
    served.run.wait_for("balloon: at 1024 pages");
    let none = served.refused("GET", "/balloon/statistics", "");
    assert!(none.contains("has no statistics"), "{none}");
}

#[test]
fn a_socket_device_is_looked_at_when_it_is_named_and_made_when_the_machine_starts() {
    let served = api::serve::<&str>([]);
    let path = served.folder().join("guest.sock");
    let vsock = |cid: u32| json!({ "guest_cid": cid, "uds_path": path, "vsock_id": "v" }).to_string();
    let host = served.refused("PUT", "/vsock", &vsock(2));
    assert!(host.contains("3 to 4294967294, not 2"), "{host}");
    std::fs::write(&path, "").expect("the folder takes a file");
    let occupied = served.refused("PUT", "/vsock", &vsock(3));
    assert!(occupied.contains("there is something already"), "{occupied}");
    std::fs::remove_file(&path).expect("the file is there");
    served.done("PUT", "/vsock", &vsock(3));
    assert!(!path.exists());
    assert_eq!(served.get("/vm/config")["vsock"]["guest_cid"], 3);
    // A start that fails behind it leaves none in the way of the next.
    served.boot(image("spin"), "");
    served.done("PUT", "/balloon", r#"{"amount_mib":999,"deflate_on_oom":false}"#);
    served.refused("PUT", "/actions", r#"{"action_type":"InstanceStart"}"#);
    assert!(!path.exists());
    served.done("PUT", "/balloon", r#"{"amount_mib":1,"deflate_on_oom":false}"#);
    served.start();
    assert!(path.exists());
}

#[test]
fn a_console_device_hears_what_is_typed_and_is_named_where_it_was_asked_for() {
    let mut served = api::serve::<&str>([]);
    assert_eq!(served.get("/vm/config").get("console"), None, "clients of Firecracker's do not know it");
    let unknown = served.refused("PUT", "/console", r#"{"kind":"usb"}"#);
    assert!(unknown.contains("expected `serial` or `virtio`"), "{unknown}");
    served.done("PUT", "/console", r#"{"kind":"virtio"}"#);
    assert_eq!(served.get("/vm/config")["console"], json!({ "kind": "virtio" }));
    served.boot(image("console"), "");
    served.start();
    served.run.wait_for("console: say something\n");
    served.run.say("something\n");
    served.run.wait_for("you said: something\n");
}
