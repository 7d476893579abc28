//! How many bits a test compares.

use insta::assert_snapshot;
use seccomp_policies::language::{Condition, Relation, Test, Width};

use super::{checked, rules};

fn condition(rule: &str) -> Condition {
    checked(&[rule]).policy.rules[0].condition.clone()
}

fn test(argument: u8, width: Width, relation: Relation) -> Condition {
    Condition::Test(Test { argument, width, relation })
}

#[test]
fn a_type_says_how_much_of_the_register_is_compared() {
    for (rule, wanted) in [
        ("read: fd == 3 -- r", test(0, Width::Bits32, Relation::Equal(3))),
        ("read: fd:u32 == 3 -- r", test(0, Width::Bits32, Relation::Equal(3))),
        ("read: fd:u64 == 3 -- r", test(0, Width::Bits64, Relation::Equal(3))),
        ("read: fd:u64 < 0x100000000 -- r", test(0, Width::Bits64, Relation::Less(1 << 32))),
        ("mmap: flags:u32 == MAP_SHARED -- r", test(3, Width::Bits32, Relation::Equal(1))),
        (
            "mmap: flags:u32 in ~MAP_SHARED -- r",
            test(3, Width::Bits32, Relation::Masked { mask: 0xffff_fffe, value: 0 }),
        ),
        (
            "ioctl: (cmd:u64 & 0xff00000000) == 0 -- r",
            test(1, Width::Bits64, Relation::Masked { mask: 0xff << 32, value: 0 }),
        ),
        (
            "openat: dfd:u64 == AT_FDCWD -- r",
            test(0, Width::Bits64, Relation::Equal((-100_i64).cast_unsigned())),
        ),
        ("getpid: register5 == 1 -- r", test(5, Width::Bits64, Relation::Equal(1))),
        ("read: register3:u32 == 1 -- r", test(3, Width::Bits32, Relation::Equal(1))),
    ] {
        assert_eq!(condition(rule), wanted, "{rule}");
    }
}

#[test]
fn the_expression_of_a_rule_keeps_the_type() {
    let rule = "read: (fd:u64 & 1) == 0 || (fd == 3 && count:u32 in {1, 2}) -- r";
    assert_eq!(
        checked(&[rule]).policy.rules[0].expression,
        "(fd:u64 & 1) == 0 || (fd == 3 && count:u32 in {1, 2})"
    );
}

#[test]
fn a_type_that_is_none_and_a_register_that_has_a_name_are_errors() {
    assert_snapshot!(rules(&[
        "read: fd:u16 == 3 -- r",
        "read: fd: == 3 -- r",
        "read: count:u32 == 0x100000000 -- r",
        "read: arg0 == 3 -- r",
        "read: register2 == 3 -- r",
        "read: arg5 == 3 -- r",
    ]), @r"
    error: unknown type `u16`
     --> r.policy:4:10
      |
    4 | read: fd:u16 == 3 -- r
      |          ^^^ how many bits are compared
      |
      = help: write `u32` for the lower half of the register, `u64` for the whole of it

    error: expected `u32` or `u64`, found `==`
     --> r.policy:5:11
      |
    5 | read: fd: == 3 -- r
      |           ^^ expected `u32` or `u64`

    error: `0x100000000` does not fit `count`, of which 32 bits are compared
     --> r.policy:6:20
      |
    6 | read: count:u32 == 0x100000000 -- r
      |                    ^^^^^^^^^^^ too large
      |
      = help: the largest value of `count` is 0xffffffff

    error: `read` has no argument `arg0`
     --> r.policy:7:7
      |
    7 | read: arg0 == 3 -- r
      |       ^^^^ a register, not a name
      |
      = help: write `fd`

    error: `read` has no argument `register2`
     --> r.policy:8:7
      |
    8 | read: register2 == 3 -- r
      |       ^^^^^^^^^ a register, not a name
      |
      = help: write `count`

    error: `read` has no argument `arg5`
     --> r.policy:9:7
      |
    9 | read: arg5 == 3 -- r
      |       ^^^^ a register, not a name
      |
      = help: write `register5`
    ");
}

#[test]
fn a_refusal_shows_the_bits_that_the_test_compares() {
    let policy = checked(&["read: fd:u64 == 3 -- input", "getpid: register5 == 1 -- r"]).policy;
    let call = |number, arguments| seccomp_policies::call::Call {
        number,
        arch: policy.arch.audit_value(),
        instruction_pointer: 0,
        arguments,
    };
    let said = |number, arguments| policy.refusal(&call(number, arguments)).unwrap().failed.join("; ");
    assert_snapshot!(said(0, [0x1_0000_0003, 0, 0, 0, 0, 0]), @"fd is 4294967299, not 3");
    assert_snapshot!(said(39, [0, 0, 0, 0, 0, 7]), @"register5 is 0x7, not 0x1");
}
