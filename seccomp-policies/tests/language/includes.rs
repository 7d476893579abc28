//! Files that include others.

use insta::assert_snapshot;

use super::files;

#[test]
fn a_missing_include_is_underlined() {
    let message = files(("r.policy", &[r#"include "commn.policy""#, "read: fd == 0 -- input"]), &[]);
    assert_snapshot!(message, @r#"
    error: cannot read `commn.policy`: no source has this name
     --> r.policy:4:9
      |
    4 | include "commn.policy"
      |         ^^^^^^^^^^^^^^ included here
      |
      = help: the path is relative to the file that holds this line, and leads to a file in the policy's folder or below
    "#);
}

#[test]
fn a_policy_that_includes_itself_is_refused() {
    let message = files(("r.policy", &[r#"include "r.policy""#, "read: fd == 0 -- input"]), &[]);
    assert_snapshot!(message, @r#"
    error: `r.policy` includes itself
     --> r.policy:4:9
      |
    4 | include "r.policy"
      |         ^^^^^^^^^^ this include closes a circle
      |
      = help: take this include away
    "#);
}

#[test]
fn a_circle_of_includes_shows_the_way_round() {
    let message = files(
        ("r.policy", &[r#"include "a.policy""#, "read: fd == 0 -- input"]),
        &[("a.policy", &[r#"include "b.policy""#]), ("b.policy", &["# back", r#"include "a.policy""#])],
    );
    assert_snapshot!(message, @r#"
    error: `a.policy` includes itself
     --> b.policy:2:9
      |
    2 | include "a.policy"
      |         ^^^^^^^^^^ this include closes a circle
      |
     ::: a.policy:1:9
      |
    1 | include "b.policy"
      |         ---------- through this include
      |
      = help: take this include away
    "#);
}

#[test]
fn a_file_included_twice_shows_both_places() {
    let message = files(
        ("r.policy", &[r#"include "a.policy""#, r#"include "./a.policy""#, "read: fd == 0 -- input"]),
        &[("a.policy", &["getpid: -- logs"])],
    );
    assert_snapshot!(message, @r#"
    error: `a.policy` is included twice
     --> r.policy:5:9
      |
    4 | include "a.policy"
      |         ---------- first included here
    5 | include "./a.policy"
      |         ^^^^^^^^^^^^ included again here
      |
      = help: take one of the two away; its rules would cover themselves
    "#);
}

#[test]
fn includes_nest_to_a_limit() {
    let message = files(
        ("0.policy", &[r#"include "1.policy""#, "read: fd == 0 -- input"]),
        &[
            ("1.policy", &[r#"include "2.policy""#]),
            ("2.policy", &[r#"include "3.policy""#]),
            ("3.policy", &[r#"include "4.policy""#]),
            ("4.policy", &[r#"include "5.policy""#]),
            ("5.policy", &[r#"include "6.policy""#]),
            ("6.policy", &[r#"include "7.policy""#]),
            ("7.policy", &[r#"include "8.policy""#]),
            ("8.policy", &[r#"include "9.policy""#]),
            ("9.policy", &[r#"include "10.policy""#]),
        ],
    );
    assert_snapshot!(message, @r#"
    error: includes nest deeper than 8 files
     --> 8.policy:1:9
      |
    1 | include "9.policy"
      |         ^^^^^^^^^^ one level too deep
      |
      = help: include the file from the policy itself
    "#);
}

#[test]
fn an_included_file_cannot_choose_the_tier() {
    let message = files(
        ("r.policy", &[r#"include "a.policy""#, "read: fd == 0 -- input"]),
        &[("a.policy", &["tier bitmask", "getpid: -- logs"])],
    );
    assert_snapshot!(message, @r#"
    error: an included file has no `tier`
     --> a.policy:1:1
      |
    1 | tier bitmask
      | ^^^^^^^^^^^^ only the policy itself says this
      |
      = help: an included file holds slots, rules and further includes; move this line to the policy
    "#);
}

#[test]
fn a_rule_that_an_include_covers_is_a_note() {
    let message = files(
        ("r.policy", &[r#"include "a.policy""#, "read: fd == 0 -- input"]),
        &[("a.policy", &["read: fd < 3 -- the three of every program"])],
    );
    assert_snapshot!(message, @r#"
    note: this rule is covered by an earlier one
     --> r.policy:5:1
      |
    5 | read: fd == 0 -- input
      | ^^^^^^^^^^^^^ matches no call that is left
      |
     ::: a.policy:1:1
      |
    1 | read: fd < 3 -- the three of every program
      | ------------ decides first
      |
      = help: the first rule that matches decides; take this one away
    "#);
}

#[test]
fn an_error_in_an_included_file_is_shown_there() {
    let message = files(
        ("r.policy", &[r#"include "a.policy""#, "read: fd == 0 -- input"]),
        &[("a.policy", &["raed: fd < 3 -- the three of every program"])],
    );
    assert_snapshot!(message, @r#"
    error: unknown call `raed`
     --> a.policy:1:1
      |
    1 | raed: fd < 3 -- the three of every program
      | ^^^^ not a system call of x86_64
      |
      = help: did you mean `read`?
    "#);
}

#[test]
fn an_absolute_path_is_underlined_in_either_directive() {
    let message = files(
        (
            "r.policy",
            &[r#"include "/etc/common.policy""#, r#"frequency "/tmp/r.profile""#, "read: fd == 0 -- input"],
        ),
        &[("/etc/common.policy", &["getpid: -- logs"])],
    );
    assert_snapshot!(message, @r#"
    error: `/etc/common.policy` is an absolute path
     --> r.policy:4:9
      |
    4 | include "/etc/common.policy"
      |         ^^^^^^^^^^^^^^^^^^^^ a policy names files beside it
      |
      = help: the path is relative to the file that holds this line, and leads to a file in the policy's folder or below
      = help: put the file there, or a copy of it

    error: `/tmp/r.profile` is an absolute path
     --> r.policy:5:11
      |
    5 | frequency "/tmp/r.profile"
      |           ^^^^^^^^^^^^^^^^ a policy names files beside it
      |
      = help: the path is relative to the file that holds this line, and leads to a file in the policy's folder or below
      = help: put the file there, or a copy of it
    "#);
}
