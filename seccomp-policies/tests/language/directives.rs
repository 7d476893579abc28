//! Directives: missing, twice, empty policies.

use insta::assert_snapshot;

use super::{policy, policy_on_aarch64};

#[test]
fn an_empty_policy_is_refused() {
    let message = policy(&["# nothing yet"]);
    assert_snapshot!(message, @r#"
    error: the policy is empty
     --> r.policy:1:1
      |
    1 | # nothing yet
      | ^ no directive and no rule
      |
      = help: begin with `role NAME`, `tier filter` and `otherwise trap`; then rules: `call: expression -- reason`
    "#);
}

#[test]
fn a_policy_without_rules_is_refused() {
    let message = policy(&["role r", "tier filter", "otherwise kill"]);
    assert_snapshot!(message, @r#"
    error: the policy has no rule
     --> r.policy:1:1
      |
    1 | role r
      | ^^^^^^ this role may call nothing
      |
      = help: add a rule, as in `exit_group: -- the role ends the process`
    "#);
}

#[test]
fn a_policy_whose_rules_are_all_for_another_architecture_is_refused() {
    let message = policy_on_aarch64(&[
        "role r",
        "tier filter",
        "otherwise kill",
        "open on x86_64: flags == O_RDONLY -- old programs",
    ]);
    assert_snapshot!(message, @r#"
    error: the policy has no rule for aarch64
     --> r.policy:1:1
      |
    1 | role r
      | ^^^^^^ this role may call nothing
      |
      = help: add a rule, as in `exit_group: -- the role ends the process`
    "#);
}

#[test]
fn missing_directives_are_reported_together() {
    let message = policy(&["# input", "role r", "read: fd == 0 -- input"]);
    assert_snapshot!(message, @r#"
    error: the policy has no `tier`, no `otherwise`
     --> r.policy:2:1
      |
    2 | role r
      | ^^^^^^ the policy begins here
      |
      = help: `tier filter`, `tier bitmask` or `tier strict` says which mechanism holds the thread
      = help: `otherwise trap`, `kill`, `errno NAME` or `log` says what happens to every other call
    "#);
}

#[test]
fn a_file_made_for_includes_is_told_from_a_policy() {
    let message = policy(&["fd bell = 3 -- the bell", "read: fd == @bell -- the bell"]);
    assert_snapshot!(message, @r#"
    error: the policy has no `role`, no `tier`, no `otherwise`
     --> r.policy:1:1
      |
    1 | fd bell = 3 -- the bell
      | ^^^^^^^^^^^ the policy begins here
      |
      = help: a file that others include is checked through the policy that includes it
      = help: `role NAME` names the threads that the policy is for
      = help: `tier filter`, `tier bitmask` or `tier strict` says which mechanism holds the thread
      = help: `otherwise trap`, `kill`, `errno NAME` or `log` says what happens to every other call
    "#);
}

#[test]
fn a_directive_that_cannot_be_read_is_not_missing_too() {
    let message = policy(&["role r", "tier", "otherwise trap", "read: fd == 0 -- input"]);
    assert_snapshot!(message, @r#"
    error: expected `strict`, `bitmask` or `filter`, found the end of the line
     --> r.policy:2:5
      |
    2 | tier
      |     ^ expected `strict`, `bitmask` or `filter`
    "#);
}

#[test]
fn a_directive_that_is_said_twice_shows_both_places() {
    let message = policy(&[
        "role r",
        "tier filter",
        "otherwise trap",
        "tier bitmask",
        "otherwise log",
        "role s",
        "read: fd == 0 -- input",
    ]);
    assert_snapshot!(message, @r#"
    error: `tier` is said twice
     --> r.policy:4:1
      |
    2 | tier filter
      | ----------- first said here
    3 | otherwise trap
    4 | tier bitmask
      | ^^^^^^^^^^^^ said again here
      |
      = help: take one of the two away

    error: `otherwise` is said twice
     --> r.policy:5:1
      |
    3 | otherwise trap
      | -------------- first said here
    4 | tier bitmask
    5 | otherwise log
      | ^^^^^^^^^^^^^ said again here
      |
      = help: take one of the two away

    error: `role` is said twice
     --> r.policy:6:1
      |
    1 | role r
      | ------ first said here
    ...
    6 | role s
      | ^^^^^^ said again here
      |
      = help: take one of the two away
    "#);
}
