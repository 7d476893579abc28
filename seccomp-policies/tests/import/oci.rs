//! Profiles of Docker and the OCI runtime specification.

use insta::assert_snapshot;
use proptest::prelude::*;
use seccomp_policies::action::Action;
use seccomp_policies::call::Call;
use seccomp_policies::import::{Format, Options};
use seccomp_policies::language::Policy;
use seccomp_policies::syscalls::{Arch, X32_BIT, by_name};

use super::{corpus, good, said, written, x86_64};

const PROFILE: &str = r#"{
    "defaultAction": "SCMP_ACT_ERRNO",
    "defaultErrnoRet": 38,
    "archMap": [
        {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86", "SCMP_ARCH_X32"]},
        {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": ["SCMP_ARCH_ARM"]}
    ],
    "syscalls": [
        {"names": ["read", "chown32", "write", "_llseek", "exit_group"], "action": "SCMP_ACT_ALLOW"},
        {"name": "ptrace", "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "4.8"}, "args": null},
        {"names": ["socket"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 38, "op": "SCMP_CMP_LT"}]},
        {"names": ["clone"], "action": "SCMP_ACT_ALLOW", "comment": "no namespaces",
            "args": [{"index": 0, "value": 2114060288, "op": "SCMP_CMP_MASKED_EQ"}],
            "excludes": {"caps": ["CAP_SYS_ADMIN"], "arches": ["s390x"]}},
        {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1, "excludes": {"caps": ["CAP_SYS_ADMIN"]}},
        {"names": ["clone", "clone3", "mount"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_ADMIN"]}},
        {"names": ["arch_prctl"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["amd64", "x32"]}},
        {"names": ["fcntl"], "action": "SCMP_ACT_ALLOW", "args": [
            {"index": 0, "value": 3, "op": "SCMP_CMP_GE"}, {"index": 1, "value": 1, "op": "SCMP_CMP_NE"}]},
        {"names": ["ioctl"], "action": "SCMP_ACT_ALLOW", "args": [
            {"index": 1, "value": 21505, "op": "SCMP_CMP_EQ"}, {"index": 1, "value": 21523, "op": "SCMP_CMP_EQ"}]},
        {"names": ["lseek"], "action": "SCMP_ACT_LOG", "args": [
            {"index": 2, "value": 255, "valueTwo": 258, "op": "SCMP_CMP_MASKED_EQ"}]}
    ]
}"#;

fn decide(policy: &Policy, name: &str, arguments: &[u64]) -> Action {
    let mut all = [0; 6];
    all[..arguments.len()].copy_from_slice(arguments);
    let number = by_name(policy.arch, name).unwrap().number;
    policy.decide(&Call { number, arch: policy.arch.audit_value(), instruction_pointer: 0, arguments: all })
}

fn read(text: &str, options: &Options) -> Policy {
    good(text, Format::Oci, options).policies.remove(0)
}

#[test]
fn a_profile_decides_as_a_runtime_and_libseccomp_do() {
    let policy = read(PROFILE, &x86_64());
    let refused = Action::Errno(38);
    for (name, arguments, action) in [
        ("read", vec![], Action::Allow),
        ("mount", vec![], refused),
        ("ptrace", vec![], Action::Allow),
        ("socket", vec![37], Action::Allow),
        ("socket", vec![38], refused),
        ("socket", vec![1 << 32], refused),
        ("clone", vec![0x11], Action::Allow),
        ("clone", vec![0x1000_0011], refused),
        ("clone3", vec![], Action::Errno(1)),
        ("arch_prctl", vec![], Action::Allow),
        ("fcntl", vec![3, 2], Action::Allow),
        ("fcntl", vec![3, 1], refused),
        ("fcntl", vec![2, 2], refused),
        ("ioctl", vec![9, 21505], Action::Allow),
        ("ioctl", vec![9, 21523], Action::Allow),
        ("ioctl", vec![9, 21506], refused),
        // The value is cut to the mask.
        ("lseek", vec![0, 0, 0x102], Action::Log),
        ("lseek", vec![0, 0, 0x1], refused),
    ] {
        assert_eq!(decide(&policy, name, &arguments), action, "{name} {arguments:?}");
    }
}

#[test]
fn capabilities_the_kernel_and_the_architecture_choose_the_rules() {
    let admin = Options { capabilities: vec!["CAP_SYS_ADMIN".to_owned()], ..x86_64() };
    let policy = read(PROFILE, &admin);
    assert_eq!(decide(&policy, "clone", &[0x1000_0011]), Action::Allow);
    assert_eq!(decide(&policy, "clone3", &[]), Action::Allow);
    assert_eq!(decide(&policy, "mount", &[]), Action::Allow);
    let old = Options { kernel: Some("4.7.9".parse().unwrap()), ..x86_64() };
    assert_eq!(decide(&read(PROFILE, &old), "ptrace", &[]), Action::Errno(38));
    let new = Options { kernel: Some("4.8".parse().unwrap()), ..x86_64() };
    assert_eq!(decide(&read(PROFILE, &new), "ptrace", &[]), Action::Allow);
    let arm = Options { arch: Some(Arch::Aarch64), ..Options::default() };
    assert!(!read(PROFILE, &arm).rules.iter().any(|rule| rule.call.name == "arch_prctl"));
}

#[test]
fn a_profile_is_written_with_names_and_reasons() {
    let imported = good(PROFILE, Format::Oci, &x86_64());
    assert_snapshot!(written(&imported.policies), @r"
    role policy
    tier filter
    otherwise errno ENOSYS

    read:                                     -- imported from policy.json:9
    write:                                    -- imported from policy.json:9
    exit_group:                               -- imported from policy.json:9
    ptrace:                                   -- imported from policy.json:10
    socket: family:u64 < AF_ALG               -- imported from policy.json:11
    clone: (clone_flags & CLONE_NEWNS|CLONE_NEWCGROUP|CLONE_NEWUTS|CLONE_NEWIPC|CLONE_NEWUSER|CLONE_NEWPID|CLONE_NEWNET) == 0  -- no namespaces
    clone3: errno EPERM                       -- imported from policy.json:15
    arch_prctl:                               -- imported from policy.json:17
    fcntl: fd:u64 >= 3 && cmd:u64 != F_GETFD  -- imported from policy.json:18
    ioctl: cmd:u64 == TCGETS                  -- imported from policy.json:20
    ioctl: cmd:u64 == TIOCGWINSZ              -- imported from policy.json:20
    lseek: log if (whence & 0xff) == 2        -- imported from policy.json:22
    ");
    assert_snapshot!(imported.notes.render(false), @r#"
    note: 2 of these are not calls of x86_64
     --> policy.json:9:28
      |
    9 |         {"names": ["read", "chown32", "write", "_llseek", "exit_group"], "action": "SCMP_ACT_ALLOW"},
      |                            ^^^^^^^^^ skipped, as runtimes do
      |
      = help: chown32, _llseek

    note: a rule depends on the kernel being 4.8 or newer
      --> policy.json:10:82
       |
    10 |         {"name": "ptrace", "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "4.8"}, "args": null},
       |                                                                                  ^^^^^ taken as met
       |
       = help: name the kernel's version if it may be older

    note: two conditions are on one argument
      --> policy.json:20:66
       |
    20 |           {"names": ["ioctl"], "action": "SCMP_ACT_ALLOW", "args": [
       |  __________________________________________________________________^
    21 | |             {"index": 1, "value": 21505, "op": "SCMP_CMP_EQ"}, {"index": 1, "value": 21523, "op": "SCMP_CMP_EQ"}]},
       | |_________________________________________________________________________________________________________________^ any of these is enough
       |
       = help: so runtimes read it, for the sake of old profiles
    "#);
}

#[test]
fn architectures_that_a_policy_refuses_are_a_loss_unless_one_was_asked_for() {
    assert_snapshot!(said(PROFILE, Format::Oci, &Options::default()), @r#"
    error: the profile is for SCMP_ARCH_X86 as well, whose calls a policy for x86_64 refuses
     --> policy.json:5:67
      |
    5 |         {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86", "SCMP_ARCH_X32"]},
      |                                                                   ^^^^^^^^^^^^^^^ programs of this kind would not run
      |
      = help: ask for x86_64 by name if it alone is wanted

    error: the profile is for SCMP_ARCH_X32 as well, whose calls a policy for x86_64 refuses
     --> policy.json:5:84
      |
    5 |         {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86", "SCMP_ARCH_X32"]},
      |                                                                                    ^^^^^^^^^^^^^^^ programs of this kind would not run
      |
      = help: ask for x86_64 by name if it alone is wanted
    "#);
    let list = r#"{"defaultAction": "SCMP_ACT_KILL", "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_ARM"],
        "syscalls": [{"names": ["read"], "action": "SCMP_ACT_ALLOW"}]}"#;
    assert_snapshot!(said(list, Format::Oci, &Options::default()), @"");
    let policy = read(PROFILE, &Options { lossy: true, ..Options::default() });
    assert_eq!(decide(&policy, "read", &[]), Action::Allow);
}

#[test]
fn a_profile_that_names_what_is_refused_kills_calls_of_x32_as_libseccomp_does() {
    let text = r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"name": "ptrace", "action": "SCMP_ACT_ERRNO", "errnoRet": 0}
    ]}"#;
    assert_snapshot!(said(text, Format::Oci, &Options::default()), @"");
    let policy = read(text, &x86_64());
    assert_eq!(decide(&policy, "ptrace", &[]), Action::Errno(0));
    assert_eq!(decide(&policy, "read", &[]), Action::Allow);
    let number = by_name(Arch::X86_64, "ptrace").unwrap().number | X32_BIT;
    let hidden = Call { number, arch: Arch::X86_64.audit_value(), instruction_pointer: 0, arguments: [0; 6] };
    assert_eq!(policy.decide(&hidden), Action::KillProcess);
    assert_snapshot!(said(&text.replace("ACT_ALLOW", "ACT_LOG"), Format::Oci, &Options::default()), @r#"
    error: calls of the x32 ABI are carried out and logged, and libseccomp kills them
     --> policy.json:1:19
      |
    1 | {"defaultAction": "SCMP_ACT_LOG", "syscalls": [
      |                   ^^^^^^^^^^^^^^ they meet no rule
      |
      = help: the kernel may be built without that ABI; a policy that names what is allowed refuses it
    "#);
}

#[test]
fn the_profile_of_a_runtimes_configuration_is_found() {
    let text = format!(r#"{{"ociVersion": "1.2.0", "process": {{}}, "linux": {{"seccomp": {PROFILE}}}}}"#);
    let policy = read(&text, &x86_64());
    assert_eq!(policy.rules.len(), read(PROFILE, &x86_64()).rules.len());
    assert_snapshot!(said(r#"{"ociVersion": "1.2.0", "linux": {}}"#, Format::Oci, &x86_64()), @r#"
    error: the configuration has no seccomp profile
     --> policy.json:1:34
      |
    1 | {"ociVersion": "1.2.0", "linux": {}}
      |                                  ^^ `seccomp` is not in here
    "#);
}

#[test]
fn what_is_no_profile_is_underlined() {
    let text = r#"{
    "defaultAction": "SCMP_ACT_ERROR", "defaultErrnoRet": 65536,
    "architectures": [], "archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": 1}],
    "syscalls": [
        {"names": [], "action": "SCMP_ACT_ALLOW"},
        {"name": "read", "names": ["read"], "action": "SCMP_ACT_ALLOW"},
        {"action": "SCMP_ACT_ALLOW"},
        {"name": "read", "action": "SCMP_ACT_NOTIFY"},
        {"name": "read", "action": "SCMP_ACT_ERRNO", "errnoRet": 0},
        {"name": "read", "action": "SCMP_ACT_ALLOW", "args": [{"index": 6, "op": "SCMP_CMP_IS"}]},
        {"name": "read", "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": -1, "op": 3}]},
        {"name": "read", "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "new", "caps": [1]}}
    ]
}"#;
    assert_snapshot!(said(text, Format::Oci, &x86_64()), @r#"
    error: an error number has 16 bits
     --> policy.json:2:59
      |
    2 |     "defaultAction": "SCMP_ACT_ERROR", "defaultErrnoRet": 65536,
      |                                                           ^^^^^ too large

    error: a profile has `archMap` or `architectures`, not both
     --> policy.json:3:37
      |
    3 |     "architectures": [], "archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": 1}],
      |                                     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ one too many

    error: `subArchitectures` is an array
     --> policy.json:3:95
      |
    3 |     "architectures": [], "archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": 1}],
      |                                                                                               ^ a number here

    error: `names` is empty
     --> policy.json:5:19
      |
    5 |         {"names": [], "action": "SCMP_ACT_ALLOW"},
      |                   ^^ the rule is for no call

    error: a rule has `name` or `names`, not both
     --> policy.json:6:18
      |
    6 |         {"name": "read", "names": ["read"], "action": "SCMP_ACT_ALLOW"},
      |                  ^^^^^^ one too many

    error: a rule has no `names`
     --> policy.json:7:9
      |
    7 |         {"action": "SCMP_ACT_ALLOW"},
      |         ^ begins here

    error: a policy cannot hand calls to a listener
     --> policy.json:8:36
      |
    8 |         {"name": "read", "action": "SCMP_ACT_NOTIFY"},
      |                                    ^^^^^^^^^^^^^^^^^ this action
      |
      = help: where losses are taken, the call fails with ENOSYS, as it does where no listener is

    error: a call has the arguments 0 to 5
      --> policy.json:10:73
       |
    10 |         {"name": "read", "action": "SCMP_ACT_ALLOW", "args": [{"index": 6, "op": "SCMP_CMP_IS"}]},
       |                                                                         ^ no such argument

    error: unknown operator `SCMP_CMP_IS`
      --> policy.json:10:82
       |
    10 |         {"name": "read", "action": "SCMP_ACT_ALLOW", "args": [{"index": 6, "op": "SCMP_CMP_IS"}]},
       |                                                                                  ^^^^^^^^^^^^^ not an operator
       |
       = help: the operators are SCMP_CMP_EQ, _NE, _LT, _LE, _GT, _GE and _MASKED_EQ

    error: `value` is a whole number from 0 to 18446744073709551615
      --> policy.json:11:85
       |
    11 |         {"name": "read", "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": -1, "op": 3}]},
       |                                                                                     ^^ not one

    error: a name is a string
      --> policy.json:12:96
       |
    12 |         {"name": "read", "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "new", "caps": [1]}}
       |                                                                                                ^ a number here
    "#);
}

#[test]
fn what_runtimes_ignore_is_noted() {
    let text = r#"{
    "defaultAction": "SCMP_ACT_ALLOW", "defaultErrnoRet": 1, "flags": ["SECCOMP_FILTER_FLAG_LOG"],
    "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X32"],
    "syscalls": [
        {"name": "read", "action": "SCMP_ACT_ALLOW"},
        {"name": "raed", "action": "SCMP_ACT_LOG", "arg": []},
        {"name": "write", "action": "SCMP_ACT_LOG", "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}]},
        {"name": "write", "action": "SCMP_ACT_TRAP"}
    ]
}"#;
    assert_snapshot!(said(text, Format::Oci, &x86_64()), @r#"
    note: `defaultErrnoRet` means nothing to SCMP_ACT_ALLOW
     --> policy.json:2:59
      |
    2 |     "defaultAction": "SCMP_ACT_ALLOW", "defaultErrnoRet": 1, "flags": ["SECCOMP_FILTER_FLAG_LOG"],
      |                                                           ^ without effect

    note: `flags` is for whoever installs the filter
     --> policy.json:2:71
      |
    2 |     "defaultAction": "SCMP_ACT_ALLOW", "defaultErrnoRet": 1, "flags": ["SECCOMP_FILTER_FLAG_LOG"],
      |                                                                       ^^^^^^^^^^^^^^^^^^^^^^^^^^^ not part of a policy

    note: this rule answers `allow`, as the profile does by default
     --> policy.json:5:9
      |
    5 |         {"name": "read", "action": "SCMP_ACT_ALLOW"},
      |         ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ changes nothing
      |
      = help: runtimes skip it

    note: `raed` is not a call of x86_64
     --> policy.json:6:18
      |
    6 |         {"name": "raed", "action": "SCMP_ACT_LOG", "arg": []},
      |                  ^^^^^^ skipped, as runtimes do

    note: a rule has no field `arg`
     --> policy.json:6:52
      |
    6 |         {"name": "raed", "action": "SCMP_ACT_LOG", "arg": []},
      |                                                    ^^^^^ unknown field
      |
      = help: did you mean `args`?
      = help: programs that read such files ignore it

    note: this rule for `write` decides nothing
     --> policy.json:7:18
      |
    7 |         {"name": "write", "action": "SCMP_ACT_LOG", "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}]},
      |                  ^^^^^^^ libseccomp drops it
    8 |         {"name": "write", "action": "SCMP_ACT_TRAP"}
      |                  ------- takes every such call
      |
      = help: take one of the two away
    "#);
}

#[test]
fn rules_of_which_libseccomp_does_not_say_which_decides_are_a_loss() {
    let text = r#"{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
    {"name": "read", "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 3, "op": "SCMP_CMP_LE"}]},
    {"name": "read", "action": "SCMP_ACT_KILL", "args": [{"index": 0, "value": 3, "op": "SCMP_CMP_GE"}]}
]}"#;
    assert_snapshot!(said(text, Format::Oci, &x86_64()), @r#"
    error: two rules for `read` answer the same calls differently
     --> policy.json:3:14
      |
    3 |     {"name": "read", "action": "SCMP_ACT_KILL", "args": [{"index": 0, "value": 3, "op": "SCMP_CMP_GE"}]}
      |              ^^^^^^ shares calls with an earlier rule
      |
      = help: libseccomp does not say which of them decides; here the first does
    "#);
}

#[test]
fn dockers_own_profile_is_read_whole() {
    let Some(text) = corpus("oci/docker-default.json") else { return };
    let plain = Options { kernel: Some("6.1".parse().unwrap()), ..x86_64() };
    let policy = read(&text, &plain);
    written(std::slice::from_ref(&policy));
    let refused = Action::Errno(1);
    for (name, arguments, action) in [
        ("openat", vec![], Action::Allow),
        ("ptrace", vec![], Action::Allow),
        ("mount", vec![], refused),
        ("clone", vec![0x11], Action::Allow),
        ("clone", vec![0x1000_0000], refused),
        ("clone3", vec![], Action::Errno(38)),
        ("personality", vec![0xffff_ffff], Action::Allow),
        ("personality", vec![0x0004_0000], refused),
        ("socket", vec![38], refused),
        ("socket", vec![39], Action::Allow),
        ("socket", vec![41], Action::Allow),
        ("bpf", vec![], refused),
        ("reboot", vec![], refused),
    ] {
        assert_eq!(decide(&policy, name, &arguments), action, "{name} {arguments:x?}");
    }
    let admin = Options { capabilities: vec!["CAP_SYS_ADMIN".to_owned()], ..plain };
    for name in ["mount", "clone", "clone3", "bpf", "unshare"] {
        assert_eq!(decide(&read(&text, &admin), name, &[0x1000_0000]), Action::Allow, "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    /// Bytes of both kinds of JSON, cut, doubled and overwritten, are read or refused with messages.
    #[test]
    fn a_damaged_profile_is_no_danger(
        cut in 0..2000_usize, at in 0..2000_usize, length in 0..40_usize, by in ".{0,6}", firecracker in any::<bool>(),
    ) {
        let (text, format) = if firecracker {
            (super::firecracker::TWO_THREADS, Format::Firecracker)
        } else {
            (PROFILE, Format::Oci)
        };
        let boundary = |at: usize| text.floor_char_boundary(at.min(text.len()));
        let (from, to, end) = (boundary(at), boundary(at + length), boundary(text.len().saturating_sub(cut % 7)));
        let damaged = format!("{}{by}{}", &text[..from], text.get(to..end).unwrap_or_default());
        let options = Options { lossy: cut % 2 == 0, kernel_widths: cut % 3 == 0, ..x86_64() };
        let message = said(&damaged, format, &options);
        prop_assert!(!message.contains('\0'));
    }

    #[test]
    fn any_bytes_are_no_danger(bytes in prop::collection::vec(any::<u8>(), 0..300), name in "[a-z]{1,3}(\\.(json|bpf|policy))?") {
        let _ = seccomp_policies::import::read_bytes(&name, &bytes, None, &Options::default());
        for format in Format::ALL {
            let _ = seccomp_policies::import::read_bytes(&name, &bytes, Some(format), &Options::default());
        }
    }
}
