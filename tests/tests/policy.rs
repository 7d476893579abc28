//! `ringfence policy`, as its user has it.

use std::fs::{self, File};
use std::io::Read;
use std::os::fd::{AsFd, FromRawFd, OwnedFd};

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use ringfence::role::policies;
use ringfence_tests::binary::{build_script, ringfence};
use ringfence_tests::policy::{policy, run};
use seccomp_policies::embed::{OnViolation, Programs};
use serde_json::Value;
use tempfile::TempDir;

const GOOD: &str = "role test\ntier filter\notherwise trap\n\nread: fd == 0 && count <= 64  -- input\n";

/// `KVM_RUM` is no constant.
const BAD: &str = "role bad\ntier filter\notherwise trap\n\nioctl: cmd == KVM_RUM -- enter the guest\n";

/// A folder with these files in it.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = TempDir::new().expect("a temporary folder");
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("it has a folder")).expect("the folder takes a folder");
        fs::write(path, text).expect("the folder takes a file");
    }
    folder
}

/// The policies that come with the program, a role's each.
const SHIPPED: [&str; 8] = [
    "api.policy",
    "console.policy",
    "disk.policy",
    "io.policy",
    "io_vsock.policy",
    "main.policy",
    "main_api.policy",
    "vcpu.policy",
];

fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../seccomp-policies/policies")
}

#[test]
fn check_says_in_one_line_what_a_policy_comes_to() {
    let folder = folder(&[("test.policy", GOOD)]);
    let (code, output, errors) = run(&mut policy(folder.path(), &["check", "test.policy"]));
    assert_eq!((code, errors.as_str()), (0, ""));
    assert_eq!(
        output,
        "test.policy: role test, tier filter, 1 rule for 1 call, 13 instructions, 7 as a bitmask\n"
    );
}

#[test]
fn check_finds_the_shipped_policies_in_order() {
    let (code, output, errors) = run(policy(&shipped(), &["check"]).args(SHIPPED));
    assert_eq!(code, 0, "{errors}");
    assert_eq!(output.lines().count(), SHIPPED.len(), "{output}");
}

#[test]
fn check_underlines_what_is_wrong_and_exits_with_1() {
    let folder = folder(&[("bad.policy", BAD), ("test.policy", GOOD)]);
    let (code, output, errors) = run(&mut policy(folder.path(), &["check", "bad.policy", "test.policy"]));
    assert_eq!(code, 1);
    for part in ["KVM_RUM", "bad.policy:5:", "^^^^^^^", "KVM_RUN", "1 of 2 policies do not hold"] {
        assert!(errors.contains(part), "{part} is missing from {errors}");
    }
    assert!(output.starts_with("test.policy: role test"), "{output}");
}

#[test]
fn check_of_a_file_that_is_not_there_says_so() {
    let folder = folder(&[]);
    let (code, output, errors) = run(&mut policy(folder.path(), &["check", "none.policy"]));
    assert_eq!((code, output.as_str()), (1, ""));
    assert!(errors.contains("none.policy") && errors.contains("there is no such file"), "{errors}");
}

#[test]
fn check_gives_programs_the_same_findings_with_their_places() {
    let folder = folder(&[("bad.policy", BAD), ("test.policy", GOOD)]);
    let arguments = ["check", "--json", "bad.policy", "test.policy"];
    let (code, output, errors) = run(&mut policy(folder.path(), &arguments));
    assert_eq!((code, errors.as_str()), (1, ""));
    let report: Value = serde_json::from_str(&output).expect("it is JSON");
    let reports = &report["policies"];
    let finding = &reports[0]["findings"][0];
    assert_eq!(reports[0]["holds"], false);
    assert_eq!(
        (&finding["path"], &finding["line"], &finding["column"]),
        (&"bad.policy".into(), &5.into(), &15.into())
    );
    assert_eq!(finding["severity"], "error");
    assert_eq!((&reports[1]["holds"], &reports[1]["role"]), (&true.into(), &"test".into()));
    assert_eq!(reports[1]["instructions"]["bitmask"], 7);
}

#[test]
fn check_reports_a_policy_that_fits_in_no_program() {
    // No two calls have a value in common, so no two share a test.
    let rule = |(nth, call): (u32, &str)| {
        let values = (0..500).map(|value| (1000 * value + nth).to_string()).collect::<Vec<_>>().join(", ");
        format!("{call}: count in {{{values}}} -- one of many\n")
    };
    let calls = [
        "read",
        "write",
        "pread64",
        "pwrite64",
        "sendfile",
        "getdents",
        "readahead",
        "getdents64",
        "eventfd2",
    ];
    let rules: String = (0..).zip(calls).map(rule).collect();
    let text = format!("role large\ntier filter\notherwise trap\n{rules}");
    let folder = folder(&[("large.policy", &text)]);
    let (code, output, errors) = run(&mut policy(folder.path(), &["check", "large.policy"]));
    assert_eq!((code, output.as_str()), (1, ""), "{errors}");
    assert!(errors.contains("the program of role `large` comes to"), "{errors}");
    assert!(errors.contains("more than the 4096 that it may have"), "{errors}");
}

#[test]
fn a_bad_policy_stops_the_build_with_the_words_of_check() {
    let folder = folder(&[("vmm/unused", ""), ("seccomp-policies/policies/bad.policy", BAD)]);
    let (_, _, checked) = run(&mut policy(folder.path(), &["check", "seccomp-policies/policies/bad.policy"]));
    let out = folder.path().join("out");
    fs::create_dir(&out).expect("the folder takes a folder");
    let mut build = Command::new(build_script());
    build.current_dir(folder.path().join("vmm")).env("OUT_DIR", &out).env("CARGO_CFG_TARGET_ARCH", "x86_64");
    let (code, _, built) = run(&mut build);
    assert_ne!(code, 0);
    assert!(checked.contains("KVM_RUM"), "{checked}");
    assert!(built.starts_with(&checked), "check says\n{checked}\nand the build\n{built}");
    assert!(!out.join("policies.rs").exists(), "nothing is embedded");
}

#[test]
fn compiled_bytes_are_the_program_that_the_monitor_holds() {
    let Programs::Filter { filter, bitmask } = &policies::vcpu::POLICY.programs else {
        panic!("the vCPU role is held by filters")
    };
    for (backend, variants) in [("optimizing", filter), ("bitmask", bitmask)] {
        for (action, choice) in [
            ("trap", OnViolation::Trap),
            ("kill", OnViolation::Kill),
            ("errno", OnViolation::Errno),
            ("log", OnViolation::Log),
        ] {
            let arguments = [
                "compile",
                "vcpu.policy",
                "--format",
                "bytes",
                "--backend",
                backend,
                "--on-violation",
                action,
            ];
            let output = policy(&shipped(), &arguments).output().expect("the binary starts");
            let words = |bytes: &[u8]| {
                let code = u16::from_le_bytes([bytes[0], bytes[1]]);
                (code, bytes[2], bytes[3], u32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]))
            };
            let compiled: Vec<_> = output.stdout.chunks(8).map(words).collect();
            let embedded: Vec<_> = variants.get(choice).iter().map(|i| (i.code, i.jt, i.jf, i.k)).collect();
            assert_eq!(compiled, embedded, "{backend} {action}");
        }
    }
}

#[test]
fn disassembly_names_calls_arguments_and_constants() {
    let (code, output, errors) = run(&mut policy(&shipped(), &["compile", "vcpu.policy"]));
    assert_eq!((code, errors.as_str()), (0, ""));
    for part in [
        "; role vcpu on x86_64, optimizing backend, otherwise trap",
        "; ioctl",
        "; cmd",
        "; KVM_RUN",
        "return TRAP",
    ] {
        assert!(output.contains(part), "{part} is missing from {output}");
    }
}

#[test]
fn every_format_has_every_instruction() {
    let folder = folder(&[("test.policy", GOOD)]);
    let compiled = |format| {
        let arguments = ["compile", "test.policy", "--format", format];
        policy(folder.path(), &arguments).output().expect("the binary starts").stdout
    };
    let json: Value = serde_json::from_slice(&compiled("json")).expect("it is JSON");
    assert_eq!(json["instructions"].as_array().expect("an array").len(), 13);
    assert_eq!(json["instructions"][0]["text"], "A = arch");
    assert_eq!(compiled("bytes").len(), 13 * 8);
    let lines = |format| String::from_utf8(compiled(format)).expect("text").lines().count();
    assert_eq!((lines("disassembly"), lines("c")), (14, 14));
}

#[test]
fn other_architectures_have_other_numbers() {
    let folder = folder(&[("test.policy", GOOD)]);
    let arguments = ["compile", "test.policy", "--target", "aarch64"];
    let (code, output, _) = run(&mut policy(folder.path(), &arguments));
    assert_eq!(code, 0);
    assert!(output.contains("if A != 63 goto") && output.contains("; aarch64"), "{output}");
}

#[test]
fn event_filters_are_written_as_their_page_shows_and_as_json() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/event-filters.md");
    let page = fs::read_to_string(page).expect("the page is there");
    let mut blocks = page.split("```").skip(1).step_by(2);
    let mut block = |kind| blocks.find_map(|block| block.strip_prefix(kind)).expect("a block of this kind");
    let (text, events) = (block("policy\n"), block("events\n"));
    let folder = folder(&[("test.policy", text)]);
    let compile = |format: &[&str]| {
        let arguments = [&["compile", "test.policy", "--backend", "event-filter"], format].concat();
        run(&mut policy(folder.path(), &arguments))
    };
    assert_eq!(compile(&[]), (0, events.to_owned(), String::new()));
    let json: Value = serde_json::from_str(&compile(&["--format", "json"]).1).expect("it is JSON");
    assert_eq!(json["events"][0]["filter"], "!(fd == 3 && cmd == 0xae80)");
    assert_eq!(json["events"][5]["filter"], Value::Null);
    assert_eq!(json["events"][5]["remainder"], "!(buf != 0 && bufsiz <= 0x40)");
    assert_eq!(json["unwatched"][0], "rt_sigreturn");
}

#[test]
fn event_filters_have_no_bytes_and_the_message_says_so() {
    let folder = folder(&[("test.policy", GOOD)]);
    let arguments = ["compile", "test.policy", "--backend", "event-filter", "--format", "c"];
    let (code, output, errors) = run(&mut policy(folder.path(), &arguments));
    assert_eq!((code, output.as_str()), (1, ""));
    assert!(errors.contains("event filters are text and not a program"), "{errors}");
}

#[test]
fn strict_mode_has_nothing_to_compile_and_the_message_says_so() {
    let (code, output, errors) = run(&mut policy(&shipped(), &["compile", "console.policy"]));
    assert_eq!((code, output.as_str()), (1, ""));
    assert!(errors.contains("role `console` has no program"), "{errors}");
}

#[test]
fn a_program_is_written_to_the_file_that_is_asked_for() {
    let folder = folder(&[("test.policy", GOOD)]);
    let arguments = ["compile", "test.policy", "--format", "bytes", "-o", "test.bpf"];
    assert_eq!(run(&mut policy(folder.path(), &arguments)), (0, String::new(), String::new()));
    assert_eq!(fs::read(folder.path().join("test.bpf")).expect("it is there").len(), 13 * 8);
    let arguments = ["compile", "test.policy", "-o", "none/test.bpf"];
    let (code, _, errors) = run(&mut policy(folder.path(), &arguments));
    assert_eq!(code, 1);
    assert!(errors.contains("cannot write none/test.bpf: No such file or directory"), "{errors}");
}

#[test]
fn a_reader_that_goes_away_is_no_error_and_a_full_disk_is_one() {
    let folder = folder(&[("test.policy", GOOD)]);
    let (reader, writer) = rustix::pipe::pipe().expect("a pipe");
    drop(reader);
    let mut command = policy(folder.path(), &["compile", "test.policy"]);
    let output = command.stdout(writer).output().expect("the binary starts");
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));

    let full = File::options().write(true).open("/dev/full").expect("Linux has /dev/full");
    let output = command.stdout(full).output().expect("the binary starts");
    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("cannot write to standard output: No space left on device"), "{errors}");
}

/// A terminal: its two ends, the one that a person has and the one that a program gets.
fn terminal() -> (File, OwnedFd) {
    let (mut person, mut program) = (-1, -1);
    // SAFETY: openpty writes the two numbers, and takes null for a name, modes and a size that are not asked for.
    let outcome = unsafe {
        libc::openpty(
            &raw mut person,
            &raw mut program,
            std::ptr::null_mut(),
            std::ptr::null_mut(),
            std::ptr::null_mut(),
        )
    };
    assert_eq!(outcome, 0, "no terminal: {}", std::io::Error::last_os_error());
    // SAFETY: openpty has just made this descriptor, and nothing else owns it.
    let person = unsafe { File::from_raw_fd(person) };
    // SAFETY: as above, for the other end.
    let program = unsafe { OwnedFd::from_raw_fd(program) };
    (person, program)
}

/// What a person sees of a program's standard error.
fn seen_on_terminal(command: &mut Command) -> String {
    let (mut person, program) = terminal();
    let status =
        command.stderr(program.as_fd().try_clone_to_owned().expect("a copy")).stdout(Stdio::null()).status();
    assert_eq!(status.expect("the binary starts").code(), Some(1));
    command.stderr(Stdio::null());
    let mut seen = [0; 4096];
    let count = person.read(&mut seen).expect("the program wrote something");
    String::from_utf8_lossy(&seen[..count]).into_owned()
}

#[test]
fn findings_have_colour_on_a_terminal_alone_and_not_with_no_color() {
    let folder = folder(&[("bad.policy", BAD)]);
    let check = || policy(folder.path(), &["check", "bad.policy"]);
    assert!(seen_on_terminal(&mut check()).contains("\x1b["));
    assert!(!seen_on_terminal(check().env("NO_COLOR", "1")).contains("\x1b["));
    let (_, _, errors) = run(&mut check());
    assert!(!errors.contains("\x1b["), "{errors}");
}

#[test]
fn bytes_are_not_written_to_a_terminal() {
    let folder = folder(&[("test.policy", GOOD)]);
    let (_person, program) = terminal();
    let mut command = policy(folder.path(), &["compile", "test.policy", "--format", "bytes"]);
    let output = command.stdout(program).output().expect("the binary starts");
    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("write them to a file with -o FILE"), "{errors}");
}

/// The same policy as `GOOD`, carelessly laid out.
const CARELESS: &str =
    "role   test\ntier filter\notherwise trap\n\n\n\nread: fd==0&&count<=64    --   input\n";

#[test]
fn fmt_replaces_the_text_and_leaves_permissions_and_links_alone() {
    let folder = folder(&[("real.policy", CARELESS)]);
    let real = folder.path().join("real.policy");
    fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).expect("permissions");
    symlink("real.policy", folder.path().join("link.policy")).expect("a link");
    assert_eq!(run(&mut policy(folder.path(), &["fmt", "link.policy"])), (0, String::new(), String::new()));
    assert_eq!(fs::read_to_string(&real).expect("it is there"), GOOD);
    assert_eq!(fs::metadata(&real).expect("it is there").permissions().mode() & 0o777, 0o640);
    assert!(fs::symlink_metadata(folder.path().join("link.policy")).expect("it is there").is_symlink());
    let names = fs::read_dir(folder.path()).expect("a folder").count();
    assert_eq!(names, 2, "nothing else is left behind");
}

#[test]
fn fmt_check_shows_what_it_would_change_and_changes_nothing() {
    let folder = folder(&[("careless.policy", CARELESS), ("test.policy", GOOD)]);
    let (code, output, errors) =
        run(&mut policy(folder.path(), &["fmt", "--check", "careless.policy", "test.policy"]));
    assert_eq!((code, errors.as_str()), (1, ""));
    assert!(output.starts_with("careless.policy:1: laid out differently\n-role   test\n"), "{output}");
    assert!(
        output.contains("\n+read: fd == 0 && count <= 64  -- input\n") && !output.contains("test.policy"),
        "{output}"
    );
    assert_eq!(fs::read_to_string(folder.path().join("careless.policy")).expect("it is there"), CARELESS);
    let (code, output, _) = run(&mut policy(folder.path(), &["fmt", "--check", "test.policy"]));
    assert_eq!((code, output.as_str()), (0, ""));
}

#[test]
fn fmt_reads_standard_input_for_a_dash() {
    let folder = folder(&[("careless.policy", CARELESS)]);
    let input = File::open(folder.path().join("careless.policy")).expect("it is there");
    assert_eq!(run(policy(folder.path(), &["fmt", "-"]).stdin(input)), (0, GOOD.to_owned(), String::new()));
}

#[test]
fn fmt_leaves_a_text_that_it_cannot_parse_alone_and_says_why() {
    let text = "role test\nread fd == 0 -- input\n";
    let folder = folder(&[("bad.policy", text)]);
    let (code, output, errors) = run(&mut policy(folder.path(), &["fmt", "bad.policy"]));
    assert_eq!((code, output.as_str()), (1, ""));
    assert!(errors.contains("bad.policy:2:"), "{errors}");
    assert_eq!(fs::read_to_string(folder.path().join("bad.policy")).expect("it is there"), text);
}

#[test]
fn the_shipped_policies_are_formatted() {
    let common = ["common/heap.policy", "common/io.policy", "common/main.policy", "common/waiting.policy"];
    let files = SHIPPED.iter().chain(&common);
    let (code, output, errors) = run(policy(&shipped(), &["fmt", "--check"]).args(files));
    assert_eq!((code, output.as_str(), errors.as_str()), (0, "", ""));
}

/// A program that lets `read` through, traps other calls, and ends the process at those of another architecture.
const READS: &str = "0x20 0 0 4\n0x15 1 0 0xc000003e\n0x06 0 0 0x80000000\n0x20 0 0 0\n0x15 0 1 0\n0x06 0 0 0x7fff0000\n\
    0x06 0 0 0x00030000\n";

#[test]
fn every_example_of_the_help_does_what_it_says() {
    let text = "role vcpu\ntier filter\notherwise trap\n\nread: fd == 0  -- input\n";
    let threads =
        r#"{"vcpu": {"default_action": "trap", "filter_action": "allow", "filter": [{"syscall": "read"}]}}"#;
    let folder = folder(&[
        ("vcpu.policy", text),
        ("net.policy", text),
        ("seccomp-policies/policies/vcpu.policy", text),
        ("seccomp.json", threads),
        ("filter.bpf", READS),
    ]);
    let binaries = ringfence().parent().expect("it is in a folder");
    let mut tried = 0;
    for command in ["check", "fmt", "compile"] {
        let (code, help, _) = run(&mut policy(folder.path(), &[command, "--help"]));
        assert_eq!(code, 0);
        for example in help.lines().filter_map(|line| line.strip_prefix("  ringfence ")) {
            let mut shell = Command::new("sh");
            shell
                .args(["-c", &format!("{}/ringfence {example}", binaries.display())])
                .current_dir(folder.path());
            let (code, _, errors) = run(&mut shell);
            assert_eq!(code, 0, "{example}: {errors}");
            tried += 1;
        }
    }
    assert_eq!(tried, 16);
}
