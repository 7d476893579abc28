//! `ringfence policy import`, and what `policy compile` writes for other programs, as their user has them.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

use ringfence_tests::policy::{policy, run};
use serde_json::Value;
use tempfile::TempDir;

const THREADS: &str = r#"{
    "vmm": {"default_action": "trap", "filter_action": "allow", "filter": [{"syscall": "exit_group"}]},
    "vcpu": {"default_action": "trap", "filter_action": "allow", "filter": [
        {"syscall": "ioctl", "comment": "enter the guest",
            "args": [{"index": 1, "type": "dword", "op": "eq", "val": 44672}]}
    ]}
}"#;

const PROFILE: &str = r#"{
    "defaultAction": "SCMP_ACT_ERRNO",
    "archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X32"]}],
    "syscalls": [
        {"names": ["read"], "action": "SCMP_ACT_ALLOW"},
        {"names": ["mount"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_ADMIN"]}},
        {"names": ["socket"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}]}
    ]
}"#;

const VCPU: &str = "role vcpu
tier filter
otherwise trap

ioctl: cmd == KVM_RUN  -- enter the guest
";

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = TempDir::new().expect("a temporary folder");
    for (name, text) in files {
        fs::write(folder.path().join(name), text).expect("the folder takes a file");
    }
    folder
}

fn import(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    run(&mut policy(folder, &[&["import"], arguments].concat()))
}

#[test]
fn a_thread_of_firecracker_becomes_a_policy_that_check_takes() {
    let folder = folder(&[("seccomp.json", THREADS)]);
    let arguments = ["seccomp.json", "--role", "vcpu", "-o", "vcpu.policy"];
    assert_eq!(import(folder.path(), &arguments), (0, String::new(), String::new()));
    assert_eq!(fs::read_to_string(folder.path().join("vcpu.policy")).expect("it was written"), VCPU);
    let (code, output, _) = run(&mut policy(folder.path(), &["check", "vcpu.policy"]));
    assert_eq!(code, 0, "{output}");
}

#[test]
fn all_threads_are_shown_and_one_file_takes_one() {
    let folder = folder(&[("seccomp.json", THREADS)]);
    let (code, output, errors) = import(folder.path(), &["seccomp.json"]);
    assert_eq!((code, errors.as_str()), (0, ""));
    assert!(output.contains("# vmm.policy\nrole vmm\n"), "{output}");
    assert!(output.ends_with(&format!("\n# vcpu.policy\n{VCPU}")), "{output}");
    let (code, output, errors) = import(folder.path(), &["seccomp.json", "-o", "all.policy"]);
    assert_eq!((code, output.as_str()), (1, ""));
    assert!(errors.contains("there are 2: vmm, vcpu; choose one with --role NAME"), "{errors}");
    assert!(!folder.path().join("all.policy").exists());
}

#[test]
fn what_a_policy_cannot_say_is_an_error_or_a_warning() {
    let folder = folder(&[("docker.json", PROFILE)]);
    let (code, output, errors) = import(folder.path(), &["docker.json"]);
    assert_eq!((code, output.as_str()), (1, ""));
    assert!(errors.contains("error: the profile is for SCMP_ARCH_X32 as well"), "{errors}");
    assert!(errors.contains(" --> docker.json:3:"), "{errors}");
    let (code, output, errors) = import(folder.path(), &["docker.json", "--lossy"]);
    assert_eq!(code, 0);
    assert!(errors.contains("warning: the profile is for SCMP_ARCH_X32 as well"), "{errors}");
    assert!(output.contains("socket: family:u64 == AF_UNIX"), "{output}");
}

#[test]
fn the_process_and_the_kernel_choose_the_rules_of_a_profile() {
    let folder = folder(&[("docker.json", PROFILE)]);
    let (_, plain, errors) = import(folder.path(), &["docker.json", "--target", "x86_64"]);
    assert!(!plain.contains("mount:") && errors.is_empty(), "{plain}{errors}");
    let arguments = ["docker.json", "--arch", "x86_64", "--cap", "sys_admin", "--kernel-widths"];
    let (_, admin, errors) = import(folder.path(), &arguments);
    assert!(admin.contains("mount:") && admin.contains("socket: family == AF_UNIX"), "{admin}");
    assert!(errors.contains("1 rule compares more bits than the kernel reads"), "{errors}");
}

#[test]
fn json_has_the_policies_their_rules_and_the_findings() {
    let folder = folder(&[("seccomp.json", THREADS), ("docker.json", PROFILE)]);
    let (code, output, errors) = import(folder.path(), &["seccomp.json", "--json"]);
    assert_eq!((code, errors.as_str()), (0, ""));
    let report: Value = serde_json::from_str(&output).expect("it is JSON");
    assert_eq!(report["format"], "firecracker");
    assert_eq!(report["policies"][1]["rules"][0]["expression"], "cmd == KVM_RUN");
    assert_eq!(report["policies"][1]["text"], VCPU);
    let (code, output, _) = import(folder.path(), &["docker.json", "--json"]);
    assert_eq!(code, 1);
    let report: Value = serde_json::from_str(&output).expect("it is JSON");
    assert_eq!(report["findings"][0]["severity"], "error");
    assert_eq!(report["findings"][0]["line"], 3);
}

#[test]
fn standard_input_is_read_as_what_it_is_said_to_be() {
    let folder = folder(&[]);
    let mut command = policy(folder.path(), &["import", "-", "--format", "minijail", "--role", "block"]);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    child.stdin.take().expect("a pipe").write_all(b"read: 1\n").expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(text.starts_with("role block\n") && text.contains("\nread:"), "{text}");
}

/// The role's name in what is imported: a profile has none, and is named after its file.
fn role(format: &str) -> &str {
    if format == "oci" { "profile" } else { "vcpu" }
}

#[test]
fn what_is_exported_is_imported_as_the_same_policy() {
    let folder = folder(&[("vcpu.policy", VCPU)]);
    for format in ["firecracker", "oci"] {
        let arguments = ["compile", "vcpu.policy", "--format", format, "-o", "profile.json"];
        assert_eq!(run(&mut policy(folder.path(), &arguments)), (0, String::new(), String::new()));
        let (code, output, errors) = import(folder.path(), &["profile.json", "--target", "x86_64"]);
        assert_eq!((code, errors.as_str()), (0, ""));
        assert_eq!(output, VCPU.replace("role vcpu", &format!("role {}", role(format))), "{format}");
    }
}

#[test]
fn what_a_form_cannot_say_is_named() {
    let text = format!("{VCPU}openat: errno ENOENT -- glibc probes\n");
    let folder = folder(&[("vcpu.policy", text.as_str())]);
    let arguments = ["compile", "vcpu.policy", "--format", "firecracker"];
    let (code, output, errors) = run(&mut policy(folder.path(), &arguments));
    assert_eq!((code, output.as_str()), (1, ""));
    assert!(
        errors.contains("vcpu.policy:6: Firecracker's JSON cannot say this rule for `openat`"),
        "{errors}"
    );
}

#[test]
fn every_example_of_the_help_does_what_it_says() {
    let folder = folder(&[
        ("seccomp.json", THREADS),
        ("docker.json", PROFILE),
        ("vcpu.policy", VCPU),
        ("block.policy", "@include /usr/share/common.policy\nioctl: arg1 == TCGETS\n"),
    ]);
    fs::create_dir(folder.path().join("policies")).expect("the folder takes a folder");
    fs::write(folder.path().join("policies/common.policy"), "read: 1\n").expect("it takes a file");
    let program = ["compile", "vcpu.policy", "--format", "raw", "-o", "filter.bpf"];
    assert_eq!(run(&mut policy(folder.path(), &program)).0, 0);
    let (code, help, _) = import(folder.path(), &["--help"]);
    assert_eq!(code, 0);
    let mut tried = 0;
    for example in help.lines().filter_map(|line| line.strip_prefix("  ringfence policy import ")) {
        let (code, output, errors) = import(folder.path(), &example.split(' ').collect::<Vec<_>>());
        assert_eq!(code, 0, "{example}: {output}{errors}");
        tried += 1;
    }
    assert_eq!(tried, 6);
}

#[test]
fn programs_are_written_for_c_and_rust() {
    let folder = folder(&[("vcpu.policy", VCPU)]);
    let compiled =
        |format| run(&mut policy(folder.path(), &["compile", "vcpu.policy", "--format", format])).1;
    assert!(compiled("header").contains("static const struct sock_filter vcpu_filter["));
    assert!(compiled("rust").contains("pub static VCPU_FILTER: [libc::sock_filter;"));
}

#[test]
fn a_policy_names_files_of_its_own_folder_and_of_a_root() {
    let folder = folder(&[]);
    for (name, text) in [
        ("own/r.policy", "role r\ntier filter\notherwise trap\ninclude \"../shared/clock.policy\"\n"),
        ("shared/clock.policy", "gettid: -- logs\n"),
    ] {
        let path = folder.path().join(name);
        fs::create_dir(path.parent().expect("a folder")).expect("the folder takes another");
        fs::write(path, text).expect("the folder takes a file");
    }
    let (code, output, errors) = run(&mut policy(folder.path(), &["check", "own/r.policy"]));
    let message = "cannot read `../shared/clock.policy`: it lies outside of the folders that may be read\n --> own/r.policy:4:9\n";
    assert_eq!(code, 1, "{errors}");
    assert!(output.contains(message) || errors.contains(message), "{output}{errors}");
    let (code, output, errors) =
        run(&mut policy(folder.path(), &["check", "--root", "shared", "own/r.policy"]));
    assert_eq!(code, 0, "{output}{errors}");
}
