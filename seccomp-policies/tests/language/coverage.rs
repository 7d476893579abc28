//! Rules that decide nothing, and open descriptors.

use insta::assert_snapshot;

use super::rules;

#[test]
fn a_rule_covered_by_an_earlier_one_is_an_error_at_its_line() {
    let message = rules(&["write: fd == 1 || fd == 2 -- report", "write: fd == 2 && count == 8 -- the bell"]);
    assert_snapshot!(message, @r#"
    error: this rule is covered by an earlier one
     --> r.policy:5:1
      |
    4 | write: fd == 1 || fd == 2 -- report
      | ------------------------- decides first
    5 | write: fd == 2 && count == 8 -- the bell
      | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^ matches no call that is left
      |
      = help: the first rule that matches decides; take this one away
    "#);
}

#[test]
fn a_rule_after_one_that_takes_every_call_is_covered() {
    let message = rules(&["getpid: -- logs", "getpid: -- more logs"]);
    assert_snapshot!(message, @r#"
    error: this rule is covered by an earlier one
     --> r.policy:5:1
      |
    4 | getpid: -- logs
      | ------- decides first
    5 | getpid: -- more logs
      | ^^^^^^^ matches no call that is left
      |
      = help: the earlier rule takes every call; narrow it or take one away
    "#);
}

#[test]
fn a_rule_covered_by_several_together_shows_them() {
    let message = rules(&[
        "write: fd < 4 -- low",
        "read: fd == 9 -- apart",
        "write: fd == 7 -- apart",
        "write: fd > 3 && fd < 6 -- high",
        "write: fd in {1, 5} -- both",
    ]);
    assert_snapshot!(message, @r#"
    error: this rule is covered by earlier ones together
     --> r.policy:8:1
      |
    4 | write: fd < 4 -- low
      | ------------- decides first
    ...
    7 | write: fd > 3 && fd < 6 -- high
      | ----------------------- decides first
    8 | write: fd in {1, 5} -- both
      | ^^^^^^^^^^^^^^^^^^^ matches no call that is left
      |
      = help: the first rule that matches decides; take this one away
    "#);
}

#[test]
fn an_errno_rule_counts_for_coverage() {
    let message = rules(&[
        "openat: errno ENOENT if dfd == AT_FDCWD -- glibc probes",
        "openat: dfd == AT_FDCWD && flags == O_RDONLY -- read a file",
    ]);
    assert_snapshot!(message, @r#"
    error: this rule is covered by an earlier one
     --> r.policy:5:1
      |
    4 | openat: errno ENOENT if dfd == AT_FDCWD -- glibc probes
      | --------------------------------------- decides first
    5 | openat: dfd == AT_FDCWD && flags == O_RDONLY -- read a file
      | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ matches no call that is left
      |
      = help: the first rule that matches decides; take this one away
    "#);
}

#[test]
fn tests_that_exclude_each_other_never_match() {
    let message = rules(&["read: fd == 3 && (fd & 1) == 0 -- nothing"]);
    assert_snapshot!(message, @r#"
    error: this rule can never match
     --> r.policy:4:1
      |
    4 | read: fd == 3 && (fd & 1) == 0 -- nothing
      | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ no arguments meet all of it
      |
      = help: one test excludes another; write alternatives with `||` or as rules of their own
    "#);
}

#[test]
fn an_expression_that_is_always_true_is_refused() {
    let message = rules(&["read: fd < 5 || fd > 3 -- input"]);
    assert_snapshot!(message, @r#"
    error: this expression is always true
     --> r.policy:4:1
      |
    4 | read: fd < 5 || fd > 3 -- input
      | ^^^^^^^^^^^^^^^^^^^^^^ every call meets it
      |
      = help: if any arguments are meant, write `read: -- reason`
    "#);
}

#[test]
fn an_open_descriptor_is_noted() {
    let message = rules(&["write: count == 8 -- say that there is work"]);
    assert_snapshot!(message, @r#"
    note: `write` leaves the descriptor `fd` open
     --> r.policy:4:1
      |
    4 | write: count == 8 -- say that there is work
      | ^^^^^^^^^^^^^^^^^ any descriptor of the thread
      |
      = help: if the thread uses few, name them: `fd == @slot`
    "#);
}

#[test]
fn an_anonymous_mapping_leaves_no_descriptor_open() {
    let message =
        rules(&["mmap: prot == PROT_READ|PROT_WRITE && flags == MAP_PRIVATE|MAP_ANONYMOUS -- the allocator"]);
    assert_snapshot!(message, @"");
}

#[test]
fn a_mapping_that_may_be_of_a_file_leaves_its_descriptor_open() {
    let message = rules(&["mmap: prot == PROT_READ && flags in ~MAP_PRIVATE|MAP_ANONYMOUS -- read a file"]);
    assert_snapshot!(message, @r#"
    note: `mmap` leaves the descriptor `fd` open
     --> r.policy:4:1
      |
    4 | mmap: prot == PROT_READ && flags in ~MAP_PRIVATE|MAP_ANONYMOUS -- read a file
      | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ any descriptor of the thread
      |
      = help: if the thread uses few, name them: `fd == @slot`
    "#);
}

#[test]
fn an_errno_rule_leaves_nothing_open() {
    let message = rules(&["openat: errno ENOENT -- glibc probes a file"]);
    assert_snapshot!(message, @"");
}
