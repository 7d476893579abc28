//! What written calls mean.

use super::*;

fn parse(text: &str) -> Pattern {
    Pattern::parse(text, Arch::X86_64).unwrap_or_else(|errors| panic!("{errors}"))
}

fn refused(text: &str) -> String {
    Pattern::parse(text, Arch::X86_64).expect_err("it is wrong").to_string()
}

const INT: Width = Width::Bits32;
const LONG: Width = Width::Bits64;

#[test]
fn arguments_come_in_their_order_or_by_name() {
    let ordered = parse("ioctl(4, KVM_RUN)");
    assert_eq!(ordered.number, 16);
    assert_eq!(ordered.arguments[..3], [Known::Value(4, LONG), Known::Value(0xae80, LONG), Known::Nothing]);
    assert_eq!(parse("ioctl(cmd=KVM_RUN, fd = 4)"), ordered);
    assert_eq!(parse("sys_ioctl( 0x4 , 0xae80, ? )"), ordered);
    assert_eq!(parse("16(4, 0xae80)"), ordered);
    assert_eq!(parse("ioctl"), Pattern::of(16));
    assert_eq!(parse("getpid()"), Pattern::of(39));
}

#[test]
fn strings_and_structures_are_addresses_that_are_not_null() {
    let open = parse(r#"openat(AT_FDCWD, "/a, \"b)", O_RDONLY|O_CLOEXEC)"#);
    let at_cwd = 0xffff_ff9c;
    assert_eq!(
        open.arguments[..4],
        [Known::Value(at_cwd, INT), Known::NotNull, Known::Value(0o2_000_000, LONG), Known::Nothing]
    );
    let wait = parse("wait4(-1, [{WIFEXITED(s) && WEXITSTATUS(s) == 0}], 0, NULL)");
    assert_eq!(wait.arguments[..2], [Known::Value(0xffff_ffff, INT), Known::NotNull]);
    assert_eq!(wait.arguments[3], Known::Value(0, LONG));
}

#[test]
fn what_strace_adds_to_a_value_is_left_out() {
    assert_eq!(parse("close(3</tmp/a,b(c)>)"), parse("close(3)"));
    assert_eq!(parse("close(3<TCP:[127.0.0.1:80->127.0.0.1:81]>)"), parse("close(3)"));
    assert_eq!(parse("fcntl(3, F_SETFD /* 2 */, 0x1 /* FD_CLOEXEC */)"), parse("fcntl(3, F_SETFD, 1)"));
    assert_eq!(
        parse("ioctl(0, SNDCTL_TMR_TIMEBASE or TCGETS, {B38400})").arguments[1],
        Known::Value(0x5401, LONG)
    );
    assert_eq!(
        parse("ioctl(3, _IOC(_IOC_READ, 0x54, 0x30, 0x4), 1)").arguments[1],
        Known::Value(0x8004_5430, LONG)
    );
    assert_eq!(parse("mmap(NULL, 8192*1024)").arguments[1], Known::Value(8 << 20, LONG));
    assert_eq!(parse("lseek(3, 1<<20, SEEK_SET)").arguments[1], Known::Value(1 << 20, LONG));
    let clone = parse("clone(child_stack=NULL, flags=CLONE_CHILD_SETTID|SIGCHLD, child_tidptr=0x7f00)");
    assert_eq!(clone.arguments[0], Known::Value(0x0100_0011, LONG));
    assert_eq!(clone.arguments[3], Known::Value(0x7f00, LONG));
}

#[test]
fn negative_values_are_twos_complement_in_the_arguments_width() {
    assert_eq!(parse("poll(0x1, 1, -1)").arguments[2], Known::Value(0xffff_ffff, INT));
    assert_eq!(parse("lseek(3, -1, 0)").arguments[1], Known::Value(u64::MAX, LONG));
    assert_eq!(parse("mmap(len=~0)").arguments[1], Known::Value(u64::MAX, LONG));
}

#[test]
fn errors_underline_the_place_and_say_what_to_write() {
    insta::assert_snapshot!(
        ["iotcl(3)", "ioctl(3, KVM_RUM)", "ioctl(file=3)", "close(1, 2)", "close(0x100000000)", "close(3", "read(3) x", ""]
            .map(refused)
            .join("\n"),
        @r#"
        error: unknown call `iotcl`
         --> CALL:1:1
          |
        1 | iotcl(3)
          | ^^^^^ no call of the kernel
          |
          = help: did you mean `ioctl`?

        error: unknown constant `KVM_RUM`
         --> CALL:1:10
          |
        1 | ioctl(3, KVM_RUM)
          |          ^^^^^^^ not known
          |
          = help: did you mean `KVM_RUN`?

        error: `ioctl` has no argument `file`
         --> CALL:1:7
          |
        1 | ioctl(file=3)
          |       ^^^^ unknown argument
          |
          = help: the arguments of `ioctl` are `fd`, `cmd`, `arg`

        error: `close` has no argument 2
         --> CALL:1:10
          |
        1 | close(1, 2)
          |          ^ one too many

        error: `0x100000000` does not fit `fd`, of which the kernel reads 32 bits
         --> CALL:1:7
          |
        1 | close(0x100000000)
          |       ^^^^^^^^^^^ too large
          |
          = help: the largest value is 0xffffffff

        error: unclosed parenthesis
         --> CALL:1:6
          |
        1 | close(3
          |      ^ opened here
          |
          = help: write the closing `)` after the last argument

        error: something stands after the call
         --> CALL:1:9
          |
        1 | read(3) x
          |         ^ this

        error: this is no call
         --> CALL:1:1
          |
        1 |
          | ^ no name stands here
          |
          = help: write a call as in `openat(AT_FDCWD, "/etc/passwd", O_RDONLY)`, or its name alone
        "#
    );
}

#[test]
fn complements_cancel_each_other_however_many_there_are() {
    let known = |text: &str| Pattern::parse(text, Arch::X86_64).unwrap().arguments[1];
    assert_eq!(known("read(3, ~~5)"), known("read(3, 5)"));
    assert_eq!(known("read(3, ~~~5)"), known("read(3, ~5)"));
    assert_eq!(known(&format!("read(3, {}5)", "~".repeat(1 << 20))), known("read(3, 5)"));
}
