//! What is said of text that minijail would refuse, and of what a policy cannot say.

use insta::assert_snapshot;
use seccomp_policies::import::{Dialect, Options};
use seccomp_policies::syscalls::Arch;

use super::message;
use super::minijail::with_options;

fn refused(text: &str) -> String {
    message(with_options(text, &Options::default()))
}

fn lossy(text: &str) -> String {
    message(with_options(text, &Options { lossy: true, ..Options::default() }))
}

#[test]
fn characters_of_no_token() {
    assert_snapshot!(refused("read: !(arg0 == 1)\n@include ../x\nwrite: arg0 == $1"), @r#"
    error: unexpected character `!`
     --> m.policy:1:7
      |
    1 | read: !(arg0 == 1)
      |       ^ no part of minijail's language
      |
      = help: minijail has `!=` and `in ~MASK`, and no negation

    error: unexpected character `.`
     --> m.policy:2:10
      |
    2 | @include ../x
      |          ^ no part of minijail's language
      |
      = help: a path begins with `/` or with `./`

    error: unexpected character `$`
     --> m.policy:3:16
      |
    3 | write: arg0 == $1
      |                ^ no part of minijail's language
      |
      = help: a statement is `CALL: FILTER`, `@include PATH`, `@frequency PATH` or `@default ACTION`
    "#);
}

#[test]
fn statements_that_begin_wrongly() {
    assert_snapshot!(refused("@defaults trap\n3: allow\n@include x\n@default errno\nread allow\nread:"), @r#"
    error: unknown statement `@defaults`
     --> m.policy:1:1
      |
    1 | @defaults trap
      | ^^^^^^^^^ not minijail's
      |
      = help: statements are `@include`, `@frequency`, `@default` and `@denylist`

    error: a rule begins with a call's name
     --> m.policy:2:1
      |
    2 | 3: allow
      | ^ not a name
      |
      = help: as in `read: allow` or `ioctl: arg1 == 0x5401`

    error: `@include` needs a path
     --> m.policy:3:10
      |
    3 | @include x
      |          ^ not a path
      |
      = help: a path begins with `/`, or with `./` if it is relative to this file

    error: `errno` is no action
     --> m.policy:4:10
      |
    4 | @default errno
      |          ^^^^^ an action is expected
      |
      = help: actions are `allow` (or `1`), `return ERRNO`, `kill`, `kill-process`, `kill-thread`, `trap`, `log`, `trace` and `user-notify`

    error: `:` is expected
     --> m.policy:5:6
      |
    5 | read allow
      |      ^^^^^ found this

    error: an action is missing
     --> m.policy:6:6
      |
    6 | read:
      |      ^ the statement ends here
    "#);
}

#[test]
fn expressions_that_are_none() {
    assert_snapshot!(refused("read: fd == 1\nread: arg6 == 1\nread: arg0 = 1\nread: arg0 ==\nread: arg0 == 1 arg1\nread: arg0 == (1"), @r#"
    error: `fd` is no argument and no action
     --> m.policy:1:7
      |
    1 | read: fd == 1
      |       ^^ not known
      |
      = help: arguments are `arg0` to `arg5`

    error: there is no `arg6`
     --> m.policy:2:7
      |
    2 | read: arg6 == 1
      |       ^^^^ out of range
      |
      = help: a call has six arguments: `arg0` to `arg5`

    error: `=` is no operator
     --> m.policy:3:12
      |
    3 | read: arg0 = 1
      |            ^ an operator is expected
      |
      = help: operators are `==`, `!=`, `<`, `<=`, `>`, `>=`, `&` and `in`

    error: a value is missing
     --> m.policy:4:14
      |
    4 | read: arg0 ==
      |              ^ the statement ends here

    error: nothing is expected here
     --> m.policy:5:17
      |
    5 | read: arg0 == 1 arg1
      |                 ^^^^ one token too many

    error: `)` is missing
     --> m.policy:6:17
      |
    6 | read: arg0 == (1
      |               - ^ the statement ends here
      |               |
      |               `)` closes this
    "#);
}

#[test]
fn values_that_are_none() {
    assert_snapshot!(refused("read: arg0 == 089\nread: arg0 == 0x10000000000000000\nmmap: arg2 in ~PROT_EXECC\nread: arg0 == ~~1"), @r#"
    error: `089` is no number
     --> m.policy:1:15
      |
    1 | read: arg0 == 089
      |               ^^^ not digits of one base

    error: `0x10000000000000000` is no number
     --> m.policy:2:15
      |
    2 | read: arg0 == 0x10000000000000000
      |               ^^^^^^^^^^^^^^^^^^^ it has more than 64 bits

    error: unknown constant `PROT_EXECC`
     --> m.policy:3:16
      |
    3 | mmap: arg2 in ~PROT_EXECC
      |                ^^^^^^^^^^ not in the headers, nor in a constants file
      |
      = help: did you mean `PROT_EXEC`?

    error: a value is expected
     --> m.policy:4:16
      |
    4 | read: arg0 == ~~1
      |                ^ found this
      |
      = help: values are numbers and names of constants, joined by `|`, with `~` for the complement
    "#);
}

#[test]
fn a_call_that_does_not_exist() {
    assert_snapshot!(refused("raed: 1\nsys_read: 1\nio_setupx@all: 1"), @r#"
    error: unknown call `raed`
     --> m.policy:1:1
      |
    1 | raed: 1
      | ^^^^ not a system call of x86_64
      |
      = help: did you mean `read`?

    error: unknown call `sys_read`
     --> m.policy:2:1
      |
    2 | sys_read: 1
      | ^^^^^^^^ not a system call of x86_64

    error: unknown group of calls `io_setupx@all`
     --> m.policy:3:1
      |
    3 | io_setupx@all: 1
      | ^^^^^^^^^^^^^ no constants file defines it
      |
      = help: give minijail's constants.json, or name the calls
    "#);
}

#[test]
fn a_call_of_another_target() {
    let read = |lossy| {
        let options = Options { arch: Some(Arch::Aarch64), lossy, ..Options::default() };
        message(with_options("open: 1\nread: 1", &options))
    };
    assert_snapshot!(read(false), @r#"
    error: `open` does not exist on aarch64
     --> m.policy:1:1
      |
    1 | open: 1
      | ^^^^ a call of x86_64
      |
      = help: if the rule is for x86_64 alone, write `open[arch=x86_64]`
    "#);
    assert_snapshot!(read(true), @r#"
    warning: `open` does not exist on aarch64
     --> m.policy:1:1
      |
    1 | open: 1
      | ^^^^ a call of x86_64
      |
      = help: if the rule is for x86_64 alone, write `open[arch=x86_64]`
    "#);
}

#[test]
fn a_filter_after_one_that_always_applies() {
    assert_snapshot!(refused("read: 1\nwrite: { allow, arg0 == 1 }\nread: arg0 == 1"), @r#"
    error: no filter can follow one that always applies
     --> m.policy:2:17
      |
    2 | write: { allow, arg0 == 1 }
      |          -----  ^^^^^^^^^ never reached
      |          |
      |          always applies
      |
      = help: take it away, or put it before the other

    error: `read` already has a filter that always applies
     --> m.policy:3:1
      |
    1 | read: 1
      | ---- ruled on here
    2 | write: { allow, arg0 == 1 }
    3 | read: arg0 == 1
      | ^^^^ again here
      |
      = help: take one of the two away; minijail refuses the second
    "#);
}

#[test]
fn a_second_line_where_the_c_library_reads() {
    let text = "ioctl: arg1 == 1\nioctl: arg1 == 2";
    assert_snapshot!(message(with_options(text, &Options { dialect: Some(Dialect::Library), ..Options::default() })), @r#"
    error: `ioctl` is ruled on twice
     --> m.policy:2:1
      |
    1 | ioctl: arg1 == 1
      | ----- ruled on here
    2 | ioctl: arg1 == 2
      | ^^^^^ again here
      |
      = help: minijail's C library refuses the second line; join the two by `||`
    "#);
}

#[test]
fn a_guarded_return_without_a_reader() {
    assert_snapshot!(refused("ioctl: arg1 == 5; return EINVAL"), @r#"
    error: minijail's compiler and its C library read this in opposite ways
     --> m.policy:1:8
      |
    1 | ioctl: arg1 == 5; return EINVAL
      |        ^^^^^^^^^^^^^^^^^^^^^^^^ which is meant?
      |
      = help: the compiler returns the error where the expression holds, the library where it does not; say which one the policy is for
    "#);
}

#[test]
fn actions_that_a_policy_lacks() {
    assert_snapshot!(refused("read: trace\nwrite: arg0 == 1; user-notify\nclose: return 0\nstat: return 70000\nfstat: return 5000"), @r#"
    error: a policy cannot hand calls to a tracer
     --> m.policy:1:7
      |
    1 | read: trace
      |       ^^^^^ this action
      |
      = help: where losses are taken, the call fails with ENOSYS, as it does where no tracer is

    error: a policy cannot hand calls to a listener
     --> m.policy:2:19
      |
    2 | write: arg0 == 1; user-notify
      |                   ^^^^^^^^^^^ this action
      |
      = help: where losses are taken, the call fails with ENOSYS, as it does where no listener is

    error: 70000 is not an error number
     --> m.policy:4:7
      |
    4 | stat: return 70000
      |       ^^^^^^^^^^^^ more than 16 bits
    "#);
    assert_snapshot!(lossy("read: trace"), @r#"
    warning: a policy cannot hand calls to a tracer
     --> m.policy:1:7
      |
    1 | read: trace
      |       ^^^^^ this action
      |
      = help: where losses are taken, the call fails with ENOSYS, as it does where no tracer is
    "#);
}

#[test]
fn calls_of_the_x32_abi_where_the_rest_is_allowed() {
    assert_snapshot!(lossy("@denylist\nptrace: return 0"), @r"
    note: a call of the x32 ABI ends the process here
     --> m.policy:1:1
      |
    1 | @denylist
      | ^^^^^^^^^ the program that reads this lets it through
      |
      = help: its number is none that a rule names, so that it would get past each of them; the kernel may be built without that ABI
    ");
    assert_snapshot!(lossy("@default log\nptrace: return 0"), @"");
}

#[test]
fn filters_that_minijails_compiler_would_drop() {
    assert_snapshot!(refused("ioctl: { arg1 == 1; return 1, allow }\nread: arg0 & 0"), @r#"
    note: minijail's compiler drops the filters before a final `allow`
     --> m.policy:1:31
      |
    1 | ioctl: { arg1 == 1; return 1, allow }
      |                               ^^^^^ allows every call there
      |
      = help: here they decide first, as they are written

    note: this filter never applies
     --> m.policy:2:7
      |
    2 | read: arg0 & 0
      |       ^^^^^^^^ true of no call
      |
      = help: it is left out
    "#);
}

#[test]
fn metadata_other_than_an_architecture() {
    assert_snapshot!(refused("read[arch=x86_64;cpu=3]: 1\nwrite[arch=]: 1\nclose[arch=x86_64: 1"), @r#"
    error: `cpu` cannot be used here
     --> m.policy:1:18
      |
    1 | read[arch=x86_64;cpu=3]: 1
      |                  ^^^ this key
      |
      = help: write `[arch=x86_64,arm64]`, once

    error: an architecture is expected
     --> m.policy:2:12
      |
    2 | write[arch=]: 1
      |            ^ not a name

    error: `]` is expected
     --> m.policy:3:18
      |
    3 | close[arch=x86_64: 1
      |      -           ^ found this
      |      |
      |      `]` closes this
    "#);
}
