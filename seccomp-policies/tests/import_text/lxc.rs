//! What profiles of LXC mean.

use proptest::prelude::*;
use seccomp_policies::action::Action::{self, Allow, Errno, KillThread, Trap};
use seccomp_policies::import::{Format, Imported, Options};
use seccomp_policies::language::{Diagnostics, Severity};
use seccomp_policies::syscalls::Arch;

use super::{assert_decides, clean, message, only, read};

pub(super) fn with_options(text: &str, options: &Options) -> Result<Imported, Diagnostics> {
    read("c.conf", text, Format::Lxc, options)
}

pub(super) fn x86_64() -> Options {
    Options { arch: Some(Arch::X86_64), ..Options::default() }
}

fn decides(text: &str, rows: &[(&str, &[u64], Action)]) {
    assert_decides(&clean(with_options(text, &x86_64())), rows);
}

#[test]
fn version_1_lists_allowed_calls_by_number() {
    for style in ["allowlist", "whitelist"] {
        decides(
            &format!("1\n{style}\n0\n1 write\n231\n"),
            &[
                ("read", &[], Allow),
                ("write", &[], Allow),
                ("exit_group", &[], Allow),
                ("open", &[], KillThread),
            ],
        );
    }
}

#[test]
fn an_allow_list_kills_what_it_does_not_name_or_does_what_it_says() {
    decides(
        "2\nallowlist\n# a comment\nread\nwrite\n\n[x86_64]\nclose\n",
        &[("read", &[], Allow), ("write", &[], Allow), ("close", &[], Allow), ("open", &[], KillThread)],
    );
    decides("2\nwhitelist errno 5\nread\n", &[("read", &[], Allow), ("open", &[], Errno(5))]);
    decides(
        "2\nallowlist trap\nread\nopen errno 2\nstat kill\n",
        &[("close", &[], Trap), ("open", &[], Errno(2)), ("stat", &[], KillThread)],
    );
}

#[test]
fn a_refusal_may_report_success() {
    decides("2\ndenylist\nmknod errno 0\n", &[("mknod", &[], Errno(0)), ("read", &[], Allow)]);
}

#[test]
fn a_deny_list_refuses_what_it_names() {
    for style in ["denylist", "blacklist allow"] {
        decides(
            &format!("2\n{style}\nmknod errno 95\nkexec_load errno 1 # no\nptrace\nreboot trap\n"),
            &[
                ("mknod", &[], Errno(95)),
                ("kexec_load", &[], Errno(1)),
                ("ptrace", &[], KillThread),
                ("reboot", &[], Trap),
                ("read", &[], Allow),
            ],
        );
    }
}

#[test]
fn a_forced_unmount_is_refused_by_its_own_line() {
    decides(
        "2\nblacklist\nreject_force_umount  # comment this to allow umount -f\n[all]\ninit_module errno 1\n",
        &[
            ("umount2", &[0, 1], Errno(13)),
            ("umount2", &[0, 3], Errno(13)),
            ("umount2", &[0, 2], Allow),
            ("init_module", &[], Errno(1)),
        ],
    );
}

/// An operator's sign and name, and values of which it holds or does not.
type Case = (&'static str, &'static str, &'static [(u64, bool)]);

#[test]
fn comparisons_are_those_of_libseccomp_by_name_and_by_sign() {
    const UPPER: u64 = 1 << 32;
    let cases: [Case; 7] = [
        ("==", "SCMP_CMP_EQ", &[(5, true), (5 + UPPER, false)]),
        ("!=", "SCMP_CMP_NE", &[(5, false), (5 + UPPER, true)]),
        ("<", "SCMP_CMP_LT", &[(4, true), (5, false), (UPPER, false)]),
        ("<=", "SCMP_CMP_LE", &[(5, true), (6, false)]),
        (">", "SCMP_CMP_GT", &[(6, true), (5, false), (UPPER, true)]),
        (">=", "SCMP_CMP_GE", &[(5, true), (4, false)]),
        // The value is cut to the mask, as libseccomp does it: 5 & 6 is 4.
        ("&=", "SCMP_CMP_MASKED_EQ", &[(4, true), (5, true), (6, false), (0, false)]),
    ];
    for (sign, name, rows) in cases {
        let mask = if sign == "&=" { ",0x6" } else { "" };
        for operator in [sign, name] {
            let rows: Vec<(&str, Vec<u64>, Action)> = rows
                .iter()
                .map(|(value, holds)| ("write", vec![9, *value], if *holds { Allow } else { KillThread }))
                .collect();
            let rows: Vec<_> =
                rows.iter().map(|(name, arguments, action)| (*name, arguments.as_slice(), *action)).collect();
            decides(&format!("2\nallowlist\nwrite allow [1,5,{operator}{mask}]\n"), &rows);
        }
    }
}

#[test]
fn comparisons_of_a_rule_must_all_hold_and_rules_are_alternatives() {
    decides(
        "2\nallowlist\nwrite allow [0,1,==][2,0x10,<=]\nwrite allow [0,2,==]\n",
        &[
            ("write", &[1, 0, 16], Allow),
            ("write", &[1, 0, 17], KillThread),
            ("write", &[2, 0, 17], Allow),
            ("write", &[3, 0, 1], KillThread),
        ],
    );
}

#[test]
fn a_rule_without_comparisons_takes_the_whole_call_wherever_it_stands() {
    for text in ["write errno 1 [0,1,==]\nwrite errno 2\n", "write errno 2\nwrite errno 1 [0,1,==]\n"] {
        let text = format!("2\nallowlist\n{text}");
        let policy = only(with_options(&text, &x86_64()).unwrap());
        assert_decides(&policy, &[("write", &[1], Errno(2)), ("write", &[2], Errno(2))]);
    }
}

#[test]
fn sections_of_other_machines_are_skipped() {
    decides(
        "2\nallowlist\n[arm64]\nopenat\n[ppc]\nopen\n[X86_64]\nread\n[ALL]\nwrite\n",
        &[
            ("openat", &[], KillThread),
            ("open", &[], KillThread),
            ("read", &[], Allow),
            ("write", &[], Allow),
        ],
    );
    let arm = Options { arch: Some(Arch::Aarch64), ..Options::default() };
    let policy = clean(with_options("2\nallowlist\n[x86_64]\nwrite\n[arm64]\nread\n", &arm));
    assert_decides(&policy, &[("write", &[], KillThread), ("read", &[], Allow)]);
}

#[test]
fn a_comment_becomes_the_reason() {
    let text = "2\nallowlist\n# input\nread\nwrite allow # output\n\nclose\n";
    let policy = clean(with_options(text, &x86_64()));
    let reasons: Vec<_> = policy.rules.iter().map(|rule| (rule.reason.as_str(), rule.line)).collect();
    assert_eq!(reasons, [("input", 4), ("output", 5), ("imported from c.conf:7", 7)]);
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(
        version in "[12]?", style in "(allow|deny|white|black)?list( [a-z]{3,6}( [0-9]{1,5})?)?",
        body in "([a-z_]{1,9}|[ \\[\\],=<>&!#]|[0-9]{1,4}|\n|\\PC){0,60}"
    ) {
        let _ = message(with_options(&format!("{version}\n{style}\n{body}"), &x86_64()));
        let _ = message(with_options(&body, &Options::default()));
    }

    #[test]
    fn a_profile_with_bytes_changed_is_read_or_refused(
        at in 0..MUTATED.len(), length in 0..9_usize, put in "[ -~\n]{0,4}"
    ) {
        let mut text = MUTATED.to_owned();
        text.replace_range(at..(at + length).min(text.len()), &put);
        let _ = message(with_options(&text, &Options { lossy: true, ..x86_64() }));
    }
}

const MUTATED: &str = "2\ndenylist errno 1\nreject_force_umount # why\n[all]\nkexec_load errno 1 \
                       [0,1,SCMP_CMP_LE][3,1,==][5,1,SCMP_CMP_MASKED_EQ,1]\n[x86]\nopen\n[x86_64]\nptrace kill\n";

#[test]
fn a_megabyte_is_read_in_the_time_of_its_length() {
    let rules = "write allow [0,1,==][1,0xffffffff,<=] # why\n".repeat(23_000);
    assert!(
        message(with_options(&format!("2\nallowlist\n{rules}"), &x86_64()))
            .contains("`write` has more than 512 rules")
    );
    let unknown = "frobnicate\n".repeat(10_000);
    assert!(
        message(with_options(&format!("2\nallowlist\n{unknown}"), &x86_64())).contains("more like these")
    );
    let comparisons = format!("2\nallowlist\nwrite allow {}\n", "[0,1,==]".repeat(130_000));
    assert!(with_options(&comparisons, &x86_64()).is_err());
}

#[test]
fn a_loss_is_shown_however_many_notes_stand_before_it() {
    let skipped = "no_such_call\n".repeat(50);
    let options = Options { lossy: true, ..x86_64() };
    let imported = with_options(&format!("2\nallowlist\n{skipped}mount notify\n"), &options).unwrap();
    let losses = imported.notes.only(Severity::Warning);
    assert!(losses.render(false).contains("a policy cannot hand calls to a listener"), "{}", imported.notes);
    assert!(imported.notes.render(false).ends_with("note: and 31 more like these\n"), "{}", imported.notes);
}
