//! Texts of a megabyte, and texts that are made to be hard.

use std::fmt::Write as _;
use std::fs;
use std::ops::Range;

use super::{HEADER, files, policy, rules};
use seccomp_policies::language::load;
use seccomp_policies::syscalls::Arch;

/// The largest text that is read.
const MAX_BYTES: usize = 1 << 20;

/// As many of the numbered lines as go into a megabyte.
fn filled(line: impl Fn(usize) -> String) -> String {
    let mut text = String::new();
    for number in 0.. {
        let next = line(number);
        if text.len() + next.len() > MAX_BYTES - 1000 {
            break;
        }
        text.push_str(&next);
        text.push('\n');
    }
    text.truncate(text.trim_end().len());
    text
}

#[test]
fn a_text_of_more_than_a_megabyte_is_refused_by_its_size() {
    let comment = format!("# {}", "x".repeat(MAX_BYTES));
    let error = "error: r.policy is larger than 1 MiB, which no policy is\n";
    assert_eq!(policy(&[&HEADER.join("\n"), &comment, "read: -- input"]), error);
}

#[test]
fn a_file_of_more_than_a_megabyte_is_refused_by_its_size() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.policy");
    fs::write(&path, "# x\n".repeat(MAX_BYTES)).unwrap();
    let message = load(&path, Arch::X86_64).unwrap_err().to_string();
    assert!(message.contains("r.policy is larger than 1 MiB, which no policy is"), "{message}");
    let message = load(std::path::Path::new("/dev/zero"), Arch::X86_64).unwrap_err().to_string();
    assert!(message.contains("zero is larger than 1 MiB"), "{message}");
}

#[test]
fn includes_count_with_the_text_that_includes_them() {
    let half = format!("# {}", "x".repeat(MAX_BYTES / 2));
    let root = ("r.policy", &["include \"a.policy\"", "include \"b.policy\""][..]);
    let message = files(root, &[("a.policy", &[&half]), ("b.policy", &[&half])]);
    insta::assert_snapshot!(message, @r#"
    error: with `b.policy` the policy is larger than 1 MiB, which no policy is
     --> r.policy:5:9
      |
    5 | include "b.policy"
      |         ^^^^^^^^^^ included here
      |
      = help: include less
    "#);
}

#[test]
fn a_megabyte_of_rules_for_a_call_is_refused() {
    let message = rules(&[&filled(|number| format!("read: count == {number} -- one of many"))]);
    assert!(message.contains("`read` has more than 512 rules"), "{message}");
}

#[test]
fn a_megabyte_of_alternatives_in_a_rule_is_refused() {
    let members = filled(|number| format!("    {number},"));
    let message = rules(&["read: count in {", &members, "    0x100000000 } -- one of many"]);
    assert!(message.contains("a rule for `read` has more than 512 comparisons"), "{message}");
    let parts = filled(|number| format!("    || count == {number}"));
    let message = rules(&["read: fd == 3", &parts, "    -- one of many"]);
    assert!(message.contains("a rule for `read` has more than 512 comparisons"), "{message}");
}

#[test]
fn a_megabyte_of_mistakes_is_told_in_few_words() {
    for line in
        ["raed: -- misspelt", "read: fdd == 3 -- misspelt", "read: fd == O_RDONYL -- misspelt", "fd", "?"]
    {
        let message = rules(&[&filled(|_| line.to_owned())]);
        assert!(message.contains("more like these"), "{line}: {message}");
        assert!(message.len() < 20_000, "{line}: {} bytes", message.len());
    }
}

#[test]
fn a_megabyte_of_slots_is_refused() {
    let message = rules(&[&filled(|number| format!("fd s{number} = {number} -- one of many"))]);
    assert!(message.contains("there are more than 1024 slots"), "{message}");
}

#[test]
fn a_name_of_a_megabyte_is_refused() {
    let name = "x".repeat(MAX_BYTES - 1000);
    for line in [format!("{name}: -- long"), format!("read: {name} == 3 -- long"), format!("fd {name}")] {
        assert!(rules(&[&line]).starts_with("error"), "{}", &line[..20]);
    }
}

#[test]
fn nesting_of_a_megabyte_is_refused() {
    for nest in ["(", "!", "!("] {
        let message = rules(&[&format!("read: {}fd == 3 -- deep", nest.repeat(MAX_BYTES / 2 - 1000))]);
        assert!(message.contains("nests deeper than 64 levels"), "{nest}");
    }
}

/// Bits of one register paired with the same bits of another: exactly, this set needs a node for each of 2^64 values.
#[test]
fn rules_whose_exact_meaning_has_no_small_form_are_refused() {
    let mut text = String::new();
    for bit in 0..64 {
        let bit = 1_u64 << bit;
        writeln!(text, "read: (buf & {bit:#x}) != 0 && (count & {bit:#x}) != 0 -- a pair").unwrap();
    }
    let message = rules(&[&text]);
    assert!(message.contains("the rules for `read` are too complicated together"), "{message}");
}

/// Pairs of the same bits of two arguments, as alternatives: a node for each value of the bits.
fn pairs(bits: Range<u32>, [one, other]: [&str; 2]) -> String {
    let pair = |bit| format!("({one} & {0:#x}) != 0 && ({other} & {0:#x}) != 0", 1_u64 << bit);
    bits.map(pair).collect::<Vec<_>>().join(" || ")
}

const BUFFER: [&str; 2] = ["buf", "count"];

#[test]
fn rules_that_are_small_alone_are_refused_where_they_are_too_much_together() {
    // The first two are one diagram when the third comes, which has nothing in common with it.
    let [first, second, third] = [0..1, 1..15, 15..30].map(|bits| pairs(bits, BUFFER));
    let message = rules(&[&format!("read: {first} -- a\nread: {second} -- b\nread: {third} -- c")]);
    assert!(message.contains("are too complicated together"), "{message}");
}

#[test]
fn rules_that_come_to_little_after_long_work_are_refused() {
    let [one, other] = [0..13, 13..26].map(|bits| pairs(bits, ["inp", "outp"]));
    let one = format!("pselect6: sig == 1 && ({one}) -- a");
    let message = rules(&[&one, &format!("pselect6: sig == 2 && ({other}) -- b")]);
    assert!(message.contains("the policy's rules are too complicated together"), "{message}");
}

#[test]
fn calls_that_are_small_alone_are_refused_where_they_are_too_much_together() {
    let call = |name: &str| {
        let mut text = format!("{name}: {} -- pairs\n", pairs(0..13, BUFFER));
        for fd in 0..40 {
            writeln!(text, "{name}: fd == {fd} -- one of many").unwrap();
        }
        text
    };
    let notes = rules(&[&call("read")]);
    assert!(!notes.contains("error"), "{notes}");
    let message = rules(&[&["read", "write", "pread64", "pwrite64"].map(call).concat()]);
    assert!(message.contains("the policy's rules are too complicated together"), "{message}");
}

#[test]
fn which_rule_covers_another_is_not_found_out_at_any_price() {
    let [one, other] = [0..15, 15..30].map(|bits| pairs(bits, BUFFER));
    let message = rules(&[&format!("read: {one} -- a\nread: -- all\nread: {other} -- b")]);
    assert!(message.contains("this rule is covered by"), "{message}");
}
