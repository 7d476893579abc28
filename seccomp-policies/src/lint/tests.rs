//! Policies and what is found in them.

use super::*;
use crate::language;
use crate::syscalls::Arch;

fn linted(text: &str, used: Option<&Used>, silent: &[Lint]) -> Findings {
    let text = if text.starts_with("role") {
        text.to_owned()
    } else {
        format!("role r\ntier filter\notherwise trap\n{text}")
    };
    let checked = language::check_sources("r.policy", &[("r.policy", &text)], Arch::X86_64);
    let checked = checked.unwrap_or_else(|errors| panic!("{errors}"));
    lint(&checked.policy, checked.notes.sources(), used, silent)
}

/// The lints that a policy's rules give.
fn names(rules: &str) -> Vec<&'static str> {
    linted(rules, None, &[]).lints.into_iter().map(Lint::name).collect()
}

#[test]
fn a_finding_underlines_the_rule_and_says_what_to_write() {
    insta::assert_snapshot!(linted("ioctl: fd == 3 -- enter the guest\nptrace: -- debug\n", None, &[]).diagnostics, @r#"
    warning: `ioctl` leaves `cmd` open, which selects what it does [unpinned-argument]
     --> r.policy:4:1
      |
    4 | ioctl: fd == 3 -- enter the guest
      | ^^^^^^^^^^^^^^ any of them
      |
      = help: every driver has requests of its own; TIOCSTI types into the terminal; allow the values that are needed: `cmd in {...}`

    warning: `ptrace` is allowed: it controls other processes, and thereby makes any call in their name [dangerous-call]
     --> r.policy:5:1
      |
    5 | ptrace: -- debug
      | ^^^^^^^ allowed here
      |
      = help: allow what is needed of it, by tests of `request`
    "#);
}

#[test]
fn what_a_rule_excludes_is_not_found() {
    for (rule, lint) in [
        ("mmap: (prot & PROT_EXEC) == 0 && fd == 3 -- data", None),
        ("mmap: prot in ~PROT_READ|PROT_WRITE && fd == 3 -- data", None),
        ("mmap: (prot & PROT_WRITE) == 0 && fd == 3 -- code", Some("executable-memory")),
        ("clone: clone_flags == CLONE_VM|CLONE_FILES -- threads", None),
        ("clone: (clone_flags & CLONE_VM) != 0 -- threads", Some("new-namespace")),
        ("clone: (clone_flags & 0x7e020000) == 0 -- threads", None),
        ("unshare: unshare_flags == CLONE_FILES -- a table of its own", None),
        ("unshare: -- whatever", Some("dangerous-call")),
        ("clone3: -- threads", Some("new-namespace")),
        ("clone3: errno ENOSYS -- take clone\nexit: -- end", None),
        ("getpid: errno ENOSYS -- no\nexit: -- end", Some("hidden-failure")),
        ("getpid: errno EAGAIN -- no\nexit: -- end", Some("hidden-failure")),
        ("getpid: kill_thread -- no\nexit: -- end", Some("hidden-failure")),
        ("read: fd == 3 -- input", None),
        ("read: count == 8 -- input", Some("open-descriptor")),
        ("socket: family == AF_UNIX -- log", None),
        ("socket: type == SOCK_STREAM -- log", Some("unpinned-argument")),
    ] {
        assert_eq!(names(rule), lint.into_iter().collect::<Vec<_>>(), "{rule}");
    }
}

#[test]
fn a_wait_that_the_kernel_continues_needs_a_rule_for_it() {
    for (rule, is_found) in [
        ("nanosleep: -- sleep", true),
        ("nanosleep: -- sleep\nrestart_syscall: -- goes on", false),
        ("clock_nanosleep: flags == TIMER_ABSTIME -- until", false),
        ("clock_nanosleep: flags == 0 -- for", true),
        ("poll: timeout_msecs == 0 -- look", false),
        ("futex: op == FUTEX_WAIT_PRIVATE && utime == 0 -- lock", false),
        ("futex: op == FUTEX_WAIT_PRIVATE -- lock", true),
        ("futex: op == FUTEX_WAKE_PRIVATE -- unlock", false),
    ] {
        assert_eq!(names(rule).contains(&"missing-restart"), is_found, "{rule}");
    }
}

#[test]
fn an_earlier_rule_that_refuses_the_danger_is_taken_into_account() {
    assert_eq!(
        names(
            "mprotect: errno EPERM if (prot & PROT_EXEC) != 0 -- no code\nmprotect: prot != 7 -- the rest\n"
        ),
        [""; 0]
    );
}

#[test]
fn a_policy_that_allows_what_it_does_not_name_is_told_which_dangerous_calls_that_are() {
    let text = "role r\ntier filter\notherwise allow\nptrace: errno EPERM -- no\n";
    let found = linted(text, None, &[]).diagnostics.to_string();
    assert!(
        found.contains("warning: a call that no rule names is allowed [hidden-failure]\n --> r.policy:3:1\n"),
        "{found}"
    );
    assert!(
        found.contains("`kexec_load` is allowed: it replaces the kernel") && !found.contains("`ptrace` is"),
        "{found}"
    );
}

#[test]
fn a_rule_for_a_call_that_no_profile_has_is_unused() {
    let used = Used { calls: ["read".to_owned()].into() };
    let found = linted("read: fd == 3 -- input\nuname: -- the name\n", Some(&used), &[]);
    assert_eq!(found.lints, [Lint::UnusedRule]);
    assert!(found.diagnostics.to_string().contains("no profile has a call of `uname`"));
}

#[test]
fn a_lint_that_is_turned_off_finds_nothing() {
    let found = linted("ptrace: -- debug\nunshare: -- own\nsocket: -- net\n", None, &[Lint::DangerousCall]);
    assert_eq!(found.lints, [Lint::UnpinnedArgument]);
    assert_eq!(found.diagnostics.len(), 1);
}

#[test]
fn a_tier_without_tests_is_not_asked_for_any() {
    let text = "role r\ntier bitmask\notherwise trap\nioctl: -- devices\nptrace: -- debug\n";
    assert_eq!(linted(text, None, &[]).lints, [Lint::DangerousCall]);
}

#[test]
fn a_lint_has_one_name() {
    for lint in Lint::ALL {
        assert_eq!(Lint::from_name(lint.name()), Some(lint));
    }
    assert_eq!(Lint::from_name("what"), None);
}

#[test]
fn a_refusal_that_reports_success_is_told() {
    let text = "role r\ntier filter\notherwise errno 0\nuname: errno 0 -- nobody needs it\n";
    let found = linted(text, None, &[]);
    assert_eq!(found.lints, [Lint::HiddenFailure; 2]);
    let text = found.diagnostics.to_string();
    assert!(text.contains("`uname` returns 0, as if it had been carried out"), "{text}");
    assert!(text.contains("a refused call returns 0"), "{text}");
}
