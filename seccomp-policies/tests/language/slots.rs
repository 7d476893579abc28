//! Definitions of descriptor slots.

use insta::assert_snapshot;

use super::rules;

#[test]
fn a_slot_defined_twice_shows_both_places() {
    let message = rules(&[
        "fd bell = 4 -- main's bell",
        "fd bell = 5 -- the console's bell",
        "write: fd == @bell -- say that there is work",
    ]);
    assert_snapshot!(message, @r#"
    error: slot `bell` is defined twice
     --> r.policy:5:1
      |
    4 | fd bell = 4 -- main's bell
      | ----------- first defined here
    5 | fd bell = 5 -- the console's bell
      | ^^^^^^^^^^^ defined again here
      |
      = help: give one of the two another name, or one range: `fd name = 4..6`
    "#);
}

#[test]
fn slots_that_overlap_show_the_number_and_a_free_one() {
    let message = rules(&[
        "fd bells = 4..6 -- eventfds",
        "fd vcpu = 7 -- the vCPU",
        "fd disk = 6 -- the disk",
        "write: fd in {@bells, @vcpu, @disk} -- all of them",
    ]);
    assert_snapshot!(message, @r#"
    error: slots `bells` and `disk` share descriptor 6
     --> r.policy:6:1
      |
    4 | fd bells = 4..6 -- eventfds
      | --------------- takes 6
    5 | fd vcpu = 7 -- the vCPU
    6 | fd disk = 6 -- the disk
      | ^^^^^^^^^^^ takes 6 too
      |
      = help: the lowest number free after it is 8
    "#);
}

#[test]
fn a_range_that_descends_is_turned() {
    let message = rules(&["fd bells = 6..4 -- eventfds", "write: fd in @bells -- say that there is work"]);
    assert_snapshot!(message, @r#"
    error: the range of slot `bells` descends
     --> r.policy:4:12
      |
    4 | fd bells = 6..4 -- eventfds
      |            ^^^^ ends before it begins
      |
      = help: write `4..6`; both ends belong to it
    "#);
}

#[test]
fn a_descriptor_that_linux_never_gives_out_is_refused() {
    let message = rules(&["fd disk = 1048576 -- the disk", "read: fd == @disk -- blocks"]);
    assert_snapshot!(message, @r#"
    error: slot `disk` is beyond the highest descriptor
     --> r.policy:4:11
      |
    4 | fd disk = 1048576 -- the disk
      |           ^^^^^^^ no descriptor has this number
      |
      = help: Linux gives out 0 to 1048575
    "#);
}

#[test]
fn a_slot_without_a_reason_is_refused() {
    let message = rules(&["fd disk = 3", "read: fd == @disk -- blocks"]);
    assert_snapshot!(message, @r#"
    error: the slot has no reason
     --> r.policy:4:12
      |
    4 | fd disk = 3
      |            ^ add `-- reason` here
      |
      = help: say who needs it, and what for: reports and violations show it
    "#);
}

#[test]
fn a_slot_that_no_rule_names_is_noted() {
    let message = rules(&["fd disk = 3 -- the disk", "fd log = 4 -- the log", "read: fd == @disk -- blocks"]);
    assert_snapshot!(message, @r#"
    note: no rule names the slot `log`
     --> r.policy:5:1
      |
    5 | fd log = 4 -- the log
      | ^^^^^^^^^^ held, and never tested
      |
      = help: pin a rule to it, as in `fd == @log`, or take the slot away
    "#);
}
