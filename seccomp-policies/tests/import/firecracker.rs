//! Firecracker's and seccompiler's JSON.

use std::collections::HashMap;
use std::io::Cursor;

use insta::assert_snapshot;
use proptest::prelude::*;
use seccomp_policies::bpf::Instruction;
use seccomp_policies::import::{Format, Options};
use seccomp_policies::language::{Policy, check_sources, write};
use seccomp_policies::prove::Decisions;
use seccomp_policies::syscalls::Arch;
use seccompiler::{TargetArch, compile_from_json};

use super::{corpus, good, said, written, x86_64};

pub(super) const TWO_THREADS: &str = r#"{
    "vmm": {
        "default_action": "trap",
        "filter_action": "allow",
        "filter": [
            {"syscall": "exit_group", "comment": "the end"},
            {
                "syscall": "ioctl",
                "comment": "enter the guest",
                "args": [
                    {"index": 1, "type": "dword", "op": "eq", "val": 44672, "comment": "KVM_RUN"},
                    {"index": 2, "type": "qword", "op": "eq", "val": 0}
                ]
            },
            {"syscall": "futex", "args": [{"index": 1, "type": "dword", "op": "eq", "val": 128}]},
            {"syscall": "madvise", "args": [{"index": 2, "type": "qword", "op": "le", "val": 4}]},
            {"syscall": "mmap", "args": [{"index": 3, "type": "dword", "op": "eq", "val": 34}]},
            {"syscall": "socket", "args": [{"index": 0, "type": "qword", "op": "lt", "val": 38}]},
            {"syscall": "openat", "args": [{"index": 2, "type": "dword", "op": {"masked_eq": 3}, "val": 0}]}
        ]
    },
    "api": {
        "mismatch_action": {"errno": 38},
        "match_action": "log",
        "filter": [
            {"syscall": "read", "args": [{"index": 0, "type": "dword", "op": "ne", "val": 0}]},
            {"syscall": "read", "args": [{"index": 0, "type": "dword", "op": "ge", "val": 7}]},
            {"syscall": "write", "args": [{"index": 0, "type": "dword", "op": "gt", "val": 7}]},
            {"syscall": "write"}
        ]
    }
}"#;

/// The programs that seccompiler makes of a file, by thread.
fn oracle(text: &str) -> HashMap<String, Vec<Instruction>> {
    compile_from_json(Cursor::new(text), TargetArch::x86_64).unwrap()
}

/// The policy and seccompiler's program answer every call alike.
fn assert_as_seccompiler(policy: &Policy, program: &[Instruction]) {
    let theirs = Decisions::of_program(program).unwrap();
    if let Some(difference) = Decisions::of_policy(policy).difference(&theirs) {
        panic!("{difference}\n{}", write(policy));
    }
}

fn assert_all_as_seccompiler(text: &str) {
    let policies = good(text, Format::Firecracker, &x86_64()).policies;
    let programs = oracle(text);
    assert_eq!(policies.len(), programs.len());
    for policy in policies {
        assert_as_seccompiler(&policy, &programs[&policy.role]);
        let text = write(&policy);
        let again = check_sources("p", &[("p", &text)], Arch::X86_64).unwrap().policy;
        assert_as_seccompiler(&again, &programs[&policy.role]);
    }
}

#[test]
fn a_file_means_what_seccompiler_makes_of_it() {
    assert_all_as_seccompiler(TWO_THREADS);
    if let Some(text) = corpus("firecracker-x86_64.json") {
        assert_all_as_seccompiler(&text);
    }
}

#[test]
fn each_thread_becomes_a_policy_with_names_and_reasons() {
    let imported = good(TWO_THREADS, Format::Firecracker, &x86_64());
    assert_snapshot!(written(&imported.policies), @r"
    role vmm
    tier filter
    otherwise trap

    exit_group:                                   -- the end
    ioctl: cmd == KVM_RUN && arg == 0             -- enter the guest; KVM_RUN
    futex: op == FUTEX_WAIT_PRIVATE               -- imported from policy.json:15
    madvise: behavior:u64 <= MADV_DONTNEED        -- imported from policy.json:16
    mmap: flags:u32 == MAP_PRIVATE|MAP_ANONYMOUS  -- imported from policy.json:17
    socket: family:u64 < AF_ALG                   -- imported from policy.json:18
    openat: (flags & O_ACCMODE) == O_RDONLY       -- imported from policy.json:19

    role api
    tier filter
    otherwise errno ENOSYS

    read: log if fd != 0  -- imported from policy.json:26
    # covered by earlier rules: read: log if fd >= 7 -- imported from policy.json:27
    write: log if fd > 7  -- imported from policy.json:28
    ");
    assert_snapshot!(imported.notes.render(false), @r#"
    note: this rule is covered by an earlier one
      --> policy.json:27:13
       |
    26 |             {"syscall": "read", "args": [{"index": 0, "type": "dword", "op": "ne", "val": 0}]},
       |             ---------------------------------------------------------------------------------- decides first
    27 |             {"syscall": "read", "args": [{"index": 0, "type": "dword", "op": "ge", "val": 7}]},
       |             ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ matches no call that is left
       |
       = help: the first rule that matches decides; take this one away

    note: this rule for `write` decides nothing
      --> policy.json:29:13
       |
    29 |             {"syscall": "write"}
       |             ^^^^^^^^^^^^^^^^^^^^ no `args`, and another rule of the call has some
       |
       = help: seccompiler lets the conditional rules decide alone; take this one away, or those
    "#);
}

#[test]
fn one_thread_can_be_asked_for() {
    let options = |role: &str| Options { role: Some(role.to_owned()), ..x86_64() };
    let imported = good(TWO_THREADS, Format::Firecracker, &options("api"));
    assert_eq!(imported.policies.iter().map(|policy| policy.role.as_str()).collect::<Vec<_>>(), ["api"]);
    assert_snapshot!(said(r#"{"vmm": {}, "api": {}}"#, Format::Firecracker, &options("vcpu")), @r#"
    error: the file has no thread `vcpu`
     --> policy.json:1:1
      |
    1 | {"vmm": {}, "api": {}}
      | ^^^^^^^^^^^^^^^^^^^^^^ these threads alone
      |
      = help: it has vmm, api
    "#);
}

#[test]
fn the_widths_of_the_kernel_can_be_asked_for() {
    let options = Options { kernel_widths: true, role: Some("vmm".to_owned()), ..x86_64() };
    let imported = good(TWO_THREADS, Format::Firecracker, &options);
    let rule = |name: &str| {
        let rule = imported.policies[0].rules.iter().find(|rule| rule.call.name == name).unwrap();
        rule.expression.clone()
    };
    assert_eq!(
        (rule("socket").as_str(), rule("madvise").as_str()),
        ("family < AF_ALG", "behavior <= MADV_DONTNEED")
    );
    assert_snapshot!(imported.notes.render(false), @r#"
    note: 2 rules compare more bits than the kernel reads
      --> policy.json:16:13
       |
    16 |             {"syscall": "madvise", "args": [{"index": 2, "type": "qword", "op": "le", "val": 4}]},
       |             ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ here the lower 32 alone, as asked for
       |
       = help: a call with other bits in the upper half is the same call for the kernel
    "#);
}

#[test]
fn what_is_no_filter_is_underlined() {
    let text = r#"{
    "a": {"default_action": "trap", "filter_action": "kill", "filter": []},
    "b": {"default_action": "trap", "filter_action": "allow", "fliter": []},
    "c": {"default_action": {"trace": 1}, "filter_action": {"errno": 0}, "filter": []},
    "d": {"default_action": {"errno": 70000}, "filter_action": {"errno": 5000}, "filter": []},
    "e": {"default_action": "log", "filter_action": "log", "filter": [{"syscall": "read"}]},
    "g": []
}"#;
    assert_snapshot!(said(text, Format::Firecracker, &x86_64()), @r#"
    error: unknown action `kill`
     --> policy.json:2:54
      |
    2 |     "a": {"default_action": "trap", "filter_action": "kill", "filter": []},
      |                                                      ^^^^^^ not an action
      |
      = help: the actions are "allow", "trap", "log", "kill_thread", "kill_process", {"errno": N} and {"trace": N}

    error: a filter has no `filter`
     --> policy.json:3:10
      |
    3 |     "b": {"default_action": "trap", "filter_action": "allow", "fliter": []},
      |          ^ begins here

    error: a filter has no field `fliter`
     --> policy.json:3:63
      |
    3 |     "b": {"default_action": "trap", "filter_action": "allow", "fliter": []},
      |                                                               ^^^^^^^^ unknown field
      |
      = help: did you mean `filter`?

    error: a policy cannot hand calls to a tracer
     --> policy.json:4:29
      |
    4 |     "c": {"default_action": {"trace": 1}, "filter_action": {"errno": 0}, "filter": []},
      |                             ^^^^^^^^^^^^ this action
      |
      = help: where losses are taken, the call fails with ENOSYS, as it does where no tracer is

    error: the number of an action has 16 bits
     --> policy.json:5:39
      |
    5 |     "d": {"default_action": {"errno": 70000}, "filter_action": {"errno": 5000}, "filter": []},
      |                                       ^^^^^ too large

    error: the filter answers `log` to every call
     --> policy.json:6:10
      |
    6 |     "e": {"default_action": "log", "filter_action": "log", "filter": [{"syscall": "read"}]},
      |          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ both actions are the same

    error: a filter is an object
     --> policy.json:7:10
      |
    7 |     "g": []
      |          ^^ an array here
    "#);
}

#[test]
fn what_is_no_rule_is_underlined() {
    let text = r#"{"a": {"default_action": "log", "filter_action": "allow", "filter": [
    {"syscall": "raed"},
    {"syscall": "sys_read"},
    {"syscall": "read", "args": []},
    {"syscall": "read", "args": [{"index": 6, "type": "word", "op": "is", "val": -1}]},
    {"syscall": "read", "args": [{"index": 0, "type": "dword", "op": {"mask": 1}, "val": 3}]},
    {"syscall": "read", "syscall": "write", "comment": 3},
    {"args": null},
    7
]}}"#;
    assert_snapshot!(said(text, Format::Firecracker, &x86_64()), @r#"
    error: `raed` is not a call of x86_64
     --> policy.json:2:17
      |
    2 |     {"syscall": "raed"},
      |                 ^^^^^^ unknown call
      |
      = help: did you mean `read`?

    error: `sys_read` is not a call of x86_64
     --> policy.json:3:17
      |
    3 |     {"syscall": "sys_read"},
      |                 ^^^^^^^^^^ unknown call
      |
      = help: use the kernel's name of the call, and name the architecture if it is another

    error: `args` is empty
     --> policy.json:4:33
      |
    4 |     {"syscall": "read", "args": []},
      |                                 ^^ no condition
      |
      = help: leave `args` out if any arguments are meant

    error: a call has the arguments 0 to 5
     --> policy.json:5:44
      |
    5 |     {"syscall": "read", "args": [{"index": 6, "type": "word", "op": "is", "val": -1}]},
      |                                            ^ no such argument

    error: unknown type `word`
     --> policy.json:5:55
      |
    5 |     {"syscall": "read", "args": [{"index": 6, "type": "word", "op": "is", "val": -1}]},
      |                                                       ^^^^^^ how many bits are compared
      |
      = help: write "dword" for 32 bits or "qword" for 64

    error: `val` is a whole number from 0 to 18446744073709551615
     --> policy.json:5:82
      |
    5 |     {"syscall": "read", "args": [{"index": 6, "type": "word", "op": "is", "val": -1}]},
      |                                                                                  ^^ not one

    error: unknown operator
     --> policy.json:6:70
      |
    6 |     {"syscall": "read", "args": [{"index": 0, "type": "dword", "op": {"mask": 1}, "val": 3}]},
      |                                                                      ^^^^^^^^^^^ not an operator
      |
      = help: the operators are "eq", "ne", "lt", "le", "gt", "ge" and {"masked_eq": MASK}

    error: a rule has `syscall` twice
     --> policy.json:7:25
      |
    7 |     {"syscall": "read", "syscall": "write", "comment": 3},
      |      ---------          ^^^^^^^^^ again here
      |      |
      |      first here
      |
      = help: take one of the two away

    error: a comment is a string
     --> policy.json:7:56
      |
    7 |     {"syscall": "read", "syscall": "write", "comment": 3},
      |                                                        ^ a number here

    error: a rule has no `syscall`
     --> policy.json:8:5
      |
    8 |     {"args": null},
      |     ^ begins here

    error: a rule is an object
     --> policy.json:9:5
      |
    9 |     7
      |     ^ a number here
    "#);
}

#[test]
fn what_is_not_json_is_underlined() {
    assert_snapshot!(said("{\"a\": {\n  \"filter\": [1,]\n}}", Format::Firecracker, &x86_64()), @r#"
    error: this is not JSON: trailing commas are not allowed
     --> policy.json:2:15
      |
    2 |   "filter": [1,]
      |               ^ here
      |
      = help: see what `python3 -m json.tool` or another checker says of it
    "#);
    assert_snapshot!(said("", Format::Firecracker, &x86_64()), @r"
    error: this is not JSON: the file is empty
     --> policy.json:1:1
      |
    1 |
      | ^ here
      |
      = help: see what `python3 -m json.tool` or another checker says of it
    ");
    assert_snapshot!(said("{}", Format::Firecracker, &x86_64()), @r"
    error: the file has no filter
     --> policy.json:1:1
      |
    1 | {}
      | ^^ no thread is named here
    ");
}

#[test]
fn what_is_lost_is_a_warning_where_losses_are_taken() {
    let text = r#"{"a": {
    "default_action": {"trace": 1}, "filter_action": {"errno": 0}, "filter": [{"syscall": "read"}]
}}"#;
    let imported = good(text, Format::Firecracker, &Options { lossy: true, ..x86_64() });
    assert_snapshot!(written(&imported.policies), @r"
    role a
    tier filter
    otherwise errno ENOSYS

    read: errno 0  -- imported from policy.json:2
    ");
    assert_snapshot!(imported.notes.render(false), @r#"
    warning: a policy cannot hand calls to a tracer
     --> policy.json:2:23
      |
    2 |     "default_action": {"trace": 1}, "filter_action": {"errno": 0}, "filter": [{"syscall": "read"}]
      |                       ^^^^^^^^^^^^ this action
      |
      = help: where losses are taken, the call fails with ENOSYS, as it does where no tracer is
    "#);
}

#[test]
fn odd_numbers_are_taken_as_seccompiler_takes_them_and_noted() {
    assert_snapshot!(said(r#"{"a": {"default_action": {"errno": 5000}, "filter_action": "allow", "filter": [
    {"syscall": "read", "args": [{"index": 0, "type": "dword", "op": "eq", "val": 4294967299}]}
]}}"#, Format::Firecracker, &x86_64()), @r#"
note: the kernel returns error 4095 for 5000
 --> policy.json:1:26
  |
1 | {"a": {"default_action": {"errno": 5000}, "filter_action": "allow", "filter": [
  |                          ^^^^^^^^^^^^^^^ beyond the last error number

note: a dword is compared with 0x100000003, which has more than 32 bits
 --> policy.json:2:83
  |
2 |     {"syscall": "read", "args": [{"index": 0, "type": "dword", "op": "eq", "val": 4294967299}]}
  |                                                                                   ^^^^^^^^^^ cut to 32 bits, as seccompiler does
  |
  = help: write "qword" if the whole register is meant
"#);
}

/// A file with any operators, widths, indices and constants.
fn files() -> impl Strategy<Value = String> {
    let operator = prop_oneof![
        4 => prop::sample::select(vec!["\"eq\"", "\"ne\"", "\"lt\"", "\"le\"", "\"gt\"", "\"ge\""]).prop_map(str::to_owned),
        1 => any::<u64>().prop_map(|mask| format!("{{\"masked_eq\": {mask}}}")),
        1 => (0..64_u32).prop_map(|bit| format!("{{\"masked_eq\": {}}}", 1_u64 << bit)),
    ];
    let value = prop_oneof![0..4_u64, any::<u64>(), (0..64_u32).prop_map(|bit| 1_u64 << bit)];
    let condition = (0..6_u8, prop::sample::select(vec!["dword", "qword"]), operator, value).prop_map(
        |(index, width, operator, value)| {
            format!(r#"{{"index": {index}, "type": "{width}", "op": {operator}, "val": {value}}}"#)
        },
    );
    let call = prop::sample::select(vec!["read", "ioctl", "mmap", "exit_group", "futex"]);
    let args = prop::option::of(prop::collection::vec(condition, 1..4));
    let rule = (call, args).prop_map(|(call, args)| match args {
        Some(args) => format!(r#"{{"syscall": "{call}", "args": [{}]}}"#, args.join(",")),
        None => format!(r#"{{"syscall": "{call}"}}"#),
    });
    prop::collection::vec(rule, 0..8).prop_map(|rules| {
        let rules = rules.join(",\n");
        format!(
            r#"{{"t": {{"default_action": {{"errno": 1}}, "filter_action": "allow", "filter": [{rules}]}}}}"#
        )
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn any_file_means_what_seccompiler_makes_of_it(text in files()) {
        assert_all_as_seccompiler(&text);
    }
}

#[test]
fn a_filter_that_allows_what_it_does_not_name_says_what_becomes_of_x32() {
    let text = r#"{"a": {"mismatch_action": "allow", "match_action": {"errno": 1}, "filter": [{"syscall": "ptrace"}]}}"#;
    assert_snapshot!(said(text, Format::Firecracker, &x86_64()), @r#"
    note: a call of the x32 ABI ends the process here
     --> policy.json:1:27
      |
    1 | {"a": {"mismatch_action": "allow", "match_action": {"errno": 1}, "filter": [{"syscall": "ptrace"}]}}
      |                           ^^^^^^^ the program that reads this lets it through
      |
      = help: its number is none that a rule names, so that it would get past each of them; the kernel may be built without that ABI
    "#);
    let aarch64 = Options { arch: Some(Arch::Aarch64), ..Options::default() };
    assert_snapshot!(said(text, Format::Firecracker, &aarch64), @"");
}
