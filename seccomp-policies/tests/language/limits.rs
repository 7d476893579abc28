//! Texts of a megabyte, and texts that are made to be hard.

use std::fmt::Write as _;
use std::fs;

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
