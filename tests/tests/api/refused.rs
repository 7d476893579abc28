//! What a client may not ask, or not now.

use ringfence_tests::{api, binary};

use crate::image;

const START: &str = r#"{"action_type":"InstanceStart"}"#;

#[test]
fn a_file_that_is_not_there_is_told_when_it_is_named() {
    let served = api::serve::<&str>([]);
    let fault = served.refused("PUT", "/boot-source", r#"{"kernel_image_path":"/no/kernel"}"#);
    assert!(fault.contains("cannot open kernel /no/kernel"), "{fault}");
    let drive = r#"{"drive_id":"d","path_on_host":"/no/disk","is_root_device":true}"#;
    let fault = served.refused("PUT", "/drives/d", drive);
    assert!(fault.contains("cannot open the disk /no/disk"), "{fault}");
    assert_eq!(served.get("/vm/config")["drives"], serde_json::json!([]));
}

#[test]
fn a_start_that_fails_leaves_the_machine_as_it_was_and_can_be_made_again() {
    let mut served = api::serve::<&str>([]);
    let fault = served.refused("PUT", "/actions", START);
    assert!(fault.contains("kernel"), "{fault}");
    served.boot(b"no kernel at all, but a file", "");
    let fault = served.refused("PUT", "/actions", START);
    assert!(fault.contains("kernel"), "{fault}");
    assert_eq!(served.get("/")["state"], "Not started");
    served.boot(image("spin"), "beat");
    served.start();
    served.run.wait_for("beat 1");
}

#[test]
fn order_matters_before_and_after_the_start() {
    let mut served = api::serve::<&str>([]);
    let fault = served.refused("PATCH", "/vm", r#"{"state":"Paused"}"#);
    assert!(fault.contains("not supported before starting the microVM"), "{fault}");
    served.boot(image("spin"), "beat");
    served.start();
    served.run.wait_for("beat 1");
    for (path, body) in [
        ("/machine-config", r#"{"vcpu_count":1,"mem_size_mib":64}"#),
        ("/boot-source", r#"{"kernel_image_path":"x"}"#),
        ("/drives/d", r#"{"drive_id":"d","path_on_host":"x","is_root_device":false}"#),
        ("/entropy", "{}"),
        ("/console", r#"{"kind":"virtio"}"#),
        ("/actions", START),
    ] {
        let fault = served.refused("PUT", path, body);
        assert!(fault.contains("not supported after starting the microVM"), "{path}: {fault}");
    }
}

#[test]
fn what_is_not_there_yet_says_so() {
    let served = api::serve::<&str>([]);
    for (method, path) in
        [("PUT", "/snapshot/create"), ("PUT", "/mmds"), ("PUT", "/cpu-config"), ("GET", "/hotplug/memory")]
    {
        let fault = served.refused(method, path, if method == "GET" { "" } else { "{}" });
        assert!(fault.contains("is not supported") && fault.contains(path), "{fault}");
    }
}

#[test]
fn a_call_that_the_api_s_thread_is_refused_ends_the_run_before_the_start_too() {
    let begin = |socket: &std::path::Path| {
        ["api".into(), "--provoke".into(), "rf-api:openat".into(), "--sock".into(), socket.to_owned()]
    };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut command = std::process::Command::new(binary::provoking());
    command.args(begin(&folder.path().join("api")));
    let output = command.output().expect("the program can be started");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(148), "{said}");
    assert!(said.starts_with("ringfence: rf-api (api) was refused openat("), "{said}");
}
