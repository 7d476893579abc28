//! What minijail's text means.

use proptest::prelude::*;
use seccomp_policies::action::Action::{self, Allow, Errno, KillProcess, KillThread, Log, Trap};
use seccomp_policies::import::{Dialect, Format, Imported, Options};
use seccomp_policies::language::Diagnostics;

use super::{assert_decides, clean, message, only, read};

pub(super) fn with_options(text: &str, options: &Options) -> Result<Imported, Diagnostics> {
    read("m.policy", text, Format::Minijail, options)
}

fn from_text(text: &str) -> Result<Imported, Diagnostics> {
    with_options(text, &Options::default())
}

fn decides(text: &str, rows: &[(&str, &[u64], Action)]) {
    assert_decides(&clean(from_text(text)), rows);
}

const UPPER: u64 = 1 << 32;

#[test]
fn every_action_answers_as_it_does_in_minijail() {
    decides(
        "read: 1\nwrite: allow\nopen: return ENOENT\nopenat: return 13\nstat: kill\nfstat: kill-process\n\
         lstat: kill-thread\npoll: trap\nlseek: log\nkill: 0x1",
        &[
            ("read", &[], Allow),
            ("write", &[], Allow),
            ("open", &[], Errno(2)),
            ("openat", &[], Errno(13)),
            ("stat", &[], KillThread),
            ("fstat", &[], KillProcess),
            ("lstat", &[], KillThread),
            ("poll", &[], Trap),
            ("lseek", &[], Log),
            ("kill", &[], Allow),
            ("close", &[], KillThread),
        ],
    );
}

#[test]
fn every_operator_compares_the_whole_register_without_signs() {
    let cases: [(&str, &[(u64, bool)]); 9] = [
        ("arg0 == 5", &[(5, true), (4, false), (5 + UPPER, false)]),
        ("arg0 != 5", &[(5, false), (4, true), (5 + UPPER, true)]),
        ("arg0 < 5", &[(4, true), (5, false), (UPPER, false)]),
        ("arg0 <= 5", &[(5, true), (6, false), (UPPER, false)]),
        ("arg0 > 5", &[(6, true), (5, false), (UPPER, true), (u64::MAX, true)]),
        ("arg0 >= 5", &[(5, true), (4, false), (UPPER, true)]),
        ("arg0 & 6", &[(2, true), (4, true), (1, false), (6 * UPPER, false)]),
        ("arg0 in 6", &[(0, true), (2, true), (6, true), (1, false), (UPPER, false)]),
        ("arg0 == -1", &[(u64::MAX, true), (0xffff_ffff, false)]),
    ];
    for (expression, rows) in cases {
        let rows: Vec<(&str, &[u64], Action)> = rows
            .iter()
            .map(|(value, holds)| {
                ("read", std::slice::from_ref(value), if *holds { Allow } else { KillThread })
            })
            .collect();
        decides(&format!("read: {expression}"), &rows);
    }
}

#[test]
fn values_are_numbers_of_any_base_and_names_joined_and_complemented() {
    decides(
        "mmap: arg2 in ~PROT_EXEC\nmprotect: arg2 in ~(PROT_WRITE|PROT_EXEC)\nread: arg0 == 010 || arg0 == 0x10\n\
         ioctl: arg1==TIOCGWINSZ\nsocket: arg0 == AF_INET6",
        &[
            ("mmap", &[0, 0, 3], Allow),
            ("mmap", &[0, 0, 7], KillThread),
            ("mprotect", &[0, 0, 1], Allow),
            ("mprotect", &[0, 0, 2], KillThread),
            ("read", &[8], Allow),
            ("read", &[16], Allow),
            ("read", &[10], KillThread),
            ("ioctl", &[9, 0x5413], Allow),
            ("socket", &[10], Allow),
            ("socket", &[2], KillThread),
        ],
    );
}

#[test]
fn and_binds_closer_than_or() {
    decides(
        "read: arg0 == 0 && arg1 == 0 || arg0 == 1",
        &[
            ("read", &[0, 0], Allow),
            ("read", &[0, 1], KillThread),
            ("read", &[1, 1], Allow),
            ("read", &[2, 0], KillThread),
        ],
    );
}

#[test]
fn several_lines_for_a_call_are_tried_in_order() {
    decides(
        "ioctl: arg1 == 1\nread: 1\nioctl: arg1 == 2\nioctl: { arg1 == 2 || arg1 == 9; trap, arg1 == 3; return 7, log }",
        &[
            ("ioctl", &[0, 1], Allow),
            ("ioctl", &[0, 2], Allow),
            ("ioctl", &[0, 3], Errno(7)),
            ("ioctl", &[0, 4], Log),
            ("read", &[], Allow),
        ],
    );
}

#[test]
fn calls_in_braces_share_their_filters() {
    decides(
        "{ read, write[arch=x86_64], readv[arch=arm64] }: arg0 == 3",
        &[
            ("read", &[3], Allow),
            ("write", &[3], Allow),
            ("readv", &[3], KillThread),
            ("write", &[4], KillThread),
        ],
    );
}

#[test]
fn the_last_default_is_the_one_that_counts() {
    decides(
        "@default trap\nread: 1\n@default kill-process",
        &[("write", &[], KillProcess), ("read", &[], Allow)],
    );
    decides("@default kill\nread: 1", &[("write", &[], KillThread)]);
}

#[test]
fn a_denylist_allows_what_it_does_not_name() {
    let text = "@denylist\nptrace: return 0\nioctl: { arg1 == 5; return 1 }";
    // One note, on what becomes of x32.
    let imported = with_options(text, &Options::default()).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(imported.notes.len(), 1, "{}", imported.notes);
    assert_decides(
        &only(imported),
        &[
            ("ptrace", &[], Errno(0)),
            ("read", &[], Allow),
            ("ioctl", &[0, 5], Errno(1)),
            ("ioctl", &[0, 6], Allow),
        ],
    );
}

#[test]
fn a_guarded_return_is_read_as_the_chosen_reader_does() {
    let text = "ioctl: arg1 == 5; return EINVAL";
    let read = |dialect| clean(with_options(text, &Options { dialect: Some(dialect), ..Options::default() }));
    assert_decides(
        &read(Dialect::Compiler),
        &[("ioctl", &[0, 5], Errno(22)), ("ioctl", &[0, 6], KillThread)],
    );
    assert_decides(&read(Dialect::Library), &[("ioctl", &[0, 5], Allow), ("ioctl", &[0, 6], Errno(22))]);
}

#[test]
fn a_return_without_a_number_is_the_default() {
    decides(
        "@default trap\nread: return\nwrite: arg0 == 1; return",
        &[("read", &[], Trap), ("write", &[1], Allow), ("write", &[2], Trap)],
    );
}

#[test]
fn a_test_that_is_always_or_never_true_is_taken_out() {
    decides(
        "read: arg0 >= 0\nwrite: arg0 & 0 || arg0 == 1\nclose: arg0 >= 0 && arg0 == 2",
        &[
            ("read", &[9], Allow),
            ("write", &[1], Allow),
            ("write", &[0], KillThread),
            ("close", &[2], Allow),
            ("close", &[1], KillThread),
        ],
    );
}

#[test]
fn a_comment_becomes_the_reason() {
    let policy =
        clean(from_text("# 0x1277 == BLKDISCARD.\nioctl: arg1 == 0x1277\nread: 1 # input\n\nwrite: 1"));
    let reasons: Vec<_> = policy.rules.iter().map(|rule| (rule.reason.as_str(), rule.line)).collect();
    assert_eq!(reasons, [("0x1277 == BLKDISCARD.", 2), ("input", 3), ("imported from m.policy:5", 5)]);
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "(@?[a-z]{0,6}|arg[0-9]|[:;,~(){}|&=<>!\\[\\]#. \\\\/-]|[0-9]{1,3}|\n|\\PC){0,80}") {
        let _ = message(from_text(&text));
    }

    #[test]
    fn a_policy_with_bytes_changed_is_read_or_refused(
        at in 0..MUTATED.len(), length in 0..9_usize, put in "[ -~\n]{0,4}"
    ) {
        let mut text = MUTATED.to_owned();
        text.replace_range(at..(at + length).min(text.len()), &put);
        let _ = message(from_text(&text));
    }
}

const MUTATED: &str = "# all\n@default trap\n@include ./x\n@frequency /y\n{ read, write[arch=x86_64] }: { arg0 == 1 && \
                       arg1 & 0x6 || arg2 in ~(PROT_EXEC|1); return ENOENT, \\\n log }\nclose: 1\n";

#[test]
fn a_megabyte_is_read_in_the_time_of_its_length() {
    let text = "{ read, write }: arg0 == 3 && arg1 in 0xff || arg2 != -1 # why\n".repeat(16_000);
    assert!(message(from_text(&text)).contains("`read` has more than 512 rules"));
    let one_line = format!("ioctl: arg1 == 1{}", " || arg1 == 2".repeat(80_000));
    assert_eq!(only(from_text(&one_line).unwrap()).rules.len(), 1);
    let parentheses = format!("ioctl: arg1 == {}", "(".repeat(1_000_000));
    assert!(message(from_text(&parentheses)).contains("parentheses nest deeper than 32"));
    let errors = "frobnicate: 1\n".repeat(10_000);
    assert!(from_text(&errors).is_err());
}
