//! Drives and interfaces that change while the guest uses them.

use std::fs;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ringfence::role::policies::{disk, io};
use ringfence_tests::api::{self, Served};
use ringfence_tests::ptrace::Stopped;
use ringfence_tests::{network, procfs, wait};
use serde_json::{Value, json};

use crate::image;

const SECTOR: usize = 512;

/// A file of so many sectors whose words are all the same, and what the guest says when it has read it.
fn file(served: &Served, name: &str, sectors: usize, word: u64) -> (PathBuf, String) {
    let path = served.folder().join(name);
    fs::write(&path, word.to_le_bytes().repeat(sectors * SECTOR / 8)).expect("the folder takes a file");
    (path, format!("disk: now {sectors} sectors, sum {:x}", word * (sectors * SECTOR / 8) as u64))
}

/// Which thread serves a drive.
struct Server {
    /// As the API names it.
    engine: &'static str,
    thread: &'static str,
    /// Where the drive's file lies.
    slot: i32,
}

const IO: Server = Server { engine: "Sync", thread: "rf-io", slot: *io::slot::DISKS.start() };
const OWN: Server = Server { engine: "Async", thread: "rf-disk0", slot: disk::slot::DISK };

fn drive(path: &Path, read_only: bool, server: &Server) -> String {
    json!({
        "drive_id": "d", "path_on_host": path, "is_root_device": false, "is_read_only": read_only,
        "io_engine": server.engine,
    })
    .to_string()
}

/// A guest that reads its disk whenever it is told that it has changed.
fn watching(read_only: bool, server: &Server) -> Served {
    let served = api::serve(["--json"]);
    let (first, _) = file(&served, "first", 40, 1);
    served.done("PUT", "/drives/d", &drive(&first, read_only, server));
    served.boot(image("disk"), "watch");
    served.refused("PATCH", "/drives/d", r#"{"drive_id":"d"}"#);
    served.start();
    served
}

fn swap(path: &Path) -> String {
    json!({ "drive_id": "d", "path_on_host": path }).to_string()
}

/// How many descriptors main and the drive's thread hold.
fn descriptors(served: &Served, server: &Server) -> [usize; 2] {
    ["rf-main", server.thread].map(|name| procfs::thread(served.run.pid(), name).descriptors().len())
}

/// What the drive's thread holds at the slot of its file.
fn held(served: &Served, server: &Server) -> PathBuf {
    procfs::thread(served.run.pid(), server.thread).descriptors()[&server.slot].clone().into()
}

#[test]
fn a_drive_gets_other_files_and_the_guest_reads_them_with_their_sizes() {
    for server in [IO, OWN] {
        let mut served = watching(false, &server);
        served.run.wait_for("disk: d, 40 sectors");
        let before = descriptors(&served, &server);
        for (round, sectors) in [100, 7, 2000].into_iter().enumerate() {
            let (path, expected) = file(&served, &format!("file{round}"), sectors, round as u64 + 2);
            served.done("PATCH", "/drives/d", &swap(&path));
            served.run.wait_for(&expected);
            let drive = &served.get("/vm/config")["drives"][0];
            assert_eq!([&drive["path_on_host"], &drive["io_engine"]], [&json!(path), &json!(server.engine)]);
            assert_eq!(held(&served, &server), path, "it lies at the slot of the disk");
            assert_eq!(descriptors(&served, &server), before, "and nowhere else");
        }
    }
}

#[test]
fn a_file_that_has_grown_is_measured_again_and_stays_locked() {
    let mut served = watching(true, &IO);
    served.run.wait_for("disk: d, 40 sectors");
    let (path, expected) = file(&served, "first", 90, 1);
    served.done("PATCH", "/drives/d", &swap(&path));
    served.run.wait_for(&expected);
    let file = fs::File::options().write(true).open(&path).expect("the file is there");
    assert!(file.try_lock().is_err(), "its lock is held");
}

#[test]
fn a_file_that_cannot_be_a_disk_leaves_the_one_that_is_there() {
    let mut served = watching(false, &IO);
    served.run.wait_for("disk: d, 40 sectors");
    let folder = served.folder().to_owned();
    fs::write(folder.join("small"), "x").expect("the folder takes a file");
    let (locked, _) = file(&served, "locked", 8, 5);
    let lock = fs::File::options().write(true).open(&locked).expect("the file is there");
    lock.lock().expect("nobody has locked it");
    let before = descriptors(&served, &IO);
    for (path, why) in [
        (folder.join("none"), "No such file"),
        (folder.clone(), "neither a file nor a block device"),
        (folder.join("api"), "neither a file nor a block device"),
        ("/dev/null".into(), "neither a file nor a block device"),
        (folder.join("small"), "it has 1 bytes"),
        (locked, "another drive of this machine, has locked it"),
    ] {
        let fault = served.refused("PATCH", "/drives/d", &swap(&path));
        assert!(fault.contains(why), "{}: {fault}", path.display());
    }
    for (id, body, why) in [
        ("e", r#"{"drive_id":"e"}"#, "no drive e"),
        ("d", r#"{"drive_id":"e"}"#, "e in the body"),
        ("d", r#"{"drive_id":"d","is_read_only":true}"#, "unknown field `is_read_only`"),
    ] {
        let fault = served.refused("PATCH", &format!("/drives/{id}"), body);
        assert!(fault.contains(why), "{body}: {fault}");
    }
    assert_eq!(served.get("/vm/config")["drives"][0]["path_on_host"], json!(folder.join("first")));
    assert_eq!(descriptors(&served, &IO), before);
    let (path, expected) = file(&served, "good", 9, 3);
    served.done("PATCH", "/drives/d", &swap(&path));
    served.run.wait_for(&expected);
}

#[test]
fn a_thousand_changes_leave_no_descriptor_behind() {
    let mut served = watching(false, &IO);
    served.run.wait_for("disk: d, 40 sectors");
    let files = [file(&served, "one", 8, 1), file(&served, "two", 16, 1)];
    let before = descriptors(&served, &IO);
    let mut client = served.connect();
    for round in 0..1000 {
        let answer = client.ask("PATCH", "/drives/d", &swap(&files[round % 2].0));
        assert_eq!(answer.status, 204, "{}", answer.body);
    }
    served.run.wait_for(&files[1].1);
    assert_eq!(descriptors(&served, &IO), before);
}

#[test]
fn a_paused_machine_changes_and_its_guest_hears_of_it_when_it_goes_on() {
    for server in [IO, OWN] {
        let mut served = watching(false, &server);
        served.run.wait_for("disk: d, 40 sectors");
        served.done("PATCH", "/vm", r#"{"state":"Paused"}"#);
        let (path, expected) = file(&served, "other", 12, 9);
        served.done("PATCH", "/drives/d", &swap(&path));
        let limit = r#"{"drive_id":"d","rate_limiter":{"ops":{"size":9,"refill_time":1}}}"#;
        served.done("PATCH", "/drives/d", limit);
        assert_eq!(held(&served, &server), path);
        served.done("PATCH", "/vm", r#"{"state":"Resumed"}"#);
        served.run.wait_for(&expected);
    }
}

#[test]
fn a_change_for_which_its_thread_had_no_time_is_made_when_it_is_asked_for_again() {
    for server in [IO, OWN] {
        let mut served = watching(false, &server);
        served.run.wait_for("disk: d, 40 sectors");
        let before = descriptors(&served, &server);
        let (path, expected) = file(&served, "late", 24, 6);
        let first = served.folder().join("first");
        let busy = hold(&served, server.thread);
        for why in ["did not come to rest", "has not come back to the change"] {
            let fault = served.refused("PATCH", "/drives/d", &swap(&path));
            assert!(fault.contains(why), "{fault}");
        }
        assert_eq!(served.get("/vm/config")["drives"][0]["path_on_host"], json!(first));
        drop(busy);
        // It hears of the change that was given up, and lets go of the file, which is locked until then.
        let lock = fs::File::options().write(true).open(&path).expect("the file is there");
        wait::until("the file is unlocked", || lock.try_lock().ok());
        drop(lock);
        assert_eq!(held(&served, &server), first, "the change is not made later");
        let mut client = served.connect();
        wait::until("the change is made", || {
            (client.ask("PATCH", "/drives/d", &swap(&path)).status == 204).then_some(())
        });
        served.run.wait_for(&expected);
        assert_eq!(descriptors(&served, &server), before);
    }
}

/// Has a thread do nothing until this goes.
fn hold(served: &Served, thread: &str) -> Stopped {
    Stopped::attach(&procfs::thread(served.run.pid(), thread)).expect("tests trace their children")
}

#[test]
fn a_drive_with_a_thread_of_its_own_keeps_no_other_waiting() {
    let mut served = api::serve::<&str>([]);
    let (first, _) = file(&served, "first", 40, 1);
    let slow = drive(&first, false, &OWN).replace("\"d\"", "\"slow\"");
    served.done("PUT", "/drives/slow", &slow);
    let (second, _) = file(&served, "second", 30, 1);
    served.done("PUT", "/drives/d", &drive(&second, false, &IO));
    served.boot(image("disk"), "nth=1 watch");
    served.start();
    served.run.wait_for("disk: d, 30 sectors");
    let busy = hold(&served, "rf-disk0");
    for word in 2..5 {
        let (path, expected) = file(&served, &format!("file{word}"), 10, word);
        served.done("PATCH", "/drives/d", &swap(&path));
        served.run.wait_for(&expected);
    }
    let fault = served.refused("PATCH", "/vm", r#"{"state":"Paused"}"#);
    assert!(fault.contains("did not come to rest"), "all stand still or none: {fault}");
    drop(busy);
    served.done("PATCH", "/vm", r#"{"state":"Paused"}"#);
    served.done("PATCH", "/vm", r#"{"state":"Resumed"}"#);
}

/// One operation in eleven days.
const HARDLY_ANY: &str = r#"{"ops":{"size":1,"refill_time":1000000000}}"#;

fn limited(body: &str, name: &str, limiter: &str) -> String {
    let mut value: Value = serde_json::from_str(body).expect("JSON");
    value[name] = serde_json::from_str(limiter).expect("JSON");
    value.to_string()
}

#[test]
fn a_drive_that_is_held_back_goes_on_when_its_limiter_is_taken_away() {
    for server in [IO, OWN] {
        let mut served = api::serve::<&str>([]);
        let (path, _) = file(&served, "first", 640, 2);
        served.done("PUT", "/drives/d", &limited(&drive(&path, true, &server), "rate_limiter", HARDLY_ANY));
        served.boot(image("disk"), "sum watch");
        served.start();
        let change = |limiter: &str| limited(r#"{"drive_id":"d"}"#, "rate_limiter", limiter);
        // The name is the one operation.
        served.run.wait_for("disk: d, 640 sectors");
        // The bucket of bytes is another: of operations there are none still.
        served.done("PATCH", "/drives/d", &change(r#"{"bandwidth":{"size":1048576,"refill_time":1}}"#));
        let limiter = &served.get("/vm/config")["drives"][0]["rate_limiter"];
        assert_eq!([&limiter["bandwidth"]["size"], &limiter["ops"]["size"]], [&json!(1_048_576), &json!(1)]);
        assert!(!served.run.stdout().contains("sum"), "{}", served.run.stdout());
        served.done("PATCH", "/drives/d", &change(r#"{"ops":{"size":0,"refill_time":0}}"#));
        served.run.wait_for(&format!("disk: sum {:x}", 2 * 640 * SECTOR / 8));
        assert_eq!(served.get("/vm/config")["drives"][0]["rate_limiter"]["ops"], Value::Null);
    }
}

#[test]
fn an_interface_that_is_held_back_goes_on_when_its_limiter_is_taken_away() {
    network::in_namespace(|| {
        let mut served = api::serve::<&str>([]);
        let interface = r#"{"iface_id":"eth0","host_dev_name":"tap0"}"#;
        served.done("PUT", "/network-interfaces/eth0", &limited(interface, "rx_rate_limiter", HARDLY_ANY));
        served.boot(image("net"), "");
        served.start();
        served.run.wait_for("net: ready at 10.0.0.2");
        network::command("ip address add 10.0.0.1/24 dev tap0");
        let socket = UdpSocket::bind("10.0.0.1:0").expect("the address is there");
        socket.set_read_timeout(Some(Duration::from_mins(1))).expect("a time is set");
        // One frame may pass, and this needs another before it, which asks for the guest's hardware address.
        socket.send_to(b"hello", ("10.0.0.2", ECHO)).expect("the interface is up");
        let lifted =
            limited(r#"{"iface_id":"eth0"}"#, "rx_rate_limiter", r#"{"ops":{"size":0,"refill_time":0}}"#);
        served.refused("PATCH", "/network-interfaces/eth1", &lifted);
        assert!(!is_there(&socket));
        served.done("PATCH", "/network-interfaces/eth0", &lifted);
        let mut answer = [0; 9];
        let length = socket.recv(&mut answer).expect("it comes back");
        assert_eq!(&answer[..length], b"hello");
        assert_eq!(served.get("/vm/config")["network-interfaces"][0]["rx_rate_limiter"], Value::Null);
    });
}

/// The port of the guest from which what comes goes back.
const ECHO: u16 = 7;

/// Whether there is a datagram to be received.
fn is_there(socket: &UdpSocket) -> bool {
    socket.set_nonblocking(true).expect("it takes modes");
    let there = socket.peek(&mut [0]).is_ok();
    socket.set_nonblocking(false).expect("it takes modes");
    there
}
