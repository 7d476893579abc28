//! `policy exec`

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use ringfence_tests::policy::{policy, run};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use super::folder;

/// `mov eax, NUMBER; syscall`
const fn call(number: u8) -> [u8; 7] {
    [0xb8, number, 0, 0, 0, 0x0f, 0x05]
}

/// `mov edi, VALUE`, the first argument.
const fn first(value: u8) -> [u8; 5] {
    [0xbf, value, 0, 0, 0]
}

/// `mov edx, VALUE`, the third argument.
const fn third(value: u8) -> [u8; 5] {
    [0xba, value, 0, 0, 0]
}

/// `mov edi, eax; neg edi`: the error of the last call as the first argument.
const ERROR_AS_FIRST: [u8; 4] = [0x89, 0xc7, 0xf7, 0xdf];

const GETPID: u8 = 39;
const EXECVE: u8 = 59;
const EXIT_GROUP: u8 = 231;
const WRITE: u8 = 1;

/// A static program of this code: an ELF header, one program header, and nothing else. elf(5)
fn program(folder: &TempDir, code: &[&[u8]]) {
    const START: u64 = 0x40_0000;
    const HEADERS: u16 = 64 + 56;
    let code = code.concat();
    let length = u64::from(HEADERS) + code.len() as u64;
    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    let half =
        |file: &mut Vec<u8>, values: &[u16]| values.iter().for_each(|it| file.extend(it.to_le_bytes()));
    let word =
        |file: &mut Vec<u8>, values: &[u32]| values.iter().for_each(|it| file.extend(it.to_le_bytes()));
    let long =
        |file: &mut Vec<u8>, values: &[u64]| values.iter().for_each(|it| file.extend(it.to_le_bytes()));
    half(&mut file, &[2, 62]);
    word(&mut file, &[1]);
    long(&mut file, &[START + u64::from(HEADERS), 64, 0]);
    word(&mut file, &[0]);
    half(&mut file, &[64, 56, 1, 0, 0, 0]);
    word(&mut file, &[1, 5]);
    long(&mut file, &[0, START, START, length, length, 0x1000]);
    file.extend(code);
    let path = folder.path().join("tiny");
    fs::write(&path, file).expect("the folder takes a file");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("permissions");
}

fn exec(folder: &TempDir, arguments: &[&str]) -> (i32, String, String) {
    run(&mut policy(folder.path(), &[&["exec"], arguments].concat()))
}

fn with_rules(otherwise: &str, rules: &str) -> TempDir {
    let text = format!("role tiny\ntier filter\notherwise {otherwise}\n{rules}");
    let folder = folder(&[("tiny.policy", &text)]);
    program(&folder, &[&call(GETPID), &first(7), &call(EXIT_GROUP)]);
    folder
}

const TINY: [&str; 3] = ["tiny.policy", "--", "./tiny"];
const END: &str = "exit_group:  -- end\n";

#[test]
fn a_program_whose_calls_are_allowed_ends_as_it_will() {
    let folder = with_rules("trap", &format!("getpid:  -- who\n{END}"));
    assert_eq!(exec(&folder, &TINY), (7, String::new(), String::new()));
}

#[test]
fn the_first_refused_call_ends_the_program_and_is_reported_as_run_does() {
    let folder = with_rules("trap", END);
    let (code, _, errors) = exec(&folder, &TINY);
    assert_eq!(code, 148);
    let (thread, said) = errors.split_once(" (tiny)").expect("the thread, then the role");
    assert!(thread.starts_with("ringfence: tiny["), "{errors}");
    assert_eq!(said, " was refused getpid(): no rule allows getpid for role tiny\n");
}

#[test]
fn the_report_names_the_nearest_rule_and_what_in_it_fails() {
    let folder = with_rules("kill", &format!("write: fd == 1 && count == 8  -- ring\n{END}"));
    program(&folder, &[&first(5), &third(8), &call(WRITE), &call(EXIT_GROUP)]);
    let (code, _, errors) = exec(&folder, &["tiny.policy", "--report", "report.json", "--", "./tiny"]);
    assert_eq!(code, 148);
    assert!(
        errors.ends_with(
            "nearest rule: write: fd == 1 && count == 8 -- ring\n  at tiny.policy:4; here fd is 5, not 1\n"
        ),
        "{errors}"
    );
    let report = fs::read_to_string(folder.path().join("report.json")).expect("the report is there");
    let report: Value = serde_json::from_str(&report).expect("it is JSON");
    assert_eq!(
        (&report["schema"], &report["exit_code"], &report["refused"]),
        (&1.into(), &148.into(), &1.into())
    );
    assert_eq!(report["violation"]["call"]["arguments"][0], 5);
    assert_eq!(report["violation"]["nearest_rule"]["failed"], "fd is 5, not 1");
}

#[test]
fn the_execve_that_starts_the_program_is_let_through_once_and_no_other() {
    for (otherwise, rule) in [("trap", ""), ("errno EPERM", "execve: kill  -- never\n")] {
        let folder = with_rules(otherwise, &format!("{rule}{END}"));
        program(&folder, &[&call(EXECVE), &call(EXIT_GROUP)]);
        let (code, _, errors) = exec(&folder, &TINY);
        assert_eq!(code, 148, "{otherwise}: {errors}");
        assert!(errors.contains("was refused execve("), "{errors}");
    }
}

#[test]
fn an_error_that_the_policy_answers_with_is_the_programs_to_handle() {
    for (otherwise, rule, expected) in
        [("errno EACCES", "", 13), ("trap", "execve: errno ENOENT  -- nothing to start\n", 2)]
    {
        let folder = with_rules(otherwise, &format!("{rule}{END}"));
        program(&folder, &[&call(EXECVE), &ERROR_AS_FIRST, &call(EXIT_GROUP)]);
        assert_eq!(exec(&folder, &TINY), (expected, String::new(), String::new()), "{otherwise}");
    }
}

#[test]
fn refused_calls_fail_with_the_error_that_is_asked_for_and_the_first_is_reported() {
    let folder = with_rules("trap", END);
    program(&folder, &[&call(GETPID), &call(GETPID), &ERROR_AS_FIRST, &call(EXIT_GROUP)]);
    let (code, _, errors) = exec(&folder, &["tiny.policy", "--errno", "EMFILE", "--", "./tiny"]);
    assert_eq!(code, 24, "{errors}");
    assert_eq!(errors.matches("was refused getpid()").count(), 1, "{errors}");
    assert!(errors.ends_with("ringfence: 2 calls were refused\n"), "{errors}");
}

#[test]
fn with_log_refused_calls_are_carried_out_and_each_kind_is_reported_once() {
    let folder = with_rules("trap", "brk:  -- memory\n");
    program(&folder, &[&call(GETPID), &call(GETPID), &first(9), &call(EXIT_GROUP)]);
    let (code, _, errors) = exec(&folder, &["tiny.policy", "--log", "--", "./tiny"]);
    assert_eq!(code, 9, "{errors}");
    assert_eq!(errors.matches("would be refused getpid()").count(), 1, "{errors}");
    assert_eq!(errors.matches("would be refused exit_group(9)").count(), 1, "{errors}");
}

#[test]
fn a_call_of_another_architecture_is_reported_too() {
    let folder = with_rules("errno EPERM", END);
    // `mov eax, 20; int 0x80`: getpid of the 32-bit interface.
    program(&folder, &[&[0xb8, 20, 0, 0, 0, 0xcd, 0x80], &call(EXIT_GROUP)]);
    let (code, _, errors) = exec(&folder, &TINY);
    assert_eq!(code, 148, "{errors}");
    assert!(errors.contains("of another architecture (0x40000003)"), "{errors}");
}

#[test]
fn several_policies_allow_what_one_of_them_allows() {
    let folder = with_rules("trap", "getpid:  -- who\n");
    fs::write(folder.path().join("end.policy"), format!("role end\ntier filter\notherwise trap\n{END}"))
        .expect("the folder takes a file");
    assert_eq!(exec(&folder, &["tiny.policy", "end.policy", "--", "./tiny"]).0, 7);
    assert_eq!(exec(&folder, &["end.policy", "--", "./tiny"]).0, 148);
}

/// Everything but `uname`.
fn without_uname() -> TempDir {
    folder(&[("open.policy", "role open\ntier filter\notherwise allow\nuname: trap  -- no\n")])
}

#[test]
fn a_process_that_the_program_starts_is_watched_too() {
    let folder = without_uname();
    let (code, output, errors) =
        exec(&folder, &["open.policy", "--", "sh", "-c", "echo before; uname; echo after"]);
    assert_eq!((code, output.as_str()), (148, "before\n"));
    assert!(errors.starts_with("ringfence: uname["), "{errors}");
}

/// What the next test runs.
#[test]
#[ignore = "a program for another test"]
fn asks_in_a_thread() {
    let asking = std::thread::Builder::new().name("asker".to_owned()).spawn(rustix::system::uname);
    asking.expect("a thread starts").join().expect("it ends");
}

#[test]
fn the_report_names_the_thread_that_asked() {
    let folder = without_uname();
    let this = std::env::current_exe().expect("a process knows its own file");
    let this = this.to_str().expect("it is text");
    let (code, _, errors) =
        exec(&folder, &["open.policy", "--", this, "--ignored", "--exact", "exec::asks_in_a_thread"]);
    assert_eq!(code, 148, "{errors}");
    assert!(errors.starts_with("ringfence: asker["), "{errors}");
}

#[test]
fn signals_are_passed_on_and_the_end_by_one_is_told_as_shells_tell_it() {
    let folder = without_uname();
    let script = "trap 'echo got it; exit 5' TERM; echo ready; while :; do sleep 0.05; done";
    let mut command = policy(folder.path(), &["exec", "open.policy", "--", "sh", "-c", script]);
    let mut child = command.stdout(Stdio::piped()).spawn().expect("the binary starts");
    let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    let mut line = || lines.next().expect("there is a line").expect("a pipe can be read");
    assert_eq!(line(), "ready");
    kill_process(Pid::from_child(&child), Signal::TERM).expect("it is there");
    assert_eq!(line(), "got it");
    assert_eq!(child.wait().expect("it ends").code(), Some(5));
    assert_eq!(exec(&folder, &["open.policy", "--", "sh", "-c", "kill -TERM $$"]).0, 143);
}

#[test]
fn a_command_that_cannot_be_run_has_the_exit_codes_of_a_shell() {
    let folder = with_rules("trap", "brk:  -- memory\n");
    fs::write(folder.path().join("plain"), "words").expect("the folder takes a file");
    fs::copy(folder.path().join("plain"), folder.path().join("words")).expect("the folder takes a file");
    fs::set_permissions(folder.path().join("words"), fs::Permissions::from_mode(0o755)).expect("permissions");
    for (name, code, part) in [
        ("./none", 127, "there is no such program"),
        ("none-of-that-name", 127, "there is no such program"),
        ("./plain", 126, "cannot be executed"),
        ("./words", 126, "Exec format error"),
        (".", 127, "there is no such program"),
        ("./", 126, "cannot be executed"),
    ] {
        let (status, _, errors) = exec(&folder, &["tiny.policy", "--", name]);
        assert_eq!(status, code, "{name}: {errors}");
        assert!(errors.contains(part), "{errors}");
    }
    assert_eq!(exec(&folder, &["tiny.policy", "./tiny"]).0, 2, "the command stands behind --");
}

#[test]
fn the_program_has_no_descriptor_beyond_those_that_it_was_given() {
    let folder = without_uname();
    let (code, output, _) = exec(&folder, &["open.policy", "--", "ls", "/proc/self/fd"]);
    let (_, expected, _) = run(Command::new("ls").arg("/proc/self/fd").stdin(Stdio::null()));
    assert_eq!((code, output), (0, expected));
}

#[test]
fn path_is_searched_as_a_shell_does() {
    let folder = without_uname();
    let mut command = policy(folder.path(), &["exec", "open.policy", "--", "tiny"]);
    program(&folder, &[&first(3), &call(EXIT_GROUP)]);
    let path = std::env::join_paths([Path::new("/none"), folder.path()]).expect("a path");
    assert_eq!(run(command.env("PATH", path)).0, 3);
}
