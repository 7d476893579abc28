//! What is said of profiles that LXC would refuse, and of what a policy cannot say.

use insta::assert_snapshot;
use seccomp_policies::import::Options;
use seccomp_policies::syscalls::Arch;

use super::lxc::{with_options, x86_64};
use super::message;

fn refused(text: &str) -> String {
    message(with_options(text, &x86_64()))
}

#[test]
fn a_head_that_is_none() {
    assert_snapshot!(refused(""), @r#"
    error: the profile is empty
     --> c.conf:1:1
      |
    1 |
      | ^ no version
      |
      = help: a profile begins with `2` on a line and `allowlist` or `denylist` on the next
    "#);
    assert_snapshot!(refused("3\nallowlist\n"), @r#"
    error: `3` is no version of LXC's profiles
     --> c.conf:1:1
      |
    1 | 3
      | ^ `1` or `2` is expected
    "#);
    assert_snapshot!(refused("2\n"), @r#"
    error: the profile has no style
     --> c.conf:1:3
      |
    1 | 2
      |  ^ the text ends here
      |
      = help: write `allowlist` or `denylist` after the version
    "#);
    assert_snapshot!(refused("2\nread\n"), @r#"
    error: this is no style
     --> c.conf:2:1
      |
    2 | read
      | ^^^^ this line
      |
      = help: write `allowlist` or `denylist`, then the default action
    "#);
    assert_snapshot!(refused("1\ndenylist\n0\n"), @r#"
    error: version 1 has no `denylist`
     --> c.conf:2:1
      |
    2 | denylist
      | ^^^^^^^^ this line
      |
      = help: write `2` as the version, and calls by name
    "#);
    assert_snapshot!(refused("2\nallowlist debug\n"), @r#"
    error: LXC has no `debug` style
     --> c.conf:2:1
      |
    2 | allowlist debug
      | ^^^^^^^^^^^^^^^ this line
      |
      = help: take it away
    "#);
    assert_snapshot!(refused("2\nallowlist log\n"), @r#"
    error: LXC has no action `log`
     --> c.conf:2:11
      |
    2 | allowlist log
      |           ^^^ not known
      |
      = help: actions are `allow`, `errno NUMBER`, `kill`, `trap` and `notify`
    "#);
}

#[test]
fn lines_that_are_no_rules() {
    assert_snapshot!(refused("1\nallowlist\nread\n4000\n"), @r#"
    error: version 1 lists calls by number
     --> c.conf:3:1
      |
    3 | read
      | ^^^^ no number
      |
      = help: write `2` as the version to list calls by name

    error: no call of x86_64 has the number 4000
     --> c.conf:4:1
      |
    4 | 4000
      | ^^^^ no name for it
      |
      = help: a policy names calls; without the rule this number is refused
    "#);
    assert_snapshot!(refused("2\nallowlist\n read\n[x68]\nwrite errno\nclose errno EPERM\nopen allow now\n"), @r#"
    error: LXC skips a rule that is indented
     --> c.conf:3:2
      |
    3 |  read
      |  ^^^^ this rule
      |
      = help: begin it in the first column

    error: unknown architecture
     --> c.conf:4:1
      |
    4 | [x68]
      | ^^^^^ LXC refuses this line
      |
      = help: write `[all]`, `[x86_64]`, `[x86]`, `[x32]`, `[arm64]`, `[arm]` or another that LXC knows

    error: `errno` needs a number
     --> c.conf:5:12
      |
    5 | write errno
      |            ^ not one
      |
      = help: as in `errno 1` for EPERM

    error: `errno` needs a number
     --> c.conf:6:13
      |
    6 | close errno EPERM
      |             ^^^^^ not one
      |
      = help: as in `errno 1` for EPERM

    error: nothing is expected here
     --> c.conf:7:12
      |
    7 | open allow now
      |            ^^^ one word too many
    "#);
}

#[test]
fn comparisons_that_are_none() {
    assert_snapshot!(
        refused("2\nallowlist\nread [0,1,==]\nwrite[0,1,==]\nopen allow [6,1,==]\nclose allow [0,1,=]\nstat allow [0,1,==\nlseek allow [0,1,>=][0,5,<=]\n"),
        @r#"
    error: comparisons need an action before them
     --> c.conf:3:6
      |
    3 | read [0,1,==]
      |      ^ LXC refuses this
      |
      = help: as in `kill errno 1 [1,9,==]`

    error: comparisons need an action before them
     --> c.conf:4:6
      |
    4 | write[0,1,==]
      |      ^ LXC refuses this
      |
      = help: as in `kill errno 1 [1,9,==]`

    error: this is no comparison
     --> c.conf:5:12
      |
    5 | open allow [6,1,==]
      |            ^^^^^^^^ not `[INDEX,VALUE,OPERATOR]`
      |
      = help: as in `[1,0x5401,==]`, with an index from 0 to 5 and `==`, `!=`, `<`, `<=`, `>`, `>=` or a mask: `[1,VALUE,&=,MASK]`

    error: this is no comparison
     --> c.conf:6:13
      |
    6 | close allow [0,1,=]
      |             ^^^^^^^ not `[INDEX,VALUE,OPERATOR]`
      |
      = help: as in `[1,0x5401,==]`, with an index from 0 to 5 and `==`, `!=`, `<`, `<=`, `>`, `>=` or a mask: `[1,VALUE,&=,MASK]`

    error: this is no comparison
     --> c.conf:7:12
      |
    7 | stat allow [0,1,==
      |            ^^^^^^^ not `[INDEX,VALUE,OPERATOR]`
      |
      = help: as in `[1,0x5401,==]`, with an index from 0 to 5 and `==`, `!=`, `<`, `<=`, `>`, `>=` or a mask: `[1,VALUE,&=,MASK]`

    error: argument 0 is compared twice
     --> c.conf:8:21
      |
    8 | lseek allow [0,1,>=][0,5,<=]
      |             --------^^^^^^^^ libseccomp refuses it (EINVAL)
      |             |
      |             compared here
      |
      = help: write two rules, which are alternatives, or one mask
    "#
    );
}

#[test]
fn calls_that_lxc_skips() {
    assert_snapshot!(refused("2\nallowlist\nraed\nreject_with_errno\nread\n"), @r#"
    note: unknown call `raed`
     --> c.conf:3:1
      |
    3 | raed
      | ^^^^ LXC skips this rule
      |
      = help: did you mean `read`?

    note: unknown call `reject_with_errno`
     --> c.conf:4:1
      |
    4 | reject_with_errno
      | ^^^^^^^^^^^^^^^^^ LXC skips this rule
    "#);
    let arm = Options { arch: Some(Arch::Aarch64), ..Options::default() };
    assert_snapshot!(message(with_options("2\nallowlist\nopen\nread\n", &arm)), @r#"
    note: `open` does not exist on aarch64
     --> c.conf:3:1
      |
    3 | open
      | ^^^^ a call of x86_64
      |
      = help: LXC skips it there, too
    "#);
}

#[test]
fn rules_that_libseccomp_drops() {
    assert_snapshot!(refused("2\nallowlist\nwrite errno 2 [0,1,==]\nwrite errno 1\nwrite allow\n"), @r#"
    note: this rule for `write` decides nothing
     --> c.conf:3:1
      |
    3 | write errno 2 [0,1,==]
      | ^^^^^^^^^^^^^^^^^^^^^^ libseccomp drops it
    4 | write errno 1
      | ------------- takes every such call
      |
      = help: take one of the two away

    note: this rule for `write` decides nothing
     --> c.conf:5:1
      |
    4 | write errno 1
      | ------------- takes every such call
    5 | write allow
      | ^^^^^^^^^^^ libseccomp drops it
      |
      = help: take one of the two away
    "#);
}

#[test]
fn rules_that_libseccomp_refuses_or_does_not_order() {
    assert_snapshot!(
        refused("2\nallowlist\nread kill\nwrite errno 1\nwrite allow [0,1,==]\nclose allow [0,1,==]\nclose errno 1 [1,1,==]\n"),
        @r#"
    error: this rule answers `kill_thread` as the profile does by default
     --> c.conf:3:1
      |
    3 | read kill
      | ^^^^^^^^^ libseccomp refuses it (EACCES)
      |
      = help: take it away, or give it another action

    error: two rules for `close` answer the same calls differently
     --> c.conf:7:1
      |
    7 | close errno 1 [1,1,==]
      | ^^^^^^^^^^^^^^^^^^^^^^ shares calls with an earlier rule
      |
      = help: libseccomp does not say which of them decides; here the first does
    "#
    );
}

#[test]
fn what_a_policy_cannot_say() {
    assert_snapshot!(message(with_options("2\ndenylist\n[x86]\nopen\n[all]\nmount notify\n", &Options::default())), @r#"
    error: the profile is for the calls of several ABIs
     --> c.conf:2:1
      |
    2 | denylist
      | ^^^^^^^^ LXC judges those of i386 and x32, too
      |
      = help: a policy refuses them; if x86_64 alone is what you want, ask for it

    error: rules for x86 cannot be kept
     --> c.conf:3:1
      |
    3 | [x86]
      | ^^^^^ calls that the policy refuses
      |
      = help: a policy is for the calls of one architecture, here x86_64

    error: a policy cannot hand calls to a listener
     --> c.conf:6:7
      |
    6 | mount notify
      |       ^^^^^^ this action
      |
      = help: where losses are taken, the call fails with ENOSYS, as it does where no listener is
    "#);
    let lossy = Options { lossy: true, ..x86_64() };
    let text = "2\ndenylist\nmount notify\nread kill_process\n";
    assert_snapshot!(message(with_options(text, &lossy)), @r#"
    warning: a policy cannot hand calls to a listener
     --> c.conf:3:7
      |
    3 | mount notify
      |       ^^^^^^ this action
      |
      = help: where losses are taken, the call fails with ENOSYS, as it does where no listener is

    note: LXC reads `kill_process` as `kill`
     --> c.conf:4:6
      |
    4 | read kill_process
      |      ^^^^^^^^^^^^ ends the thread
      |
      = help: it looks at the first four letters
    "#);
}
