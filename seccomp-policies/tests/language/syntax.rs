//! Text that cannot be read.

use insta::assert_snapshot;

use super::rules;

#[test]
fn an_unclosed_parenthesis_is_underlined_where_it_opens() {
    let message = rules(&["read: (fd == 3 && (count == 8 || count == 16) -- the bell"]);
    assert_snapshot!(message, @r#"
    error: unclosed parenthesis
     --> r.policy:4:7
      |
    4 | read: (fd == 3 && (count == 8 || count == 16) -- the bell
      |       ^ opened here
      |
      = help: write the closing `)`; a rule that goes on in the next line has that line indented
    "#);
}

#[test]
fn an_unclosed_set_is_underlined_where_it_opens() {
    let message = rules(&["read: fd in {3, 4 -- the bells"]);
    assert_snapshot!(message, @r#"
    error: unclosed brace
     --> r.policy:4:13
      |
    4 | read: fd in {3, 4 -- the bells
      |             ^ opened here
      |
      = help: write the closing `}`; a rule that goes on in the next line has that line indented
    "#);
}

#[test]
fn an_unclosed_text_is_underlined() {
    let message = rules(&[r#"include "common.policy"#]);
    assert_snapshot!(message, @r#"
    error: a text in quotes is not closed
     --> r.policy:4:9
      |
    4 | include "common.policy
      |         ^^^^^^^^^^^^^^ opened here
      |
      = help: write the closing `"` on the same line
    "#);
}

#[test]
fn a_parenthesis_too_many_is_left_over() {
    let message = rules(&["read: fd == 3) -- the bell"]);
    assert_snapshot!(message, @r#"
    error: this line has more than it can hold
     --> r.policy:4:14
      |
    4 | read: fd == 3) -- the bell
      |              ^ left over
      |
      = help: take it away, or open it earlier in the line
    "#);
}

#[test]
fn words_after_the_expression_are_left_over() {
    let message = rules(&["read: fd == 3 count == 8 -- the bell"]);
    assert_snapshot!(message, @r#"
    error: this line has more than it can hold
     --> r.policy:4:15
      |
    4 | read: fd == 3 count == 8 -- the bell
      |               ^^^^^^^^^^ left over
      |
      = help: tests are joined by `&&` or `||`; a reason begins with `--`, a comment with `#`
    "#);
}

#[test]
fn a_single_equals_sign_is_no_comparison() {
    let message = rules(&["read: fd = 3 -- the bell"]);
    assert_snapshot!(message, @r#"
    error: expected a comparison, found `=`
     --> r.policy:4:10
      |
    4 | read: fd = 3 -- the bell
      |          ^ expected a comparison
      |
      = help: equality is written `==`
    "#);
}

#[test]
fn an_argument_alone_is_no_test() {
    let message = rules(&["read: fd -- the bell"]);
    assert_snapshot!(message, @r#"
    error: expected a comparison, found the end of the line
     --> r.policy:4:9
      |
    4 | read: fd -- the bell
      |         ^ expected a comparison
      |
      = help: compare it with a constant, as in `fd == 0`
    "#);
}

#[test]
fn a_mask_alone_is_no_test() {
    let message = rules(&["openat: (flags & O_CREAT) -- create the log"]);
    assert_snapshot!(message, @r#"
    error: expected `==` or `!=` after the mask, found the end of the line
     --> r.policy:4:26
      |
    4 | openat: (flags & O_CREAT) -- create the log
      |                          ^ expected `==` or `!=` after the mask
      |
      = help: if any of these bits may be set, write `(flags & O_CREAT) != 0`
    "#);
}

#[test]
fn a_mask_without_parentheses_is_shown_with_them() {
    let message = rules(&["openat: flags & O_ACCMODE == O_RDONLY -- read a file"]);
    assert_snapshot!(message, @r#"
    error: a mask needs parentheses
     --> r.policy:4:15
      |
    4 | openat: flags & O_ACCMODE == O_RDONLY -- read a file
      |               ^ this mask
      |
      = help: write `(flags & O_ACCMODE) == O_RDONLY`
    "#);
}

#[test]
fn masked_bits_have_no_order() {
    let message = rules(&["openat: (flags & O_ACCMODE) <= 1 -- read a file"]);
    assert_snapshot!(message, @r#"
    error: `<=` cannot compare masked bits
     --> r.policy:4:29
      |
    4 | openat: (flags & O_ACCMODE) <= 1 -- read a file
      |                             ^^ only `==` and `!=` can
      |
      = help: compare the bits with `==` or `!=`
    "#);
}

#[test]
fn a_negation_without_parentheses_is_refused() {
    let message = rules(&["read: !fd == 3 -- anything else"]);
    assert_snapshot!(message, @r#"
    error: `!` needs parentheses
     --> r.policy:4:7
      |
    4 | read: !fd == 3 -- anything else
      |       ^ this negation
      |
      = help: write `!(fd == 3)`, or turn the comparison around
    "#);
}

#[test]
fn a_negated_mask_needs_parentheses_too() {
    let message = rules(&["openat: !(flags & O_CREAT) == 0 -- create the log"]);
    assert_snapshot!(message, @r#"
    error: `!` needs parentheses
     --> r.policy:4:9
      |
    4 | openat: !(flags & O_CREAT) == 0 -- create the log
      |         ^ this negation
      |
      = help: write `!((flags & O_CREAT) == 0)`, or turn the comparison around
    "#);
}

#[test]
fn a_number_on_the_left_is_shown_the_right_way_round() {
    let message = rules(&["read: 3 == fd && 8 <= count -- the bell"]);
    assert_snapshot!(message, @r#"
    error: the constant stands on the left
     --> r.policy:4:7
      |
    4 | read: 3 == fd && 8 <= count -- the bell
      |       ^^^^^^^ arguments come first
      |
      = help: write `fd == 3`
    "#);
}

#[test]
fn a_named_constant_on_the_left_is_shown_the_right_way_round() {
    let message = rules(&["ioctl: KVM_RUN == cmd -- enter the guest"]);
    assert_snapshot!(message, @r#"
    error: the constant stands on the left
     --> r.policy:4:8
      |
    4 | ioctl: KVM_RUN == cmd -- enter the guest
      |        ^^^^^^^^^^^^^^ arguments come first
      |
      = help: write `cmd == KVM_RUN`
    "#);
}

#[test]
fn a_rule_that_stops_after_an_operator_is_told_how_to_go_on() {
    let message = rules(&["read: fd == 3 &&", "count == 8 -- the bell"]);
    assert_snapshot!(message, @r#"
    error: expected an argument's name, found the end of the line
     --> r.policy:4:17
      |
    4 | read: fd == 3 &&
      |                 ^ expected an argument's name
      |
      = help: to go on in the next line, indent that line

    error: `count` is neither a directive nor a rule
     --> r.policy:5:1
      |
    5 | count == 8 -- the bell
      | ^^^^^ unknown directive
      |
      = help: a rule has a colon after the call's name: `count: ... -- reason`; directives are `role`, `tier`, `otherwise`, `fd`, `include`, `frequency`
    "#);
}

#[test]
fn an_indented_line_without_a_line_above_is_refused() {
    let message = rules(&["", "  read: fd == 3 -- the bell"]);
    assert_snapshot!(message, @r#"
    error: an indented line continues the one above it, and there is none
     --> r.policy:5:3
      |
    5 |   read: fd == 3 -- the bell
      |   ^^^^^^^^^^^^^^^^^^^^^^^^^ this line is indented
      |
      = help: begin the line in the first column
    "#);
}

#[test]
fn a_character_without_meaning_is_underlined() {
    let message = rules(&["read: fd == 3 ; count == 8 -- the bell"]);
    assert_snapshot!(message, @r#"
    error: `;` has no meaning in a policy
     --> r.policy:4:15
      |
    4 | read: fd == 3 ; count == 8 -- the bell
      |               ^ this character
      |
      = help: expressions are made of names, numbers, `== != < <= > >= & | && || ! ~ in @ ( ) { }`; words belong after `--`
    "#);
}

#[test]
fn an_errno_rule_takes_its_condition_after_if() {
    let message = rules(&["openat: errno ENOENT flags == O_RDONLY -- glibc probes a file"]);
    assert_snapshot!(message, @r#"
    error: expected `if` and an expression, or the end of the rule, found `flags`
     --> r.policy:4:22
      |
    4 | openat: errno ENOENT flags == O_RDONLY -- glibc probes a file
      |                      ^^^^^ expected `if` and an expression, or the end of the rule
      |
      = help: a condition comes after `if`: `openat: errno ENOENT if dfd == AT_FDCWD`
    "#);
}

#[test]
fn in_needs_a_set() {
    let message = rules(&["read: fd in 3..4 -- the bells"]);
    assert_snapshot!(message, @r#"
    error: expected a set after `in`, found `3`
     --> r.policy:4:13
      |
    4 | read: fd in 3..4 -- the bells
      |             ^ expected a set after `in`
      |
      = help: write `in {A, B}`, `in @slots`, or `in ~MASK` for no bit outside MASK
    "#);
}

#[test]
fn an_include_needs_its_name_in_quotes() {
    let message = rules(&["include common.policy"]);
    assert_snapshot!(message, @r#"
    error: expected a file name in quotes, found `common`
     --> r.policy:4:9
      |
    4 | include common.policy
      |         ^^^^^^ expected a file name in quotes
      |
      = help: write `include "name"`; the path is relative to this file
    "#);
}

#[test]
fn parentheses_nest_to_a_limit() {
    let message = rules(&[
        "read: ((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((fd == 3)))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))) -- the bell",
    ]);
    assert_snapshot!(message, @r#"
    error: the expression nests deeper than 64 levels
     --> r.policy:4:71
      |
    4 | ...(((((((((((((((((((((((fd == 3)))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))) -- the bell
      |                     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ from here on
      |
      = help: write several rules for the call; they are alternatives
    "#);
}

#[test]
fn every_bad_line_is_reported() {
    let message = rules(&["iotcl: fd == 3 -- enter", "read: (fd == 3 -- the bell", "write: fd == 4"]);
    assert_snapshot!(message, @r#"
    error: unknown call `iotcl`
     --> r.policy:4:1
      |
    4 | iotcl: fd == 3 -- enter
      | ^^^^^ not a system call of x86_64
      |
      = help: did you mean `ioctl`?

    error: unclosed parenthesis
     --> r.policy:5:7
      |
    5 | read: (fd == 3 -- the bell
      |       ^ opened here
      |
      = help: write the closing `)`; a rule that goes on in the next line has that line indented

    error: the rule has no reason
     --> r.policy:6:15
      |
    6 | write: fd == 4
      |               ^ add `-- reason` here
      |
      = help: say who needs it, and what for: reports and violations show it
    "#);
}
