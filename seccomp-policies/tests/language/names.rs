//! Names that mean nothing: calls, arguments, constants, slots, directives, architectures.

use insta::assert_snapshot;

use super::{policy, rules, rules_on_aarch64};

#[test]
fn an_unknown_call_is_underlined_and_the_nearest_name_suggested() {
    let message = rules(&["iotcl: fd == 3 -- enter the guest"]);
    assert_snapshot!(message, @r#"
    error: unknown call `iotcl`
     --> r.policy:4:1
      |
    4 | iotcl: fd == 3 -- enter the guest
      | ^^^^^ not a system call of x86_64
      |
      = help: did you mean `ioctl`?
    "#);
}

#[test]
fn a_call_unlike_any_other_gets_no_suggestion() {
    let message = rules(&["frobnicate: -- nobody knows"]);
    assert_snapshot!(message, @r#"
    error: unknown call `frobnicate`
     --> r.policy:4:1
      |
    4 | frobnicate: -- nobody knows
      | ^^^^^^^^^^ not a system call of x86_64
      |
      = help: use the kernel's name of the call, as `strace` shows it
    "#);
}

#[test]
fn an_unknown_argument_is_underlined_and_the_nearest_name_suggested() {
    let message = rules(&["ioctl: cdm == KVM_RUN && fd == 3 -- enter the guest"]);
    assert_snapshot!(message, @r#"
    error: `ioctl` has no argument `cdm`
     --> r.policy:4:8
      |
    4 | ioctl: cdm == KVM_RUN && fd == 3 -- enter the guest
      |        ^^^ unknown argument
      |
      = help: did you mean `cmd`?
    "#);
}

#[test]
fn an_argument_unlike_any_other_gets_the_calls_own_list() {
    let message = rules(&["ioctl: request == KVM_RUN && fd == 3 -- enter the guest"]);
    assert_snapshot!(message, @r#"
    error: `ioctl` has no argument `request`
     --> r.policy:4:8
      |
    4 | ioctl: request == KVM_RUN && fd == 3 -- enter the guest
      |        ^^^^^^^ unknown argument
      |
      = help: the arguments of `ioctl` are `fd`, `cmd`, `arg`
    "#);
}

#[test]
fn a_test_on_a_call_without_arguments_says_so() {
    let message = rules(&["getpid: fd == 3 -- who am I"]);
    assert_snapshot!(message, @r#"
    error: `getpid` has no arguments
     --> r.policy:4:9
      |
    4 | getpid: fd == 3 -- who am I
      |         ^^^^^^^ nothing to compare
      |
      = help: write `getpid: -- reason`
    "#);
}

#[test]
fn an_unknown_constant_is_underlined_and_the_nearest_name_suggested() {
    let message = rules(&["ioctl: fd == 3 && cmd == KVM_RUM -- enter the guest"]);
    assert_snapshot!(message, @r#"
    error: unknown constant `KVM_RUM`
     --> r.policy:4:26
      |
    4 | ioctl: fd == 3 && cmd == KVM_RUM -- enter the guest
      |                          ^^^^^^^ no header defines it
      |
      = help: did you mean `KVM_RUN`?
    "#);
}

#[test]
fn a_constant_unlike_any_other_asks_for_the_number() {
    let message = rules(&["ioctl: fd == 3 && cmd == MY_DRIVER_REQUEST_77 -- a private driver"]);
    assert_snapshot!(message, @r#"
    error: unknown constant `MY_DRIVER_REQUEST_77`
     --> r.policy:4:26
      |
    4 | ioctl: fd == 3 && cmd == MY_DRIVER_REQUEST_77 -- a private driver
      |                          ^^^^^^^^^^^^^^^^^^^^ no header defines it
      |
      = help: write the number, with its name in the reason
    "#);
}

#[test]
fn an_unknown_slot_is_underlined_and_the_nearest_name_suggested() {
    let message = rules(&[
        "fd bells = 4..6 -- eventfds",
        "write: fd in @bels || fd in @bells -- say that there is work",
    ]);
    assert_snapshot!(message, @r#"
    error: unknown slot `@bels`
     --> r.policy:5:15
      |
    5 | write: fd in @bels || fd in @bells -- say that there is work
      |               ^^^^ no `fd` line defines it
      |
      = help: did you mean `@bells`?
    "#);
}

#[test]
fn a_slot_where_none_is_defined_shows_how_to_define_it() {
    let message = rules(&["read: fd == @input -- the guest's input"]);
    assert_snapshot!(message, @r#"
    error: unknown slot `@input`
     --> r.policy:4:13
      |
    4 | read: fd == @input -- the guest's input
      |             ^^^^^^ no `fd` line defines it
      |
      = help: define it: `fd input = 3 -- what it is`
    "#);
}

#[test]
fn an_unknown_directive_is_underlined_and_the_nearest_name_suggested() {
    let message = rules(&["otherwize trap"]);
    assert_snapshot!(message, @r#"
    error: `otherwize` is neither a directive nor a rule
     --> r.policy:4:1
      |
    4 | otherwize trap
      | ^^^^^^^^^ unknown directive
      |
      = help: did you mean `otherwise`?
    "#);
}

#[test]
fn a_call_without_a_colon_is_told_to_have_one() {
    let message = rules(&["read fd == 3 -- the bell"]);
    assert_snapshot!(message, @r#"
    error: `read` is neither a directive nor a rule
     --> r.policy:4:1
      |
    4 | read fd == 3 -- the bell
      | ^^^^ unknown directive
      |
      = help: a rule has a colon after the call's name: `read: ... -- reason`; directives are `role`, `tier`, `otherwise`, `fd`, `include`, `frequency`
    "#);
}

#[test]
fn an_unknown_tier_lists_the_known_ones() {
    let message = policy(&["role r", "tier sandbox", "otherwise trap", "read: fd == 0 -- input"]);
    assert_snapshot!(message, @r#"
    error: unknown tier `sandbox`
     --> r.policy:2:6
      |
    2 | tier sandbox
      |      ^^^^^^^ not one of the known ones
      |
      = help: write one of `strict`, `bitmask`, `filter`
    "#);
}

#[test]
fn a_misspelt_verdict_gets_the_nearest_one() {
    let message = policy(&["role r", "tier filter", "otherwise tarp", "read: fd == 0 -- input"]);
    assert_snapshot!(message, @r#"
    error: unknown verdict `tarp`
     --> r.policy:3:11
      |
    3 | otherwise tarp
      |           ^^^^ not one of the known ones
      |
      = help: did you mean `trap`?
    "#);
}

#[test]
fn an_unknown_error_is_underlined_and_the_nearest_name_suggested() {
    let message = rules(&["openat: errno ENOENTT -- glibc probes a file"]);
    assert_snapshot!(message, @r#"
    error: unknown error `ENOENTT`
     --> r.policy:4:15
      |
    4 | openat: errno ENOENTT -- glibc probes a file
      |               ^^^^^^^ no errno has this name
      |
      = help: did you mean `ENOENT`?
    "#);
}

#[test]
fn an_error_number_out_of_range_is_refused() {
    let message = rules(&["openat: errno 4096 -- glibc probes a file"]);
    assert_snapshot!(message, @r#"
    error: `4096` is not an error number
     --> r.policy:4:15
      |
    4 | openat: errno 4096 -- glibc probes a file
      |               ^^^^ out of range
      |
      = help: the kernel's are 1 to 4095, and 0 is success; better use a name, as in `errno EPERM`
    "#);
}

#[test]
fn an_unknown_architecture_is_underlined() {
    let message = rules(&["open on arm64: -- old programs"]);
    assert_snapshot!(message, @r#"
    error: unknown architecture `arm64`
     --> r.policy:4:9
      |
    4 | open on arm64: -- old programs
      |         ^^^^^ not a target of this compiler
      |
      = help: did you mean `aarch64`?
    "#);
}

#[test]
fn a_call_of_the_other_architecture_asks_for_a_qualifier() {
    let message = rules_on_aarch64(&["dup2: oldfd == 3 && newfd == 0 -- old programs"]);
    assert_snapshot!(message, @r#"
    error: `dup2` does not exist on aarch64
     --> r.policy:4:1
      |
    4 | dup2: oldfd == 3 && newfd == 0 -- old programs
      | ^^^^ a call of x86_64
      |
      = help: if the rule is for x86_64 alone, say so: `dup2 on x86_64: ...`
    "#);
}

#[test]
fn a_qualifier_that_names_the_wrong_architecture_is_refused() {
    let message = rules(&["open on aarch64: -- old programs"]);
    assert_snapshot!(message, @r#"
    error: `open` does not exist on aarch64
     --> r.policy:4:1
      |
    4 | open on aarch64: -- old programs
      | ^^^^ a call of x86_64
      |
      = help: write `open on x86_64: ...`
    "#);
}

#[test]
fn a_constant_of_the_other_architecture_asks_for_a_qualifier() {
    let message =
        rules_on_aarch64(&["mmap: flags == MAP_PRIVATE|MAP_ANONYMOUS|MAP_32BIT -- code near the rest"]);
    assert_snapshot!(message, @r#"
    error: `MAP_32BIT` does not exist on aarch64
     --> r.policy:4:42
      |
    4 | mmap: flags == MAP_PRIVATE|MAP_ANONYMOUS|MAP_32BIT -- code near the rest
      |                                          ^^^^^^^^^ a constant of x86_64
      |
      = help: if the rule is for x86_64 alone, write `on x86_64` after the call's name
    "#);
}
