//! Directives: missing, twice, empty policies.

use insta::assert_snapshot;

use super::policy;

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
      = help: begin with `role NAME`, `tier filter` and `otherwise trap`, then rules: `call: expression -- reason`
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
fn missing_directives_are_each_reported() {
    let message = policy(&["read: fd == 0 -- input"]);
    assert_snapshot!(message, @r#"
    error: the policy has no `role`
     --> r.policy:1:1
      |
    1 | read: fd == 0 -- input
      | ^^^^^^^^^^^^^^^^^^^^^^ it is missing before this
      |
      = help: name the threads that the policy is for: `role vcpu`

    error: the policy has no `tier`
     --> r.policy:1:1
      |
    1 | read: fd == 0 -- input
      | ^^^^^^^^^^^^^^^^^^^^^^ it is missing before this
      |
      = help: say which mechanism holds the thread: `tier filter`, `tier bitmask` or `tier strict`

    error: the policy has no `otherwise`
     --> r.policy:1:1
      |
    1 | read: fd == 0 -- input
      | ^^^^^^^^^^^^^^^^^^^^^^ it is missing before this
      |
      = help: say what happens to every other call: `otherwise trap`, `kill`, `errno NAME` or `log`
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
