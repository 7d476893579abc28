//! The formatter's layout, and that it changes nothing else.

use insta::assert_snapshot;
use proptest::prelude::*;
use seccomp_policies::language::{Policy, format};
use seccomp_policies::syscalls::Arch;

use super::good;
use super::tree::tree;

fn formatted(text: &str) -> String {
    format("r.policy", text).unwrap_or_else(|errors| panic!("{errors}"))
}

#[test]
fn reasons_stand_in_one_column_within_a_block() {
    let text = "role r\ntier filter # strict too\notherwise   trap # or log\n\n\n\nfd bells=4..6 -- eventfds\n\nread:fd==3--input\nsys_write: (fd in @bells&&count==8) --  work  \nexit_group:-- end\n";
    assert_snapshot!(formatted(text), @r#"
    role r
    tier filter     # strict too
    otherwise trap  # or log

    fd bells = 4..6  -- eventfds

    read: fd == 3                      -- input
    write: fd in @bells && count == 8  -- work
    exit_group:                        -- end
    "#);
}

#[test]
fn a_wide_rule_breaks_at_its_operators_and_a_wide_set_at_its_commas() {
    let text = "futex: op == FUTEX_WAIT_BITSET_PRIVATE && val3 == FUTEX_BITSET_MATCH_ANY || op == FUTEX_WAKE_PRIVATE || op == FUTEX_WAIT_PRIVATE -- locks\nioctl: fd == 3 && cmd in {KVM_GET_REGS, KVM_SET_REGS, KVM_GET_SREGS, KVM_SET_SREGS, KVM_GET_MSRS, KVM_SET_MSRS, KVM_GET_LAPIC} -- state\n";
    assert_snapshot!(formatted(text), @r#"
    futex: op == FUTEX_WAIT_BITSET_PRIVATE && val3 == FUTEX_BITSET_MATCH_ANY
        || op == FUTEX_WAKE_PRIVATE
        || op == FUTEX_WAIT_PRIVATE  -- locks
    ioctl: fd == 3
        && cmd in {KVM_GET_REGS, KVM_SET_REGS, KVM_GET_SREGS, KVM_SET_SREGS, KVM_GET_MSRS, KVM_SET_MSRS,
            KVM_GET_LAPIC}           -- state
    "#);
}

#[test]
fn comments_and_a_reasons_lines_are_kept() {
    let text = "   # who\n#what\nfutex: op == FUTEX_WAKE_PRIVATE # the gate\n   # and\n   || op == FUTEX_WAIT_PRIVATE -- role/vcpu.rs,\n  pause gate\n# end\n\n";
    assert_snapshot!(formatted(text), @r#"
    # who
    #what
    # the gate
    # and
    futex: op == FUTEX_WAKE_PRIVATE || op == FUTEX_WAIT_PRIVATE  -- role/vcpu.rs,
                                                                    pause gate
    # end
    "#);
}

#[test]
fn numbers_keep_their_base_and_groups_their_parentheses() {
    let text = "openat: (dfd == -100 && mode == 0644) || (flags & ~(O_RDONLY|0x80000)) == 0 -- files\n";
    assert_snapshot!(formatted(text), @"openat: (dfd == -100 && mode == 0644) || (flags & ~(O_RDONLY|0x80000)) == 0  -- files");
}

#[test]
fn text_that_cannot_be_read_is_left_alone_with_its_errors() {
    let errors = format("r.policy", "read: (fd == 3 -- input\n").unwrap_err().to_string();
    assert!(errors.starts_with("error: unclosed parenthesis\n --> r.policy:1:7"), "{errors}");
}

/// The policy without the places of its rules, which the layout may move.
fn without_lines(mut policy: Policy) -> Policy {
    for rule in &mut policy.rules {
        rule.line = 0;
    }
    policy
}

/// White space and comments between the tokens of a line of code.
fn gap() -> impl Strategy<Value = &'static str> {
    prop_oneof![4 => Just(" "), 1 => Just("   "), 1 => Just("\n  "), 1 => Just(" # aside\n\t"), 1 => Just("\n# aside\n  ")]
}

proptest! {
    #[test]
    fn formatting_keeps_the_meaning_and_formatting_again_changes_nothing(
        tree in tree(),
        gaps in prop::collection::vec(gap(), 40),
        head in prop_oneof![Just("# one\n\n\n"), Just(""), Just("#two\n")],
    ) {
        let mut gaps = gaps.iter().cycle();
        let spaced: String = tree.text().split(' ').flat_map(|word| [*gaps.next().unwrap(), word]).collect();
        let text = format!("role r\ntier filter\notherwise trap\n{head}ioctl:{spaced} -- why\n  and why\ngettid: -- who\n");
        let once = formatted(&text);
        prop_assert_eq!(&formatted(&once), &once);
        let (before, after) = (good(&text, Arch::X86_64).policy, good(&once, Arch::X86_64).policy);
        prop_assert_eq!(without_lines(before), without_lines(after));
    }
}
