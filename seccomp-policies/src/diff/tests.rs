//! Pairs of policies and their differences.

use super::*;
use crate::language;
use crate::syscalls::Arch;

fn policy(text: &str) -> Policy {
    let text = format!("role r\ntier filter\n{text}\n");
    let checked = language::check_sources("r.policy", &[("r.policy", &text)], Arch::X86_64);
    checked.unwrap_or_else(|errors| panic!("{errors}")).policy
}

/// What a set of extras says: `call: expression`.
fn rules(extras: &Extras) -> Vec<String> {
    let rule = |extra: &Extra| format!("{}: {}", extra.call, extra.expression.as_deref().unwrap_or("?"));
    extras.calls.iter().map(rule).collect()
}

#[test]
fn what_one_allows_and_the_other_does_not_is_written_as_rules() {
    let left = policy(
        "otherwise trap\nfd log = 2 -- x\nread: fd in {3, 4} -- a\nwrite: fd == @log -- b\nclose: -- c",
    );
    let right = policy("otherwise trap\nread: fd == 3 -- a\nread: fd == 7 && count == 8 -- b\ngetpid: -- c");
    let found = diff(&left, &right);
    assert_eq!(rules(&found.left_alone), ["read: fd == 4", "write: fd == @log", "close: "]);
    assert_eq!(rules(&found.right_alone), ["read: fd == 7 && count == 8", "getpid: "]);
    assert!(found.answers.is_empty() && found.left_alone.numbers.is_empty());
}

#[test]
fn the_same_meaning_in_other_words_is_no_difference() {
    let left = policy("otherwise trap\nread: fd >= 3 && fd <= 5 -- a");
    let right =
        policy("otherwise trap\nread: fd == 5 -- a\nread: (fd & 0xfffffffe) == 4 -- b\nread: fd == 3 -- c");
    assert!(diff(&left, &right).allows_the_same());
}

#[test]
fn other_answers_to_refused_calls_are_told_apart_from_other_permissions() {
    let left = policy("otherwise trap\nread: -- a\nuname: errno EPERM -- b");
    let right = policy("otherwise kill\nread: log -- a\nuname: errno EPERM if name == 0 -- b");
    let found = diff(&left, &right);
    assert!(found.allows_the_same());
    let pairs: Vec<_> =
        found.answers.iter().map(|answer| (answer.left.as_str(), answer.right.as_str())).collect();
    assert_eq!(pairs, [("trap", "kill"), ("errno EPERM", "kill"), ("allow", "log")]);
    assert_eq!(rules(&found.answers[1].calls), ["uname: name != 0"]);
}

#[test]
fn an_open_policy_allows_numbers_that_no_call_has() {
    let left = policy("otherwise allow\nptrace: trap -- a");
    let right = policy("otherwise trap\nread: -- a");
    let found = diff(&left, &right);
    assert_eq!(found.left_alone.calls.len(), crate::syscalls::all(Arch::X86_64).len() - 2);
    assert_eq!(found.left_alone.numbers.last().map(|range| range.1), Some(u32::MAX));
    assert!(found.right_alone.is_empty());
}
