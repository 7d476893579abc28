//! `ringfence policy check` and `compile` of policies of other programs, as their user has them.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use ringfence::role::policies::ALL;
use ringfence_tests::policy::{policy, run};
use seccomp_policies::bpf::Instruction;
use seccomp_policies::embed::Embedded;
use seccomp_policies::language::Tier;
use seccomp_policies::prove::Decisions;
use serde_json::Value;
use tempfile::TempDir;

const THREADS: &str = r#"{
    "vmm": {"default_action": "trap", "filter_action": "allow", "filter": [{"syscall": "exit_group"}]},
    "vcpu": {"default_action": "trap", "filter_action": "allow", "filter": [
        {"syscall": "ioctl", "comment": "enter the guest",
            "args": [{"index": 1, "type": "dword", "op": "eq", "val": 44672}]},
        {"syscall": "exit_group", "args": [{"index": 9, "type": "dword", "op": "eq", "val": 1}]}
    ]}
}"#;

/// What the thread `vcpu` of [`threads`] is in the language.
const VCPU: &str = "role vcpu\ntier filter\notherwise trap\n\nioctl: cmd == KVM_RUN  -- enter the guest\n";

const PROFILE: &str = r#"{
    "defaultAction": "SCMP_ACT_ERRNO",
    "archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X32"]}],
    "syscalls": [{"names": ["read", "socket"], "action": "SCMP_ACT_ALLOW"}]
}"#;

/// A number that no call has gets an answer of its own, which no rule can say.
const ODD: &str = "\
0x20 0 0 4
0x15 1 0 0xc000003e
0x06 0 0 0x80000000
0x20 0 0 0
0x15 0 1 9999
0x06 0 0 0x00050005
0x06 0 0 0x7fff0000
";

/// A program that lets every entry's calls through but `mount`, whatever it is to them.
const OPEN: &str = "0x20 0 0 0\n0x15 0 1 165\n0x06 0 0 0x80000000\n0x06 0 0 0x7fff0000\n";

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = TempDir::new().expect("a temporary folder");
    for (name, text) in files {
        fs::write(folder.path().join(name), text).expect("the folder takes a file");
    }
    folder
}

/// Firecracker's form, with two threads that hold.
fn threads() -> String {
    let good = THREADS.lines().filter(|line| !line.contains("\"index\": 9")).collect::<Vec<_>>().join("\n");
    good.replace("44672}]},", "44672}]}")
}

fn asked(folder: &TempDir, arguments: &[&str]) -> (i32, String, String) {
    run(&mut policy(folder.path(), arguments))
}

/// The command with this on its standard input.
fn fed(folder: &TempDir, arguments: &[&str], input: &[u8]) -> (i32, String, String) {
    let mut command: Command = policy(folder.path(), arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary starts");
    child.stdin.take().expect("a pipe").write_all(input).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    let text = |bytes| String::from_utf8(bytes).expect("it writes UTF-8");
    (output.status.code().expect("it ends by itself"), text(output.stdout), text(output.stderr))
}

fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../seccomp-policies/policies").join(name)
}

/// What the program of a file decides.
fn decisions(path: &Path) -> Decisions {
    let word = |bytes: &[u8]| Instruction {
        code: u16::from_ne_bytes([bytes[0], bytes[1]]),
        jt: bytes[2],
        jf: bytes[3],
        k: u32::from_ne_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]),
    };
    let program: Vec<_> = fs::read(path).expect("it was written").chunks_exact(8).map(word).collect();
    Decisions::of_program(&program).expect("it is a program")
}

#[test]
fn check_has_a_line_for_each_policy_of_a_file() {
    let folder = folder(&[("seccomp.json", threads().as_str())]);
    let (code, output, errors) = asked(&folder, &["check", "seccomp.json"]);
    assert_eq!((code, errors.as_str()), (0, ""));
    assert_eq!(
        output,
        "seccomp.json: role vmm, tier filter, 1 rule for 1 call, 7 instructions, 7 as a bitmask\n\
         seccomp.json: role vcpu, tier filter, 1 rule for 1 call, 9 instructions, 7 as a bitmask\n"
    );
    assert_eq!(asked(&folder, &["check", "seccomp.json", "--role", "vcpu"]).1.lines().count(), 1);
}

#[test]
fn check_gives_programs_an_object_for_each_policy_and_the_findings_of_a_file_once() {
    let folder = folder(&[("seccomp.json", threads().as_str()), ("bad.json", THREADS), ("p.json", PROFILE)]);
    let arguments = ["check", "--json", "--lossy", "seccomp.json", "bad.json", "p.json"];
    let (code, output, errors) = asked(&folder, &arguments);
    assert_eq!((code, errors.as_str()), (1, ""));
    let report: Value = serde_json::from_str(&output).expect("it is JSON");
    let reports = &report["policies"];
    assert_eq!(reports.as_array().expect("an array").len(), 4, "{output}");
    assert_eq!((&reports[0]["role"], &reports[1]["role"]), (&"vmm".into(), &"vcpu".into()));
    assert_eq!((&reports[1]["format"], &reports[1]["holds"]), (&"firecracker".into(), &true.into()));
    let (refused, lossy) = (&reports[2], &reports[3]);
    assert_eq!((&refused["holds"], &refused["format"]), (&false.into(), &Value::Null));
    assert_eq!(
        (&refused["findings"][0]["severity"], &refused["findings"][0]["line"]),
        (&"error".into(), &6.into())
    );
    assert_eq!((&lossy["holds"], &lossy["findings"][0]["severity"]), (&true.into(), &"warning".into()));
}

#[test]
fn what_a_policy_cannot_say_is_an_error_of_check_and_compile_or_a_named_loss() {
    let folder = folder(&[("docker.json", PROFILE)]);
    for command in ["check", "compile"] {
        let (code, output, errors) = asked(&folder, &[command, "docker.json"]);
        assert_eq!((code, output.as_str()), (1, ""), "{command}");
        assert!(errors.contains("error: the profile is for SCMP_ARCH_X32 as well"), "{command}: {errors}");
        let (code, output, errors) = asked(&folder, &[command, "docker.json", "--lossy"]);
        assert_eq!(code, 0, "{command}: {errors}");
        assert!(output.contains("role docker"), "{command}: {output}");
        assert!(errors.contains("warning: the profile is for SCMP_ARCH_X32 as well"), "{command}: {errors}");
        assert_eq!(asked(&folder, &[command, "docker.json", "--target", "x86_64"]).0, 0, "{command}");
    }
}

#[test]
fn compile_takes_one_policy_of_a_file_and_lists_their_names() {
    let folder = folder(&[("seccomp.json", threads().as_str()), ("vcpu.policy", VCPU)]);
    let (code, output, errors) = asked(&folder, &["compile", "seccomp.json"]);
    assert_eq!((code, output.as_str()), (1, ""));
    let expected = "seccomp.json has policies of several threads: vmm, vcpu; choose one with --role NAME";
    assert!(errors.contains(expected), "{errors}");
    let imported = asked(&folder, &["compile", "seccomp.json", "--role", "vcpu"]);
    assert_eq!(imported, asked(&folder, &["compile", "vcpu.policy"]));
}

#[test]
fn a_program_is_compiled_again_to_a_shorter_one_that_decides_the_same() {
    let folder = folder(&[]);
    for Embedded { role, .. } in ALL.iter().filter(|policy| policy.tier() == Tier::Filter) {
        let source = shipped(&format!("{role}.policy"));
        let source = source.to_str().expect("UTF-8");
        let old = ["compile", source, "--backend", "reference", "--format", "bytes", "-o", "old.bpf"];
        assert_eq!(asked(&folder, &old).0, 0, "{role}");
        let again = ["compile", "old.bpf", "--format", "bytes", "-o", "new.bpf"];
        assert_eq!(asked(&folder, &again), (0, String::new(), String::new()), "{role}");
        let [old, new] = ["old.bpf", "new.bpf"].map(|name| folder.path().join(name));
        assert_eq!(decisions(&new), decisions(&old), "{role}");
        let bytes = |path| fs::metadata(path).expect("it was written").len();
        assert!(bytes(&new) < bytes(&old), "{role}");
    }
}

#[test]
fn a_program_that_is_no_policy_is_not_compiled_but_has_a_table() {
    let folder = folder(&[("odd.bpf", ODD)]);
    let (code, output, errors) = asked(&folder, &["compile", "odd.bpf"]);
    assert_eq!((code, output.as_str()), (1, ""));
    assert!(errors.contains("number 9999 gets `errno 5`"), "{errors}");
    assert!(errors.contains("a decision table says what the program does"), "{errors}");
    let (code, output, errors) = asked(&folder, &["import", "odd.bpf", "--as", "table"]);
    assert_eq!((code, errors.as_str()), (0, ""));
    assert!(output.contains("x86_64     9999                     errno 5\n"), "{output}");
    let (code, output, _) =
        asked(&folder, &["import", "odd.bpf", "--as", "table", "--json", "-o", "odd.json"]);
    assert_eq!((code, output.as_str()), (0, ""));
    let table = fs::read_to_string(folder.path().join("odd.json")).expect("it was written");
    let table: Value = serde_json::from_str(&table).expect("it is JSON");
    assert_eq!((&table["schema"], &table["complete"]), (&1.into(), &true.into()));
}

#[test]
fn a_table_that_does_not_say_all_says_so() {
    // It looks at the instruction pointer.
    let text = "0x20 0 0 8\n0x15 0 1 5\n0x06 0 0 0x7fff0000\n0x06 0 0 0x80000000\n";
    let folder = folder(&[("pointer.bpf", text)]);
    let (code, _, errors) = asked(&folder, &["import", "pointer.bpf", "--as", "table"]);
    assert_eq!(code, 0);
    assert!(errors.contains("the table does not say all"), "{errors}");
    let (code, _, errors) = asked(&folder, &["import", "pointer.bpf", "--as", "table", "--from", "oci"]);
    assert_eq!(code, 1);
    assert!(errors.contains("--from says that the file is oci"), "{errors}");
}

#[test]
fn a_program_that_other_entries_pass_is_compiled_for_one_that_is_asked_for_by_name() {
    let folder = folder(&[("open.bpf", OPEN)]);
    let (code, output, errors) = asked(&folder, &["compile", "open.bpf"]);
    assert_eq!((code, output.as_str()), (1, ""));
    assert!(errors.contains("calls by the entry of architecture 0x40000003 can get `allow`"), "{errors}");
    let (code, output, errors) = asked(&folder, &["compile", "open.bpf", "--target", "x86_64"]);
    assert_eq!(code, 0, "{errors}");
    assert!(output.contains("mount") && errors.contains("note: calls by the entry"), "{output}{errors}");
}

#[test]
fn options_of_minijail_are_options_of_every_command() {
    let constants = r#"{"constants": {"KEY": 7}, "syscall_groups": {}}"#;
    let text = "read: arg0 == KEY; return 1\n";
    let folder = folder(&[("block.policy", text), ("constants.json", constants)]);
    let answers = |dialect| {
        let call =
            ["explain", "block.policy", "read(7)", "--constants", "constants.json", "--dialect", dialect];
        asked(&folder, &call).1
    };
    let [compiler, library] = ["compiler", "library"].map(answers);
    assert!(compiler.contains("refused (errno EPERM)") && library.contains("allowed"), "{compiler}{library}");
    let (code, _, errors) = asked(&folder, &["check", "block.policy", "--dialect", "compiler"]);
    assert_eq!(code, 1);
    assert!(errors.contains("KEY"), "{errors}");
    let (code, _, errors) = asked(&folder, &["compile", "block.policy", "--constants", "constants.json"]);
    assert_eq!(code, 1);
    assert!(errors.contains("read this in opposite ways"), "{errors}");
    let both = ["--constants", "constants.json", "--dialect", "compiler"];
    for command in ["check", "compile", "import", "stats", "lint"] {
        let (_, output, errors) = asked(&folder, &[&[command, "block.policy"], &both[..]].concat());
        assert!(!errors.contains("error"), "{command}: {output}{errors}");
    }
}

#[test]
fn a_file_without_a_word_is_no_policy_of_anybody() {
    let folder = folder(&[("empty", ""), ("comments.policy", "# read: 1\n\n")]);
    for name in ["empty", "comments.policy"] {
        for command in ["check", "compile", "import", "stats"] {
            let (code, output, errors) = asked(&folder, &[command, name]);
            assert_eq!(
                (code, output.as_str()),
                (if command == "stats" { 2 } else { 1 }, ""),
                "{command} {name}"
            );
            assert!(errors.contains(&format!("there is no policy in {name}")), "{errors}");
        }
    }
}

#[test]
fn a_pipe_with_a_name_is_read_as_a_file_is() {
    let folder = folder(&[("vcpu.policy", VCPU)]);
    let expected = "/dev/stdin: role vcpu, tier filter, 1 rule for 1 call, 9 instructions, 7 as a bitmask\n";
    let (code, output, errors) = fed(&folder, &["check", "/dev/stdin"], VCPU.as_bytes());
    assert_eq!((code, output.as_str()), (0, expected), "{errors}");
}

#[test]
fn counts_that_standard_input_cannot_name_are_said_to_be_left_out() {
    let folder = folder(&[]);
    let text = VCPU.replace("\n\n", "\nfrequency \"vcpu.profile\"\n\n");
    for command in ["check", "compile"] {
        let (code, _, errors) = fed(&folder, &[command, "-"], text.as_bytes());
        assert_eq!(code, 0, "{errors}");
        assert!(errors.contains("warning: the counts of vcpu.profile are left out"), "{command}: {errors}");
    }
}

#[test]
fn every_command_reads_standard_input_once() {
    let folder = folder(&[("vcpu.policy", VCPU)]);
    let expected =
        "standard input: role vcpu, tier filter, 1 rule for 1 call, 9 instructions, 7 as a bitmask\n";
    let (code, output, errors) = fed(&folder, &["check", "-"], VCPU.as_bytes());
    assert_eq!((code, output.as_str()), (0, expected), "{errors}");
    assert_eq!(fed(&folder, &["compile", "-"], VCPU.as_bytes()), asked(&folder, &["compile", "vcpu.policy"]));
    assert_eq!(fed(&folder, &["explain", "-", "ioctl(3, KVM_RUN)"], VCPU.as_bytes()).0, 0);
    assert_eq!(fed(&folder, &["diff", "vcpu.policy", "-"], VCPU.as_bytes()).0, 0);
    let (code, output, errors) = fed(&folder, &["diff", "-", "-"], VCPU.as_bytes());
    assert_eq!((code, output.as_str()), (2, ""));
    assert!(errors.contains("it can be read once"), "{errors}");
}
