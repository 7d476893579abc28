//! Policies in the forms of other programs: importing what was exported gives a policy of the same meaning, and what a
//! form cannot say is an error that names the rule.

mod support;

use insta::assert_snapshot;
use proptest::prelude::*;
use seccomp_policies::action::Action;
use seccomp_policies::compile::reference;
use seccomp_policies::export::{self, Listing};
use seccomp_policies::import::{self, Format, Options};
use seccomp_policies::language::{Condition, Policy, check_sources, load};
use seccomp_policies::syscalls::{Arch, by_name};
use support::arbitrary::{condition, policy, rule};
use support::meaning::assert_same;
use support::roles;

fn checked(rules: &str) -> Policy {
    let text = format!("role r\ntier filter\notherwise errno EPERM\n{rules}");
    let checked = check_sources("r.policy", &[("r.policy", &text)], Arch::X86_64);
    checked.unwrap_or_else(|errors| panic!("{text}\n{errors}")).policy
}

fn read_back(text: &str, format: Format, arch: Arch) -> Vec<Policy> {
    let options = Options { arch: Some(arch), ..Options::default() };
    let imported = import::read_bytes("exported.json", text.as_bytes(), Some(format), &options);
    imported.unwrap_or_else(|errors| panic!("{text}\n{errors}")).policies
}

fn assert_firecracker(policy: &Policy) {
    let text = export::firecracker(std::slice::from_ref(policy)).unwrap_or_else(|error| panic!("{error}"));
    let again = read_back(&text, Format::Firecracker, policy.arch);
    assert_eq!(again.len(), 1);
    assert_eq!(again[0].role, policy.role);
    assert_same(policy, &again[0], &text);
}

fn assert_oci(policy: &Policy) {
    let text = export::oci(policy).unwrap_or_else(|error| panic!("{error}"));
    assert_same(policy, &read_back(&text, Format::Oci, policy.arch)[0], &text);
}

/// Policies whose rules all answer alike, of calls with arguments of both widths.
fn policies() -> impl Strategy<Value = Policy> {
    let call = prop::sample::select(vec!["ioctl", "mmap", "exit_group", "lseek"]);
    let otherwise =
        prop::sample::select(vec![Action::Errno(38), Action::Trap, Action::KillThread, Action::Allow]);
    (prop::collection::vec((call, condition()), 0..8), otherwise).prop_map(|(rules, otherwise)| {
        let action = if otherwise == Action::Allow { Action::Errno(0) } else { Action::Allow };
        let ruled = |(name, condition)| rule(by_name(Arch::X86_64, name).unwrap(), condition, action);
        policy(otherwise, rules.into_iter().map(ruled).collect())
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn what_is_exported_to_firecracker_is_imported_with_the_same_meaning(policy in policies()) {
        if let Ok(text) = export::firecracker(std::slice::from_ref(&policy)) {
            assert_same(&policy, &read_back(&text, Format::Firecracker, Arch::X86_64)[0], &text);
        }
    }

    #[test]
    fn what_is_exported_to_a_profile_is_imported_with_the_same_meaning(policy in policies()) {
        // Ranges and masks of one argument multiply; what comes to thousands of rules takes long to read.
        if let Ok(text) = export::oci(&policy) && text.len() < 100_000 {
            assert_same(&policy, &read_back(&text, Format::Oci, Arch::X86_64)[0], &text);
        }
    }
}

#[test]
fn operators_widths_and_several_tests_of_one_argument_keep_their_meaning() {
    let policy = checked(
        "write: fd in {1, 2} && count <= 4096 -- both widths
read: fd >= 4 && fd <= 6 -- a range of 32 bits
lseek: offset > 7 && offset != 9 -- a hole in a range of 64 bits
openat: (flags & O_ACCMODE) != O_RDONLY || dfd == AT_FDCWD -- a negated mask
mmap: prot in ~(PROT_READ|PROT_WRITE) && flags:u32 == MAP_PRIVATE -- half of a register
ioctl: fd:u64 == 3 && cmd != KVM_RUN -- the whole of one
exit_group: -- the end
",
    );
    assert_firecracker(&policy);
    assert_oci(&policy);
}

#[test]
fn the_projects_own_policies_are_exported_with_the_same_meaning() {
    for name in roles::filtered() {
        let policy = roles::policy(&name, Arch::X86_64);
        assert_oci(&policy);
        assert_firecracker(&policy);
    }
}

#[test]
fn a_policy_of_strict_mode_is_no_filter() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/policies/console.policy");
    let policy = load(path.as_ref(), Arch::X86_64).unwrap().policy;
    assert_snapshot!(export::oci(&policy).unwrap_err(), @"an OCI profile cannot say the policy of role `console`: its tier is `strict`, which takes no filter; write `tier filter`");
}

#[test]
fn an_imported_profile_is_exported_with_the_same_meaning() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/corpora/oci/docker-default.json");
    let Ok(text) = std::fs::read_to_string(path) else {
        println!("{path} is not there: tested with the policies of this file alone");
        return;
    };
    let policy = read_back(&text, Format::Oci, Arch::X86_64).remove(0);
    assert_oci(&policy);
}

#[test]
fn an_exported_profile_is_what_a_runtime_reads() {
    let policy = checked(
        "write: fd == 1 -- say so\nopenat: errno ENOENT if mode != 0 -- no\nexit_group: -- the end\n",
    );
    assert_snapshot!(export::oci(&checked("write: fd == 1 && count > 7 -- say so\n")).unwrap(), @r#"
    {
      "defaultAction": "SCMP_ACT_ERRNO",
      "defaultErrnoRet": 1,
      "architectures": [
        "SCMP_ARCH_X86_64"
      ],
      "syscalls": [
        {
          "names": [
            "write"
          ],
          "action": "SCMP_ACT_ALLOW",
          "comment": "say so",
          "args": [
            {
              "index": 0,
              "value": 4294967295,
              "valueTwo": 1,
              "op": "SCMP_CMP_MASKED_EQ"
            },
            {
              "index": 2,
              "value": 7,
              "op": "SCMP_CMP_GT"
            }
          ]
        }
      ]
    }
    "#);
    assert_snapshot!(export::firecracker(&[checked("write: fd == 1 && count > 7 -- say so\n")]).unwrap(), @r#"
    {
      "r": {
        "default_action": {
          "errno": 1
        },
        "filter_action": "allow",
        "filter": [
          {
            "syscall": "write",
            "comment": "say so",
            "args": [
              {
                "index": 0,
                "type": "dword",
                "op": "eq",
                "val": 1
              },
              {
                "index": 2,
                "type": "qword",
                "op": "gt",
                "val": 7
              }
            ]
          }
        ]
      }
    }
    "#);
    assert_oci(&policy);
}

#[test]
fn rules_that_a_form_cannot_say_are_named() {
    let actions = checked("read: -- input\nopenat: errno ENOENT -- glibc probes\n");
    assert_snapshot!(export::firecracker(&[actions]).unwrap_err(), @"r.policy:5: Firecracker's JSON cannot say this rule for `openat`: it answers `errno ENOENT`, and rules before it `allow`; a filter has one action for all of its rules");
    let order = checked("ioctl: errno ENOTTY if fd == 1 -- no terminal\nioctl: -- everything else\n");
    assert_snapshot!(export::oci(&order).unwrap_err(), @"r.policy:5: an OCI profile cannot say this rule for `ioctl`: it answers `allow`, and line 4 answers `errno ENOTTY` to some of the same calls before it; an OCI profile has no order, so narrow one of the two");
    let exception = checked("ioctl: errno EPERM if fd == 1 -- not this one\nioctl: cmd == 7 -- others\n");
    assert_snapshot!(export::oci(&exception).unwrap_err(), @"r.policy:5: an OCI profile cannot say this rule for `ioctl`: it answers `allow`, and line 4 answers `errno EPERM` to some of the same calls before it; an OCI profile has no order, so narrow one of the two");
    let deep = "mmap: addr != 1 && addr > 2 && len != 3 && len > 4 && off != 5 && off > 6 && prot != 7 && prot > 8 -- r\n";
    assert_snapshot!(export::oci(&checked(deep)).unwrap_err(), @"r.policy:4: an OCI profile cannot say this rule for `mmap`: it comes to very many alternatives once every `||` and `!` is multiplied out, of 512 at most");
    let two = [checked("read: -- r\n"), checked("read: -- r\n")];
    assert_snapshot!(export::firecracker(&two).unwrap_err(), @"Firecracker's JSON cannot say the policy of role `r`: two policies are for this role; rename one");
}

#[test]
fn rules_that_answer_as_the_policy_does_anyway_are_left_out() {
    let policy =
        checked("read: fd == 3 -- input\nread: errno EPERM -- nothing else\nwrite: errno EPERM -- no\n");
    assert_firecracker(&policy);
    assert_oci(&policy);
}

#[test]
fn a_policy_without_rules_is_exported() {
    assert_firecracker(&policy(Action::Trap, Vec::new()));
    for otherwise in [Action::Allow, Action::Trap] {
        assert_oci(&policy(otherwise, Vec::new()));
    }
}

#[test]
fn a_program_is_written_for_c_and_for_rust() {
    let policy = policy(
        Action::KillProcess,
        vec![rule(by_name(Arch::X86_64, "exit_group").unwrap(), Condition::Always, Action::Allow)],
    );
    let listing = Listing::new(&policy, "reference", &reference(&policy).unwrap());
    assert_snapshot!(listing.header(), @r"
    /* role test on x86_64, reference backend, otherwise kill: 10 instructions */
    #ifndef TEST_FILTER_H
    #define TEST_FILTER_H

    #include <linux/filter.h>

    #define TEST_FILTER_LENGTH 10

    static const struct sock_filter test_filter[10] = {
        { 0x20, 0, 0, 0x00000004 }, /* A = arch */
        { 0x15, 1, 0, 0xc000003e }, /* if A == 0xc000003e goto 3 */
        { 0x06, 0, 0, 0x80000000 }, /* return KILL_PROCESS */
        { 0x20, 0, 0, 0x00000000 }, /* A = nr */
        { 0x15, 0, 1, 0x000000e7 }, /* if A != 231 goto 6 */
        { 0x05, 0, 0, 0x00000001 }, /* goto 7 */
        { 0x05, 0, 0, 0x00000002 }, /* goto 9 */
        { 0x06, 0, 0, 0x7fff0000 }, /* return ALLOW */
        { 0x06, 0, 0, 0x80000000 }, /* return KILL_PROCESS */
        { 0x06, 0, 0, 0x80000000 }, /* return KILL_PROCESS */
    };

    #endif
    ");
    assert_snapshot!(listing.rust(), @r"
    /// role test on x86_64, reference backend, otherwise kill: 10 instructions.
    #[rustfmt::skip]
    pub static TEST_FILTER: [libc::sock_filter; 10] = [
        libc::sock_filter { code: 0x20, jt: 0, jf: 0, k: 0x00000004 }, // A = arch
        libc::sock_filter { code: 0x15, jt: 1, jf: 0, k: 0xc000003e }, // if A == 0xc000003e goto 3
        libc::sock_filter { code: 0x06, jt: 0, jf: 0, k: 0x80000000 }, // return KILL_PROCESS
        libc::sock_filter { code: 0x20, jt: 0, jf: 0, k: 0x00000000 }, // A = nr
        libc::sock_filter { code: 0x15, jt: 0, jf: 1, k: 0x000000e7 }, // if A != 231 goto 6
        libc::sock_filter { code: 0x05, jt: 0, jf: 0, k: 0x00000001 }, // goto 7
        libc::sock_filter { code: 0x05, jt: 0, jf: 0, k: 0x00000002 }, // goto 9
        libc::sock_filter { code: 0x06, jt: 0, jf: 0, k: 0x7fff0000 }, // return ALLOW
        libc::sock_filter { code: 0x06, jt: 0, jf: 0, k: 0x80000000 }, // return KILL_PROCESS
        libc::sock_filter { code: 0x06, jt: 0, jf: 0, k: 0x80000000 }, // return KILL_PROCESS
    ];
    ");
}

#[test]
fn a_policy_that_allows_what_it_does_not_name_is_no_filter_of_firecrackers() {
    let rules = vec![rule(by_name(Arch::X86_64, "ptrace").unwrap(), Condition::Always, Action::Errno(0))];
    let denying = policy(Action::Allow, rules);
    assert_snapshot!(export::firecracker(std::slice::from_ref(&denying)).unwrap_err(), @"Firecracker's JSON cannot say the policy of role `test`: its `otherwise allow` ends the process at a call of the x32 ABI, and seccompiler would let it through, past every rule; name what is allowed, or export it as an OCI profile");
    assert_oci(&denying);
    let text = "role r\ntier filter\notherwise allow\nptrace: errno 0 -- no debugger\n";
    let aarch64 = check_sources("r.policy", &[("r.policy", text)], Arch::Aarch64);
    assert_firecracker(&aarch64.unwrap_or_else(|errors| panic!("{errors}")).policy);
}
