//! Reasons.

use insta::assert_snapshot;

use super::{policy, rules};

#[test]
fn a_rule_without_a_reason_is_refused() {
    let message = rules(&["read: fd == 3"]);
    assert_snapshot!(message, @r#"
    error: the rule has no reason
     --> r.policy:4:14
      |
    4 | read: fd == 3
      |              ^ add `-- reason` here
      |
      = help: say who needs it, and what for: reports and violations show it
    "#);
}

#[test]
fn an_empty_reason_is_refused() {
    let message = rules(&["read: fd == 3 --"]);
    assert_snapshot!(message, @r#"
    error: the rule has an empty reason
     --> r.policy:4:15
      |
    4 | read: fd == 3 --
      |               ^^ nothing stands after `--`
      |
      = help: say who needs it, and what for
    "#);
}

#[test]
fn a_reason_without_a_rule_is_refused() {
    let message = rules(&["-- the bell"]);
    assert_snapshot!(message, @r#"
    error: a reason without a rule
     --> r.policy:4:1
      |
    4 | -- the bell
      | ^^^^^^^^^^^ nothing stands before `--`
      |
      = help: indent the line if it goes on with the reason above
    "#);
}

#[test]
fn a_directive_takes_no_reason() {
    let message =
        policy(&["role r -- the reader", "tier filter", "otherwise trap", "read: fd == 0 -- input"]);
    assert_snapshot!(message, @r#"
    error: `role` takes no reason
     --> r.policy:1:8
      |
    1 | role r -- the reader
      |        ^^^^^^^^^^^^^ only slots and rules have one
      |
      = help: write it as a comment, after `#`
    "#);
}
