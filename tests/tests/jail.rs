//! In a root folder that holds the program and KVM's device alone, as jailers make one: no library, no /dev/null, no /proc.
#![forbid(unsafe_code)]

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};

use ringfence_tests::api::Client;
use ringfence_tests::run::Run;
use ringfence_tests::{binary, child, procfs, wait};
use tempfile::TempDir;

/// The folder, with the program under this name; `None` where nobody may make a device file.
fn jail(name: &str) -> Option<TempDir> {
    if !child::is_root() {
        eprintln!("skipped: only root can make a device file and enter another root folder");
        return None;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    // By another process: while this one had the file open for writing, a child that another test starts meanwhile would
    // have it too, and what is open for writing cannot be executed.
    let copied = Command::new("cp").arg(binary::ringfence()).arg(folder.path().join(name)).status();
    assert!(copied.expect("there is cp").success(), "the folder takes the program");
    fs::create_dir(folder.path().join("dev")).expect("the folder takes another");
    child::make_kvm_for_everyone(&folder.path().join("dev/kvm")).expect("root can make a device file");
    Some(folder)
}

fn start(jail: &Path, command: &[&str]) -> Run {
    let mut run = Command::new(command[0]);
    run.args(&command[1..]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    child::heed_signals(&mut run);
    child::enter_root(&mut run, jail);
    Run::start(&mut run)
}

#[test]
fn a_guest_runs() {
    let Some(jail) = jail("ringfence") else { return };
    for tier in ["filter", "bitmask"] {
        let ended = start(jail.path(), &["/ringfence", "run", "hello", "--tier", tier]).wait().expect_code(0);
        assert!(ended.output().contains("hello: started"), "{}", ended.output());
    }
}

#[test]
fn a_machine_is_configured_and_started_by_firecracker_s_api() {
    let Some(jail) = jail("firecracker") else { return };
    let guest = guest_images::bare::find("spin").expect("the program has it");
    fs::write(jail.path().join("kernel"), guest.image).expect("the folder takes a file");
    let mut run = start(jail.path(), &["/firecracker", "--api-sock", "/api"]);
    let socket = jail.path().join("api");
    let stream = wait::until("the socket to take connections", || UnixStream::connect(&socket).ok());
    let mut client = Client::of(stream);
    for (path, body) in [
        ("/boot-source", r#"{"kernel_image_path":"/kernel","boot_args":"beat"}"#),
        ("/actions", r#"{"action_type":"InstanceStart"}"#),
    ] {
        let answer = client.ask("PUT", path, body);
        assert_eq!(answer.status, 204, "{path}: {}", answer.body);
    }
    run.wait_for("beat 1");
    // What stands in for /dev/null holds the numbers of the standard streams as well as that does.
    let held = procfs::thread(run.pid(), "rf-vcpu0").descriptors();
    assert!([0, 1, 2].iter().all(|number| held[number].starts_with("pipe:")), "{held:?}");
    run.signal(rustix::process::Signal::TERM);
    run.wait().expect_code(143);
}
