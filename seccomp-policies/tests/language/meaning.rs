//! What expressions mean, against a reading of them that shares no code with the checker.

use proptest::prelude::*;
use seccomp_policies::action::Action;
use seccomp_policies::call::Call;
use seccomp_policies::language::{Condition, check_sources};
use seccomp_policies::prove::Space;
use seccomp_policies::syscalls::Arch;

use super::tree::{Tree, registers, tree};
use super::{checked, good};

const IOCTL: u32 = 16;

fn call(number: u32, arguments: [u64; 6]) -> Call {
    Call { number, arch: Arch::X86_64.audit_value(), instruction_pointer: 0x40_0000, arguments }
}

fn allows(expression: &str, arguments: [u64; 6]) -> bool {
    let line = format!("ioctl: {expression} -- why");
    checked(&[&line]).policy.decide(&call(IOCTL, arguments)) == Action::Allow
}

#[test]
fn an_int_compares_32_bits_and_a_long_64() {
    let garbage = 0xdead_beef_0000_0000;
    assert!(allows("fd == 3", [garbage | 3, 0, 0, 0, 0, 0]));
    assert!(!allows("arg == 3", [0, 0, garbage | 3, 0, 0, 0]));
}

#[test]
fn a_negative_constant_is_twos_complement_in_the_arguments_width() {
    assert!(allows("fd == -1", [0xffff_ffff, 0, 0, 0, 0, 0]));
    assert!(allows("arg == -1", [0, 0, u64::MAX, 0, 0, 0]));
    assert!(!allows("arg == -1", [0, 0, 0xffff_ffff, 0, 0, 0]));
}

#[test]
fn comparisons_are_unsigned() {
    assert!(allows("fd > 0x7fffffff", [0xffff_ffff, 0, 0, 0, 0, 0]));
    assert!(!allows("arg < 5", [0, 0, u64::MAX, 0, 0, 0]));
}

#[test]
fn in_a_complement_means_no_bit_outside_the_mask() {
    assert!(allows("arg in ~0x3|0x4", [0, 0, 0x7, 0, 0, 0]));
    assert!(allows("arg in ~(0x3|0x4)", [0, 0, 0, 0, 0, 0]));
    assert!(!allows("arg in ~0x3|0x4", [0, 0, 0x8, 0, 0, 0]));
}

#[test]
fn and_binds_closer_than_or() {
    let expression = "fd == 1 || fd == 2 && cmd == 7";
    assert!(allows(expression, [1, 0, 0, 0, 0, 0]));
    assert!(!allows(expression, [2, 0, 0, 0, 0, 0]));
    assert!(allows(expression, [2, 7, 0, 0, 0, 0]));
}

#[test]
fn a_range_of_slots_holds_both_its_ends_and_nothing_beside_them() {
    let policy = checked(&["fd bells = 4..6 -- eventfds", "write: fd in @bells -- work"]).policy;
    let decided: Vec<_> = (3..=7).map(|fd| policy.decide(&call(1, [fd, 0, 0, 0, 0, 0]))).collect();
    assert_eq!(decided, [Action::Trap, Action::Allow, Action::Allow, Action::Allow, Action::Trap]);
}

#[test]
fn the_first_rule_that_matches_decides() {
    let policy = checked(&["ioctl: errno ENOTTY if fd == 0 -- isatty", "ioctl: fd < 3 -- terminals"]).policy;
    assert_eq!(policy.rules[0].action, Action::Errno(25));
    assert_eq!(policy.decide(&call(IOCTL, [0, 0, 0, 0, 0, 0])), Action::Errno(25));
    assert_eq!(policy.decide(&call(IOCTL, [1, 0, 0, 0, 0, 0])), Action::Allow);
    assert_eq!(policy.decide(&call(IOCTL, [3, 0, 0, 0, 0, 0])), Action::Trap);
}

#[test]
fn a_rule_answers_with_each_verdict_and_otherwise_with_each_and_allow() {
    let verdicts = [
        ("trap", Action::Trap),
        ("kill", Action::KillProcess),
        ("kill_thread", Action::KillThread),
        ("errno EPERM", Action::Errno(1)),
        ("log", Action::Log),
    ];
    for (word, action) in verdicts {
        let policy =
            checked(&[&format!("ioctl: {word} if fd == 1 -- one"), &format!("read: {word} -- any")]).policy;
        assert_eq!(policy.decide(&call(IOCTL, [1, 0, 0, 0, 0, 0])), action);
        assert_eq!(policy.decide(&call(IOCTL, [2, 0, 0, 0, 0, 0])), Action::Trap);
        assert_eq!(policy.decide(&call(0, [9, 0, 0, 0, 0, 0])), action);
    }
    for (word, action) in verdicts.into_iter().chain([("allow", Action::Allow)]) {
        let text = format!("role r\ntier filter\notherwise {word}\nread: fd == 0 -- input\n");
        assert_eq!(good(&text, Arch::X86_64).policy.decide(&call(IOCTL, [0; 6])), action);
    }
}

#[test]
fn the_kernels_prefix_and_parentheses_around_the_whole_are_accepted_and_dropped() {
    let rule = &checked(&["sys_read: (fd == 0) -- input"]).policy.rules[0];
    assert_eq!((rule.call.name, rule.expression.as_str()), ("read", "fd == 0"));
}

#[test]
fn a_rule_goes_on_in_indented_lines_and_so_does_its_reason() {
    let policy = checked(&["read: fd == 0", "    || fd == 1", "    -- input,", "       and more"]).policy;
    assert_eq!(
        (policy.rules[0].expression.as_str(), policy.rules[0].reason.as_str()),
        ("fd == 0 || fd == 1", "input, and more")
    );
}

#[test]
fn a_rule_of_another_architecture_is_checked_and_left_out() {
    let text = "role r\ntier filter\notherwise trap\nopen on x86_64: errno ENOENT -- old\ngettid: -- logs\n";
    let names = |arch| good(text, arch).policy.rules.iter().map(|rule| rule.call.name).collect::<Vec<_>>();
    assert_eq!(names(Arch::X86_64), ["open", "gettid"]);
    assert_eq!(names(Arch::Aarch64), ["gettid"]);
    let wrong = text.replace("open on x86_64: errno ENOENT", "open on x86_64: flag == 0");
    assert!(check_sources("r.policy", &[("r.policy", &wrong)], Arch::Aarch64).is_err());
}

#[test]
fn strict_policies_name_calls_and_slots() {
    let text = "role console\ntier strict\notherwise kill\nfd bell = 3 -- the bell\nread: -- the bell\nexit: -- end\n";
    let checked = good(text, Arch::X86_64);
    assert_eq!(checked.policy.rules.len(), 2);
    assert_eq!(checked.policy.slot("bell").map(|slot| slot.first), Some(3));
}

#[test]
fn a_policy_of_400_rules_on_one_call_is_decided_exactly() {
    let mut lines: Vec<String> =
        (0..400).map(|rule| format!("ioctl: fd == 3 && cmd == {} -- r", rule * 7919)).collect();
    lines.push("ioctl: fd == 3 && cmd in {0, 7919, 3159681} -- covered".to_owned());
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    assert!(super::rules(&lines).starts_with("error: this rule is covered by earlier ones together"));
    checked(&lines[..400]);
}

/// The condition that the checker makes of an expression.
fn condition(tree: &Tree) -> Condition {
    let line = format!("ioctl: {} -- why", tree.text());
    checked(&[&line]).policy.rules[0].condition.clone()
}

proptest! {
    #[test]
    fn a_checked_expression_holds_for_the_calls_that_it_names(tree in tree(), registers in registers()) {
        prop_assert_eq!(condition(&tree).holds(&call(IOCTL, registers)), tree.holds(&registers));
    }

    #[test]
    fn one_expression_covers_another_unless_a_call_meets_the_other_alone(
        one in tree(),
        other in tree(),
        samples in prop::collection::vec(registers(), 20),
    ) {
        let space = Space::new();
        let (of_one, of_other) = (space.calls(&condition(&one)), space.calls(&condition(&other)));
        if let Some(alone) = of_other.without(&of_one).example() {
            prop_assert!(!of_one.covers(&of_other));
            prop_assert!(other.holds(&alone) && !one.holds(&alone), "{:x?}", alone);
        } else {
            prop_assert!(of_one.covers(&of_other));
            for registers in samples {
                prop_assert!(one.holds(&registers) || !other.holds(&registers), "{:x?}", registers);
            }
        }
    }
}
