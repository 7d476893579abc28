//! What happens in the real threads when one asks for more than its role may, and what is said about it.

use ringfence_tests::run::{self, Ended};
use serde_json::Value;

/// A refused call.
struct Refused {
    /// `--provoke`
    deed: &'static str,
    /// The call in words, arguments decoded.
    text: &'static str,
    /// The rule that comes nearest, and why it is there.
    nearest: Option<(&'static str, &'static str)>,
}

const fn refused(deed: &'static str, text: &'static str) -> Refused {
    Refused { deed, text, nearest: None }
}

const fn nearly(deed: &'static str, text: &'static str, rule: &'static str, reason: &'static str) -> Refused {
    Refused { deed, text, nearest: Some((rule, reason)) }
}

const VCPU: &[Refused] = &[
    refused("rf-vcpu0:openat:-100,0,0", "openat(AT_FDCWD, 0x0, O_RDONLY)"),
    refused("rf-vcpu0:mprotect:0,4096,5", "mprotect(0x0, 4096, PROT_READ|PROT_EXEC)"),
    refused("rf-vcpu0:socket:1,2", "socket(AF_UNIX, SOCK_DGRAM, 0)"),
    refused("rf-vcpu0:getpid", "getpid()"),
    refused("rf-vcpu0:0x40000010:3,0xae80", "ioctl(3, KVM_RUN, 0x0) by the x32 ABI"),
    refused("rf-vcpu0:999:1", "syscall_999(0x1, 0x0, 0x0, 0x0, 0x0, 0x0)"),
    nearly(
        "rf-vcpu0:ioctl:3,0x8090ae81@9",
        "ioctl(3, KVM_GET_REGS, 0x0)",
        "ioctl: fd == @vcpu && cmd == KVM_RUN",
        "enter the guest",
    ),
    nearly(
        "rf-vcpu0:futex:0,138,0,1",
        "futex(0x0, FUTEX_WAKE_BITSET_PRIVATE, 0, 0x1, 0x0, 0x0)",
        "futex: op == FUTEX_WAKE_PRIVATE",
        "wake who waits",
    ),
];

const IO: &[Refused] = &[
    refused("rf-io:mmap:0,4096,7", "mmap(0x0, 4096, PROT_READ|PROT_WRITE|PROT_EXEC, 0x0, 0, 0x0)"),
    refused("rf-io:execve", "execve(0x0, 0x0, 0x0)"),
    nearly("rf-io:read:0,0,65", "read(0, 0x0, 65)", "read: fd == @stdin && count <= 64", "at most what"),
    nearly(
        "rf-io:read:5,0,65",
        "read(5, 0x0, 65)",
        "read: fd in {@bell, @timer} && count == 8",
        "hear the bell, or the timer",
    ),
    nearly(
        "rf-io:epoll_wait:3,0,1,1000",
        "epoll_wait(3, 0x0, 1, 1000)",
        "epoll_wait: epfd == @epoll && timeout == -1",
        "the event loop",
    ),
];

/// Main speaks for itself, from a signal handler, so it decodes nothing.
const MAIN: &[Refused] = &[
    refused("rf-main:socket:1,2,3", "socket [number 41, arguments 0x1 0x2 0x3 0x0 0x0 0x0]"),
    refused("rf-main:ioctl:7,0xae41", "ioctl [number 16, arguments 0x7 0xae41 0x0 0x0 0x0 0x0]"),
    refused("rf-main:mmap:0,4096,7", "mmap [number 9, arguments 0x0 0x1000 0x7 0x0 0x0 0x0]"),
];

/// `exits`, which ends by itself, with this deed and these options; standard input is at its end.
fn exits(deed: &str, options: &[&str]) -> Ended {
    let mut run = run::provoked(deed, ["exits", "--cmdline", "200"].iter().chain(options));
    run.close_stdin();
    run.wait()
}

fn names(deed: &str) -> (&str, &str) {
    let thread = deed.split(':').next().expect("a deed begins with the thread");
    (thread, thread.trim_start_matches("rf-").trim_end_matches(|letter: char| letter.is_ascii_digit()))
}

fn because(role: &str, call: &str, nearest: bool) -> String {
    if nearest {
        format!("no rule of role {role} allows {call} with these arguments")
    } else {
        format!("for role {role}")
    }
}

#[test]
fn a_refused_call_is_reported_with_thread_role_arguments_and_nearest_rule() {
    for Refused { deed, text, nearest } in VCPU.iter().chain(IO) {
        let ended = exits(deed, &[]).expect_code(148);
        let (thread, role) = names(deed);
        let first = ended.stderr.lines().next().expect("a report");
        assert!(
            first.starts_with(&format!("ringfence: {thread} ({role}) was refused {text}: no rule ")),
            "{first}"
        );
        let call = text.split('(').next().expect("a call has a name");
        assert!(first.ends_with(&because(role, call, nearest.is_some())), "{first}");
        match nearest {
            Some((rule, reason)) => {
                let line = format!("\n  nearest rule: {rule} -- {reason}");
                assert!(ended.stderr.contains(&line), "{}", ended.stderr);
            }
            None => assert!(!ended.stderr.contains("nearest rule"), "{}", ended.stderr),
        }
    }
}

#[test]
fn the_report_in_json_holds_the_same() {
    for Refused { deed, text, nearest } in VCPU.iter().chain(IO) {
        let report = exits(deed, &["--json"]).expect_code(148).report();
        let (thread, role) = names(deed);
        assert_eq!(report["exit_code"], 148, "{report:#}");
        assert_eq!(report["cause"], "violation", "{report:#}");
        let violation = &report["violation"];
        assert_eq!(violation["thread"], *thread, "{report:#}");
        assert_eq!(violation["role"], *role, "{report:#}");
        assert_eq!(violation["call"]["text"], *text, "{report:#}");
        let rule = nearest.map_or(Value::Null, |(rule, _)| rule.into());
        assert_eq!(violation["nearest_rule"]["rule"], rule, "{report:#}");
        let threads = report["threads"].as_array().expect("a list of threads");
        let violators: Vec<_> = threads.iter().filter(|line| line["violations"] == 1).collect();
        assert_eq!(violators.len(), 1, "{report:#}");
        assert_eq!(violators[0]["thread"], *thread, "{report:#}");
    }
}

#[test]
fn main_reports_its_own_violation_and_ends_the_process() {
    for Refused { deed, text, .. } in MAIN {
        let ended = exits(deed, &[]).expect_code(148);
        let line = format!("ringfence: rf-main (main) was refused {text}");
        assert!(ended.stderr.starts_with(&line), "{}", ended.stderr);
    }
}

#[test]
fn the_consoles_violation_is_noticed_though_the_kernel_ends_it_in_silence() {
    let ended = exits("rf-console:getpid", &[]).expect_code(148);
    let line = "ringfence: rf-console (console) was ended by the kernel";
    assert!(ended.stderr.starts_with(line), "{}", ended.stderr);
    let report = exits("rf-console:openat:-100", &["--json"]).expect_code(148).report();
    assert_eq!(report["cause"], "console-ended", "{report:#}");
}

const FILTERED: [&str; 3] = ["rf-vcpu0", "rf-io", "rf-main"];

#[test]
fn on_violation_kill_leaves_the_end_to_the_kernel() {
    for thread in FILTERED {
        let deed = format!("{thread}:getppid");
        // 128 + SIGSYS
        let ended = exits(&deed, &["--on-violation", "kill"]).expect_code(159);
        assert_eq!(ended.stderr, "", "{thread}");
    }
}

#[test]
fn on_violation_errno_or_log_lets_the_run_go_on() {
    let whole = exits("", &[]).expect_code(0).output();
    for thread in FILTERED {
        for choice in ["errno", "log"] {
            let ended = exits(&format!("{thread}:getppid"), &["--on-violation", choice]).expect_code(0);
            assert_eq!(ended.output(), whole, "{thread} under {choice}");
        }
    }
}

#[test]
fn the_bitmask_tier_refuses_by_number_and_looks_at_no_argument() {
    exits("rf-vcpu0:getppid", &["--tier", "bitmask"]).expect_code(148);
    exits("rf-vcpu0:write:1,0,0", &["--tier", "bitmask"]).expect_code(0);
    exits("rf-vcpu0:write:1,0,0", &[]).expect_code(148);
}

#[test]
fn tier_none_refuses_nothing() {
    for thread in ["rf-vcpu0", "rf-io", "rf-main", "rf-console"] {
        exits(&format!("{thread}:getppid"), &["--tier", "none"]).expect_code(0);
    }
}
