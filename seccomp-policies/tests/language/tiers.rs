//! What a tier's mechanism cannot carry out.

use insta::assert_snapshot;

use super::policy;

#[test]
fn strict_mode_refuses_other_calls() {
    let message = policy(&[
        "role console",
        "tier strict",
        "otherwise kill",
        "read: -- the bell",
        "futex: -- wake the vCPU",
    ]);
    assert_snapshot!(message, @r#"
    error: strict mode refuses `futex`
     --> r.policy:5:1
      |
    2 | tier strict
      | ----------- the tier is chosen here
    ...
    5 | futex: -- wake the vCPU
      | ^^^^^ this call
      |
      = help: it allows `read`, `write`, `exit` and `rt_sigreturn`; any other call needs `tier filter`
    "#);
}

#[test]
fn strict_mode_does_not_look_at_arguments() {
    let message = policy(&[
        "role console",
        "tier strict",
        "otherwise kill",
        "fd bell = 3 -- the bell",
        "read: fd == @bell -- the bell",
    ]);
    assert_snapshot!(message, @r#"
    error: strict mode does not look at arguments
     --> r.policy:5:7
      |
    2 | tier strict
      | ----------- the tier is chosen here
    ...
    5 | read: fd == @bell -- the bell
      |       ^^^^^^^^^^^ this test
      |
      = help: write `read: -- reason`, which allows any arguments, or choose `tier filter`
    "#);
}

#[test]
fn strict_mode_has_no_errors_to_answer_with() {
    let message = policy(&["role console", "tier strict", "otherwise kill", "read: errno EPERM -- the bell"]);
    assert_snapshot!(message, @r#"
    error: strict mode has no `errno` rules
     --> r.policy:4:1
      |
    2 | tier strict
      | ----------- the tier is chosen here
    3 | otherwise kill
    4 | read: errno EPERM -- the bell
      | ^^^^^^^^^^^^^^^^^ this rule
      |
      = help: it knows calls that are allowed and calls that are not; `tier filter` has other answers
    "#);
}

#[test]
fn a_strict_policy_names_slots_that_no_rule_can_test() {
    let message = policy(&[
        "role console",
        "tier strict",
        "otherwise kill",
        "fd bell = 3 -- the bell",
        "read: -- the bell",
    ]);
    assert_snapshot!(message, @"");
}

#[test]
fn strict_mode_can_only_kill() {
    let message = policy(&["role console", "tier strict", "otherwise trap", "read: -- the bell"]);
    assert_snapshot!(message, @r#"
    error: strict mode can only kill
     --> r.policy:3:1
      |
    3 | otherwise trap
      | ^^^^^^^^^^^^^^ the kernel gives no choice
      |
      = help: write `otherwise kill`: a refused call ends the thread
    "#);
}

#[test]
fn the_bitmask_tier_does_not_look_at_arguments() {
    let message =
        policy(&["role r", "tier bitmask", "otherwise trap", "read: (fd == 0 || fd == 3) -- input"]);
    assert_snapshot!(message, @r#"
    error: the bitmask tier does not look at arguments
     --> r.policy:4:8
      |
    2 | tier bitmask
      | ------------ the tier is chosen here
    3 | otherwise trap
    4 | read: (fd == 0 || fd == 3) -- input
      |        ^^^^^^^ this test
      |
      = help: write `read: -- reason`, which allows any arguments, or choose `tier filter`
    "#);
}

#[test]
fn the_bitmask_tier_has_no_errors_to_answer_with() {
    let message =
        policy(&["role r", "tier bitmask", "otherwise trap", "openat: errno ENOENT -- glibc probes a file"]);
    assert_snapshot!(message, @r#"
    error: the bitmask tier has no `errno` rules
     --> r.policy:4:1
      |
    2 | tier bitmask
      | ------------ the tier is chosen here
    3 | otherwise trap
    4 | openat: errno ENOENT -- glibc probes a file
      | ^^^^^^^^^^^^^^^^^^^^ this rule
      |
      = help: it knows calls that are allowed and calls that are not; `tier filter` has other answers
    "#);
}
