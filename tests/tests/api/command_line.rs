//! The command lines by which the API is served: our own and Firecracker's.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use ringfence_tests::{api, binary};
use serde_json::json;

use crate::image;

fn firecracker(arguments: &[&str]) -> Output {
    let mut command = Command::new(binary::ringfence());
    command
        .arg("firecracker")
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("the program can be started")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn the_version_is_firecracker_s_first_and_ours_beside_it() {
    let output = firecracker(&["--version"]);
    assert_eq!(output.status.code(), Some(0));
    let said = text(&output.stdout);
    let first = said.lines().next().expect("a line");
    assert!(first.strip_prefix("Firecracker v1.").is_some_and(|rest| rest.contains('.')), "{first}");
    assert!(said.contains(&format!("ringfence {}", env!("CARGO_PKG_VERSION"))), "{said}");
}

#[test]
fn called_as_firecracker_the_program_takes_its_command_line() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let link = folder.path().join("firecracker");
    symlink(binary::ringfence(), &link).expect("the folder takes a link");
    let begin = |socket: &Path| ["--api-sock".into(), socket.to_owned()];
    let served = api::serve_by(&link, begin, ["--id", "vm-7"]);
    assert_eq!(served.get("/")["id"], "vm-7");
}

#[test]
fn a_boot_timer_tells_once_how_long_the_guest_took_to_say_that_it_has_started() {
    let told = |with: &[&str]| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let log = folder.path().join("log");
        let begin = |socket: &Path| ["firecracker".into(), "--api-sock".into(), socket.to_owned()];
        let logged = ["--log-path", log.to_str().expect("the folder's name is text")];
        let served =
            api::serve_by(binary::ringfence(), begin, logged.into_iter().chain(with.iter().copied()));
        served.boot(image("hello"), "");
        served.start();
        let ended = served.wait().expect_code(0);
        assert!(ended.output().contains("hello: started"), "{}", ended.output());
        let log = fs::read_to_string(&log).expect("there is a log");
        let lines = log.lines().filter_map(|line| line.split_once("Guest-boot-time = "));
        lines.map(|(_, numbers)| numbers.to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(told(&[]), Vec::<String>::new(), "nobody asked for it");
    let lines = told(&["--boot-timer"]);
    let [numbers] = &lines[..] else { panic!("{lines:?}") };
    let words: Vec<_> = numbers.split_whitespace().collect();
    let [wall, "us", wall_ms, "ms,", processor, "CPU", "us", processor_ms, "CPU", "ms"] = words[..] else {
        panic!("{numbers}")
    };
    let number = |word: &str| word.parse::<u64>().expect("a number");
    assert_eq!([wall_ms, processor_ms].map(number), [wall, processor].map(|word| number(word) / 1000));
    assert!(number(wall) > 0 && number(processor) > 0, "{numbers}");
}

#[test]
fn a_configuration_file_starts_the_machine_with_or_without_an_api() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (kernel, file) = (folder.path().join("kernel"), folder.path().join("machine.json"));
    fs::write(&kernel, image("spin")).expect("the folder takes a file");
    let config = json!({
        "boot-source": { "kernel_image_path": kernel, "boot_args": "beat" },
        "machine-config": { "vcpu_count": 1, "mem_size_mib": 64, "smt": false, "track_dirty_pages": false },
    });
    fs::write(&file, config.to_string()).expect("the folder takes a file");
    let begin = |socket: &Path| ["firecracker".into(), "--api-sock".into(), socket.to_owned()];
    let mut served = api::serve_by(binary::ringfence(), begin, ["--config-file".as_ref(), file.as_os_str()]);
    served.run.wait_for("beat 1");
    assert_eq!(served.get("/")["state"], "Running");
    assert_eq!(served.get("/machine-config")["mem_size_mib"], 64);

    fs::write(&kernel, image("compute")).expect("the folder takes a file");
    let output =
        firecracker(&["--no-api", "--config-file", file.to_str().expect("the folder's name is text")]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("compute"));
}

#[test]
fn what_firecracker_has_and_this_program_has_not_is_refused_with_a_sentence() {
    for (arguments, said) in [
        (&["--no-seccomp"][..], "--tier none"),
        (&["--seccomp-filter", "x"], "ringfence policy"),
        (&["--metadata", "x"], "MMDS"),
    ] {
        let output = firecracker(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        let words = text(&output.stderr);
        assert!(words.starts_with(&format!("ringfence: {} is refused: ", arguments[0])), "{words}");
        assert!(words.contains(said), "{words}");
    }
    assert_eq!(firecracker(&["--no-api"]).status.code(), Some(2), "it needs --config-file");
}

#[test]
fn the_socket_has_the_mode_that_was_asked_for_and_is_left_behind() {
    let served = api::serve(["--sock-mode", "0600"]);
    let socket = served.socket();
    assert_eq!(socket.metadata().expect("it is there").permissions().mode() & 0o777, 0o600);
    served.run.signal(rustix::process::Signal::TERM);
    let folder = served.folder().to_owned();
    // While the process and its folder are there.
    let again = || {
        let mut command = Command::new(binary::ringfence());
        command.arg("api").arg("--sock").arg(folder.join("api")).stdin(Stdio::null());
        let output = command.output().expect("the program can be started");
        assert_eq!(output.status.code(), Some(1));
        text(&output.stderr)
    };
    ringfence_tests::wait::until("the end of the process", || {
        std::os::unix::net::UnixStream::connect(&socket).is_err().then_some(())
    });
    assert!(again().contains("remove it"), "{}", again());
}
