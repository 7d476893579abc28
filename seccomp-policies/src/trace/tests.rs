//! Logs as `strace` writes them.

use super::*;
use crate::pattern::Known;
use crate::syscalls::Arch;

fn read(text: &str) -> Trace {
    calls(text, Arch::X86_64)
}

fn pattern(text: &str) -> Pattern {
    Pattern::parse(text, Arch::X86_64).unwrap()
}

#[test]
fn every_call_of_a_log_with_threads_is_found_once() {
    let log = r#"
execve("/bin/true", ["true"], 0x7ffd8a3c /* 20 vars */) = 0
strace: Process 20 attached
[pid    20] read(3,  <unfinished ...>
[pid    19] futex(0x7f1a, FUTEX_WAIT_BITSET_PRIVATE|FUTEX_CLOCK_REALTIME, 0, NULL, FUTEX_BITSET_MATCH_ANY <unfinished ...>
[pid    20] <... read resumed>"\177ELF, (", 832) = 832
[pid    20] restart_syscall(<... resuming interrupted read ...> <unfinished ...>
--- SIGCHLD {si_signo=SIGCHLD, si_code=CLD_EXITED, si_pid=20} ---
[pid    19] <... futex resumed>) = ? ERESTARTSYS (To be restarted if SA_RESTART is set)
exit_group(0)                           = ?
+++ exited with 0 +++
"#;
    let trace = read(log);
    let found: Vec<_> = trace.calls.iter().map(|call| (call.line, call.text.as_str())).collect();
    assert_eq!(
        found,
        [
            (2, r#"execve("/bin/true", ["true"], 0x7ffd8a3c /* 20 vars */)"#),
            (4, r#"read(3, "\177ELF, (", 832)"#),
            (
                5,
                "futex(0x7f1a, FUTEX_WAIT_BITSET_PRIVATE|FUTEX_CLOCK_REALTIME, 0, NULL, FUTEX_BITSET_MATCH_ANY )"
            ),
            (7, "restart_syscall(<... resuming interrupted read ...>)"),
            (10, "exit_group(0)"),
        ]
    );
    assert!(trace.skipped.is_empty(), "{:?}", trace.skipped);
    assert_eq!(trace.calls[1].pattern, pattern("read(3, \"\", 832)"));
    assert_eq!(trace.calls[4].pattern, pattern("exit_group(0)"));
}

#[test]
fn a_call_that_never_returned_is_known_as_far_as_it_was_shown() {
    let trace = read("7 accept4(3, <unfinished ...>\n");
    assert_eq!(trace.calls[0].pattern, pattern("accept4(3)"));
}

#[test]
fn a_call_that_a_message_of_strace_breaks_is_put_together() {
    let trace = read(
        "clone(child_stack=NULL, flags=SIGCHLDstrace: Process 75 attached\n, child_tidptr=0x7f00) = 75\n\
         [pid 7] clone(flags=SIGCHLDstrace: Process 76 attached\n <unfinished ...>\n\
         [pid 7] <... clone resumed>, child_tidptr=0x7f10) = 76\n",
    );
    assert!(trace.skipped.is_empty(), "{:?}", trace.skipped);
    assert_eq!(
        trace.calls[0].pattern,
        pattern("clone(child_stack=NULL, flags=SIGCHLD, child_tidptr=0x7f00)")
    );
    assert_eq!(trace.calls[1].pattern, pattern("clone(flags=SIGCHLD, child_tidptr=0x7f10)"));
}

#[test]
fn a_constant_that_nobody_knows_leaves_its_argument_open_and_is_named() {
    let trace = read("ioctl(3, SNDCTL_SEQ_WHAT, 0x1) = 0\n");
    assert_eq!(
        trace.calls[0].pattern.arguments[..2],
        [Known::Value(3, crate::language::Width::Bits64), Known::Nothing]
    );
    assert_eq!(trace.not_understood, ["SNDCTL_SEQ_WHAT"]);
}

#[test]
fn lines_that_are_no_calls_are_named_with_their_number() {
    let trace = read("close(3) = 0\nsome words\nread(3, \"abc\nfrobnicate(1) = 0\n<... read resumed>) = 0\n");
    let skipped: Vec<_> = trace.skipped.iter().map(|skipped| (skipped.line, skipped.why.as_str())).collect();
    assert_eq!(
        skipped,
        [
            (2, "this is no call"),
            (3, "unclosed parenthesis"),
            (4, "unknown call `frobnicate`"),
            (5, "the beginning of this call is missing"),
        ]
    );
    assert_eq!(trace.calls.len(), 1);
}

#[test]
fn a_list_of_calls_is_a_trace_too() {
    let trace =
        read("# what the server does\nopenat(AT_FDCWD, ?, O_RDONLY)\ngetpid\n257(-100, 0, 0)  # by number\n");
    assert!(trace.skipped.is_empty(), "{:?}", trace.skipped);
    assert_eq!(trace.calls.len(), 3);
    assert_eq!(trace.calls[2].pattern, pattern("openat(AT_FDCWD, NULL, O_RDONLY)"));
}

#[cfg(test)]
mod any_text {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_text_is_a_crash_and_every_line_is_a_call_or_skipped_or_nothing(
            lines in prop::collection::vec(r#"(\[pid 1\] )?[a-z<(\["{,|~0-9 *]{0,12}(\(|\)|<unfinished ...>|<... read resumed>|"|/\*|é| = 0)?"#, 0..20)
        ) {
            let trace = read(&lines.join("\n"));
            prop_assert!(trace.calls.len() + trace.skipped.len() <= lines.len());
        }
    }
}

/// A suggestion for each would take minutes, and none is shown.
#[test]
fn a_megabyte_of_what_is_not_known_is_read() {
    let calls = read(&"raed(3) = 0\n".repeat(80_000));
    assert_eq!((calls.calls.len(), calls.skipped.len()), (0, 80_000));
    let arguments: Vec<_> = (0..40_000).map(|number| format!("read(UNKNOWN_{number}) = 0")).collect();
    assert_eq!(read(&arguments.join("\n")).not_understood.len(), 40_000);
}
