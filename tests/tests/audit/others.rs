//! Any other process.

use std::fs;
use std::process::{Command, Stdio};

use ringfence_tests::child;
use serde_json::json;

use super::sleeper::{NO_DEBUGGER, NO_MODULES, Sleeper, compile_for_32_bits, program, sleeper};
use super::{can_see_filters, command, report, said, text, thread};

#[test]
fn a_program_is_held_against_a_policy_that_is_named() {
    if !can_see_filters() {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).expect("the folder takes a file");
        path.to_str().expect("its name is text").to_owned()
    };
    let (same, other) = (path("same.policy", NO_DEBUGGER), path("other.policy", NO_MODULES));
    let sleeper = sleeper("tool", &[program(NO_DEBUGGER)]);
    let pid = sleeper.pid().to_string();
    let seen = report(0, &[&pid, "--expect", &same]);
    assert_eq!(thread(&seen, "tool")["finding"], "equal");
    let seen = report(1, &[&pid, "--expect", &other]);
    let deviations = thread(&seen, "tool")["deviations"].to_string();
    assert!(deviations.contains("init_module"), "{deviations}");
    let seen = report(0, &[&pid, "--expect", &format!("too*={same}")]);
    assert_eq!(thread(&seen, "tool")["finding"], "equal");
    let seen = report(1, &[&pid, "--expect", &format!("server={same}")]);
    let deviations = thread(&seen, "tool")["deviations"].to_string();
    assert!(deviations.contains("no policy was given for a thread of this name"), "{deviations}");
}

#[test]
fn stacked_filters_are_shown_as_what_they_allow_together() {
    if !can_see_filters() {
        return;
    }
    let sleeper = sleeper("tool", &[program(NO_DEBUGGER), program(NO_MODULES)]);
    let pid = sleeper.pid().to_string();
    let report = report(0, &[&pid]);
    let seen = thread(&report, "tool");
    assert_eq!(seen["filters"].as_array().map(Vec::len), Some(2), "{seen:#}");
    assert_eq!([&seen["seccomp"], &seen["no_new_privs"]], [&json!("filter"), &json!(true)]);
    let (code, said) = said(&[&pid, "--filters"]);
    assert_eq!(code, 0, "{said}");
    for call in ["ptrace", "init_module"] {
        assert!(said.lines().any(|line| line.starts_with(call) && line.contains("EPERM")), "{call}: {said}");
    }
}

#[test]
fn what_is_no_process_or_held_by_nothing_is_said() {
    let (code, said_of_none) = said(&["999999999"]);
    assert_eq!(
        (code, said_of_none.as_str()),
        (2, "ringfence: there is no process 999999999; `ps -e` lists those there are\n")
    );
    let free = sleeper("free", &[]);
    let report = report(0, &[&free.pid().to_string()]);
    let seen = thread(&report, "free");
    assert_eq!([&seen["seccomp"], &seen["finding"]], [&json!("off"), &json!("nothing expected")]);
    assert_eq!(seen["stopped_us"], json!(null), "it need not stand still");
}

#[test]
fn whoever_may_not_see_filters_hears_why_and_sees_the_rest() {
    let sleeper = sleeper("tool", &[program(NO_DEBUGGER)]);
    let pid = sleeper.pid().to_string();
    // Who is under a filter himself is shown no other's.
    let mut audit = command(&[&pid]);
    child::confine(&mut audit, vec![program(NO_MODULES)]);
    let output = audit.output().expect("the binary can be started");
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("not seen") && said.contains("run as root outside of it"), "{said}");
}

#[test]
fn a_kernel_that_shows_no_filters_is_said_to_be_one() {
    if !can_see_filters() {
        return;
    }
    let sleeper = sleeper("tool", &[program(NO_DEBUGGER)]);
    // As a kernel without CONFIG_CHECKPOINT_RESTORE answers PTRACE_SECCOMP_GET_FILTER (ptrace(2)).
    let without = "role tool\ntier filter\notherwise allow\nptrace: errno EIO if request == 0x420c -- as a kernel without it\n";
    let mut audit = command(&[&sleeper.pid().to_string()]);
    child::confine(&mut audit, vec![program(without)]);
    let said = text(&audit.output().expect("the binary can be started").stdout);
    assert!(said.contains("built without CONFIG_CHECKPOINT_RESTORE"), "{said}");
}

/// Allows three 32-bit calls and nothing else: `pause` (29), `restart_syscall` (0) and `exit` (1).
const OF_32_BITS: &str = "
struct instruction { unsigned short code; unsigned char jt, jf; unsigned k; };
static struct instruction program[] = {
    { 0x20, 0, 0, 4 },          /* the architecture */
    { 0x15, 0, 4, 0x40000003 },
    { 0x20, 0, 0, 0 },          /* the number */
    { 0x15, 3, 0, 29 },
    { 0x15, 2, 0, 0 },
    { 0x15, 1, 0, 1 },
    { 0x06, 0, 0, 0x80000000 },
    { 0x06, 0, 0, 0x7fff0000 },
};
static struct { unsigned short length; struct instruction *program; } installed = { 8, program };

static int call(int number, int a, int b, void *c) {
    int result;
    __asm__ volatile(\"int $0x80\" : \"=a\"(result) : \"a\"(number), \"b\"(a), \"c\"(b), \"d\"(c) : \"memory\");
    return result;
}

void _start(void) {
    call(172 /* prctl */, 38 /* PR_SET_NO_NEW_PRIVS */, 1, 0);
    call(354 /* seccomp */, 1 /* SECCOMP_SET_MODE_FILTER */, 0, &installed);
    for (;;)
        call(29, 0, 0, 0);
}
";

#[test]
fn calls_of_a_32_bit_program_are_counted_by_its_own_numbers() {
    if !can_see_filters() {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let program = folder.path().join("narrow");
    compile_for_32_bits(&program, OF_32_BITS);
    let Ok(child) = Command::new(&program).stdin(Stdio::null()).spawn() else {
        eprintln!("skipped: this kernel runs no 32-bit programs");
        return;
    };
    let narrow = Sleeper(child);
    ringfence_tests::wait::until("it sleeps under its filter", || {
        ringfence_tests::procfs::find(narrow.pid(), "narrow").filter(|thread| thread.seccomp_filters == 1)
    });
    let report = report(0, &[&narrow.pid().to_string()]);
    assert_eq!(report["is_32_bit"], true);
    let allowed = &thread(&report, "narrow")["calls_allowed"];
    assert_eq!(*allowed, json!({ "whatever_the_arguments": 3, "by_arguments": 0, "of_32_bits": 3 }));
    let (code, said) = said(&[&narrow.pid().to_string(), "--filters"]);
    assert_eq!(code, 0);
    assert!(said.contains("a 32-bit program, whose own calls are counted"), "{said}");
}

#[test]
fn a_filter_that_leaves_32_bit_calls_to_a_64_bit_program_is_pointed_out() {
    if !can_see_filters() {
        return;
    }
    // Looks at no architecture: `ptrace` is 101 there, and `ioperm` here.
    let load = seccomp_policies::bpf::Instruction { code: 0x20, jt: 0, jf: 0, k: 0 };
    let decide = |code, jf, k| seccomp_policies::bpf::Instruction { code, jt: 0, jf, k };
    let program = vec![load, decide(0x15, 1, 101), decide(6, 0, 0x5_0001), decide(6, 0, 0x7fff_0000)];
    let open = sleeper("open", &[program]);
    let (code, said) = said(&[&open.pid().to_string()]);
    assert_eq!(code, 0);
    assert!(said.lines().any(|line| line == "open: 32-bit calls (int 0x80) are let through, too"), "{said}");
}
