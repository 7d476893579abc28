//! Values: width, sign, masks, sets, slots as values, tests that can come out only one way.

use insta::assert_snapshot;

use super::rules;

#[test]
fn a_number_wider_than_its_argument_is_refused() {
    let message = rules(&["read: fd == 0x100000000 -- input"]);
    assert_snapshot!(message, @r#"
    error: `0x100000000` does not fit `fd`, of which 32 bits are compared
     --> r.policy:4:13
      |
    4 | read: fd == 0x100000000 -- input
      |             ^^^^^^^^^^^ too large
      |
      = help: the largest value of `fd` is 0xffffffff
    "#);
}

#[test]
fn a_negative_number_below_the_arguments_lowest_is_refused() {
    let message = rules(&["read: fd == -0x80000001 -- input"]);
    assert_snapshot!(message, @r#"
    error: `-0x80000001` does not fit `fd`, of which 32 bits are compared
     --> r.policy:4:13
      |
    4 | read: fd == -0x80000001 -- input
      |             ^^^^^^^^^^^ too large
      |
      = help: the lowest negative value of `fd` is -0x80000000
    "#);
}

#[test]
fn a_number_beyond_64_bits_is_refused() {
    let message = rules(&["read: fd == 0 && count <= 0x10000000000000000 -- input"]);
    assert_snapshot!(message, @r#"
    error: `0x10000000000000000` does not fit 64 bits
     --> r.policy:4:27
      |
    4 | read: fd == 0 && count <= 0x10000000000000000 -- input
      |                           ^^^^^^^^^^^^^^^^^^^ larger than any argument
      |
      = help: the largest number is 0xffffffffffffffff
    "#);
}

#[test]
fn digits_that_the_base_lacks_are_refused() {
    let message = rules(&["openat: dfd == AT_FDCWD && mode == 0689 -- create the log"]);
    assert_snapshot!(message, @r#"
    error: `0689` is not a number
     --> r.policy:4:36
      |
    4 | openat: dfd == AT_FDCWD && mode == 0689 -- create the log
      |                                    ^^^^ read as a number
      |
      = help: this begins like an octal number: a leading `0` and digits 0 to 7
    "#);
}

#[test]
fn an_ordered_comparison_with_a_negative_number_is_refused() {
    let message = rules(&["poll: timeout_msecs <= -1 -- wait for ever"]);
    assert_snapshot!(message, @r#"
    error: `<=` compares without signs, and `-1` is negative
     --> r.policy:4:24
      |
    4 | poll: timeout_msecs <= -1 -- wait for ever
      |                        ^^ a large number here
      |
      = help: compare with `==`, or test the sign: `(timeout_msecs & 0x80000000) != 0` is true of negative values
    "#);
}

#[test]
fn a_lower_bound_of_zero_is_always_true() {
    let message = rules(&["poll: timeout_msecs >= 0 -- wait for a while"]);
    assert_snapshot!(message, @r#"
    error: this test is always true
     --> r.policy:4:7
      |
    4 | poll: timeout_msecs >= 0 -- wait for a while
      |       ^^^^^^^^^^^^^^^^^^ true of every value
      |
      = help: comparisons are unsigned; `(timeout_msecs & 0x80000000) == 0` is true of non-negative values
    "#);
}

#[test]
fn nothing_is_below_zero() {
    let message = rules(&["poll: timeout_msecs < 0 -- wait for ever"]);
    assert_snapshot!(message, @r#"
    error: this test is never true
     --> r.policy:4:7
      |
    4 | poll: timeout_msecs < 0 -- wait for ever
      |       ^^^^^^^^^^^^^^^^^ true of no value
      |
      = help: comparisons are unsigned; `(timeout_msecs & 0x80000000) != 0` is true of negative values
    "#);
}

#[test]
fn an_upper_bound_of_the_largest_value_is_always_true() {
    let message = rules(&["read: fd <= 0xffffffff -- input"]);
    assert_snapshot!(message, @r#"
    error: this test is always true
     --> r.policy:4:7
      |
    4 | read: fd <= 0xffffffff -- input
      |       ^^^^^^^^^^^^^^^^ true of every value
      |
      = help: 0xffffffff is the largest value of `fd`; take the test away or correct it
    "#);
}

#[test]
fn nothing_is_above_the_largest_value() {
    let message = rules(&["read: fd > 0xffffffff -- input"]);
    assert_snapshot!(message, @r#"
    error: this test is never true
     --> r.policy:4:7
      |
    4 | read: fd > 0xffffffff -- input
      |       ^^^^^^^^^^^^^^^ true of no value
      |
      = help: 0xffffffff is the largest value of `fd`; take the test away or correct it
    "#);
}

#[test]
fn a_value_with_bits_outside_the_mask_never_matches() {
    let message = rules(&["openat: dfd == AT_FDCWD && (flags & 3) == 4 -- read a file"]);
    assert_snapshot!(message, @r#"
    error: this test is never true
     --> r.policy:4:28
      |
    4 | openat: dfd == AT_FDCWD && (flags & 3) == 4 -- read a file
      |                            ^^^^^^^^^^^^^^^^ true of no value
      |
      = help: the value has bits outside the mask: 0x4
    "#);
}

#[test]
fn a_value_with_bits_outside_the_mask_always_differs() {
    let message = rules(&["openat: dfd == AT_FDCWD && (flags & O_CREAT) != O_EXCL -- read a file"]);
    assert_snapshot!(message, @r#"
    error: this test is always true
     --> r.policy:4:28
      |
    4 | openat: dfd == AT_FDCWD && (flags & O_CREAT) != O_EXCL -- read a file
      |                            ^^^^^^^^^^^^^^^^^^^^^^^^^^^ true of every value
      |
      = help: the value has bits outside the mask: 0x80
    "#);
}

#[test]
fn a_mask_without_bits_is_refused() {
    let message = rules(&["openat: dfd == AT_FDCWD && (flags & O_RDONLY) == O_RDONLY -- read a file"]);
    assert_snapshot!(message, @r#"
    error: the mask has no bits
     --> r.policy:4:37
      |
    4 | openat: dfd == AT_FDCWD && (flags & O_RDONLY) == O_RDONLY -- read a file
      |                                     ^^^^^^^^ zero
      |
      = help: compare the whole argument: `flags == 0`
    "#);
}

#[test]
fn a_complement_of_every_bit_leaves_nothing_to_test() {
    let message = rules(&["openat: dfd == AT_FDCWD && flags in ~0xffffffff -- read a file"]);
    assert_snapshot!(message, @r#"
    error: this test is always true
     --> r.policy:4:28
      |
    4 | openat: dfd == AT_FDCWD && flags in ~0xffffffff -- read a file
      |                            ^^^^^^^^^^^^^^^^^^^^ true of every value
      |
      = help: no bit is outside the mask; take the test away or correct the mask
    "#);
}

#[test]
fn a_complement_is_no_value() {
    let message = rules(&["openat: dfd == AT_FDCWD && flags == ~O_CREAT -- read a file"]);
    assert_snapshot!(message, @r#"
    error: `~` makes masks, not values
     --> r.policy:4:37
      |
    4 | openat: dfd == AT_FDCWD && flags == ~O_CREAT -- read a file
      |                                     ^^^^^^^^ a complement
      |
      = help: write `flags in ~O_CREAT` for no bit outside it, or the value itself
    "#);
}

#[test]
fn an_empty_set_is_refused() {
    let message = rules(&["ioctl: fd == 3 && cmd in {} -- nothing"]);
    assert_snapshot!(message, @r#"
    error: the set is empty
     --> r.policy:4:26
      |
    4 | ioctl: fd == 3 && cmd in {} -- nothing
      |                          ^^ no value is in it
      |
      = help: name at least one value: `in {A, B}`
    "#);
}

#[test]
fn a_value_that_is_in_a_set_twice_is_refused() {
    let message = rules(&["ioctl: fd == 3 && cmd in {KVM_RUN, KVM_NMI, 0xae80} -- run"]);
    assert_snapshot!(message, @r#"
    error: `0xae80` is in the set twice
     --> r.policy:4:45
      |
    4 | ioctl: fd == 3 && cmd in {KVM_RUN, KVM_NMI, 0xae80} -- run
      |                           -------           ^^^^^^ again here
      |                           |
      |                           the same value
      |
      = help: take one of the two away
    "#);
}

#[test]
fn two_arguments_cannot_be_compared() {
    let message = rules(&["dup2: oldfd == newfd -- no effect"]);
    assert_snapshot!(message, @r#"
    error: two arguments cannot be compared
     --> r.policy:4:16
      |
    4 | dup2: oldfd == newfd -- no effect
      |                ^^^^^ an argument, not a constant
      |
      = help: a filter compares an argument with constants only
    "#);
}

#[test]
fn a_range_of_slots_is_no_single_value() {
    let message = rules(&["fd bells = 4..6 -- eventfds", "write: fd == @bells -- say that there is work"]);
    assert_snapshot!(message, @r#"
    error: slot `bells` is a range of descriptors
     --> r.policy:5:14
      |
    5 | write: fd == @bells -- say that there is work
      |              ^^^^^^ 4 to 6
      |
      = help: write `in @bells`
    "#);
}

#[test]
fn a_slot_has_no_order() {
    let message = rules(&["fd bells = 4..6 -- eventfds", "write: fd <= @bells -- say that there is work"]);
    assert_snapshot!(message, @r#"
    error: `<=` cannot compare with a slot
     --> r.policy:5:11
      |
    5 | write: fd <= @bells -- say that there is work
      |           ^^ this comparison
      |
      = help: write `== @bells` or `in @bells`
    "#);
}

#[test]
fn a_slot_is_no_set_of_bits() {
    let message = rules(&["fd bell = 4 -- eventfd", "write: fd == @bell|1 -- say that there is work"]);
    assert_snapshot!(message, @r#"
    error: a slot is a number, not a set of bits
     --> r.policy:5:14
      |
    5 | write: fd == @bell|1 -- say that there is work
      |              ^^^^^ this slot
      |
      = help: use it alone: `== @slot`, `in @slot` or `in {@a, @b}`
    "#);
}

#[test]
fn a_slot_is_tested_against_descriptors_only() {
    let message =
        rules(&["fd bell = 4 -- eventfd", "write: fd == @bell && count == @bell -- say that there is work"]);
    assert_snapshot!(message, @r#"
    error: `count` of `write` is not a descriptor
     --> r.policy:5:32
      |
    5 | write: fd == @bell && count == @bell -- say that there is work
      |                                ^^^^^ a descriptor's number
      |
      = help: the descriptor of `write` is `fd`
    "#);
}
