//! Sets of calls as conditions.

use proptest::prelude::*;
use seccomp_policies::bpf::Instruction;
use seccomp_policies::language::{self, Condition, Policy, check_sources};
use seccomp_policies::prove::{Calls, Decisions, Inexpressible, Space, condition_of};
use seccomp_policies::syscalls::{Arch, by_name};

use crate::support::arbitrary::{policies, unused_call};
use crate::support::program::{load, op, ret, when};

fn of_text(rules: &str) -> Policy {
    let text = format!("role r\ntier filter\notherwise trap\n{rules}\n");
    let checked = check_sources("r.policy", &[("r.policy", &text)], Arch::X86_64);
    checked.unwrap_or_else(|errors| panic!("{errors:?}")).policy
}

/// With what arguments the policy allows a call.
fn allowed(rules: &str, name: &str) -> Calls {
    let number = by_name(Arch::X86_64, name).expect("a call").number;
    Decisions::of_policy(&of_text(rules)).allowed().of_call(Arch::X86_64.audit_value(), number)
}

/// A set as a rule of the policy language.
fn written(calls: &Calls, name: &str) -> String {
    let call = by_name(Arch::X86_64, name).expect("a call");
    let condition = condition_of(calls, call).expect("a condition");
    let mut policy = of_text(&format!("{name}: -- a"));
    policy.rules[0].condition = condition;
    let text = language::write(&policy);
    let rule = &text[text.find(&format!("{name}:")).expect("the rule")..];
    // A long one goes on in the lines below.
    rule.split("--").next().expect("the expression").split_whitespace().collect::<Vec<_>>().join(" ")
}

fn rewritten(rules: &str) -> String {
    let name = rules.split([':', ' ']).next().expect("a call");
    written(&allowed(rules, name), name)
}

#[test]
fn what_a_person_would_write_comes_back() {
    let texts = [
        "ioctl: fd == 3 && cmd == KVM_RUN -- a",
        "ioctl: fd in {3, 4, 9} && cmd in {TCGETS, TCGETS2} -- a",
        "read: fd <= 2 -- a",
        "read: fd != 5 -- a",
        "write: fd == 1 && count == 8 || fd == 2 -- a",
        "mmap: prot in ~PROT_READ|PROT_WRITE && (flags & MAP_ANONYMOUS) != 0 -- a",
        "openat: dfd == AT_FDCWD && (flags & O_ACCMODE) == O_RDONLY -- a",
        "clone on x86_64: (clone_flags & 0x7e020000) == 0 && clone_flags != 0 -- a",
        "socket: family == AF_UNIX || family == AF_INET && type == SOCK_STREAM -- a",
        "lseek: offset >= 0x100000000 && offset < 0x200000000 -- a",
        "fcntl: fd == 3 && cmd == F_GETFL || fd == 3 && cmd == F_SETFL && arg == 5 -- a",
        "personality: personality in {0, 8, 0x20000, 0x20008, 0xffffffff} -- a",
    ];
    let texts: Vec<_> = texts.iter().map(|text| rewritten(text)).collect();
    insta::assert_snapshot!(texts.join("\n"), @"
    ioctl: fd == 3 && cmd == KVM_RUN
    ioctl: fd in {3, 4, 9} && cmd in {TCGETS, TCGETS2}
    read: fd <= 2
    read: fd != 5
    write: fd == 2 || (fd == 1 && count == 8)
    mmap: prot <= 3 && (flags & MAP_ANONYMOUS) == MAP_ANONYMOUS
    openat: dfd == AT_FDCWD && (flags & O_ACCMODE) == O_RDONLY
    clone: (clone_flags & CLONE_NEWNS|CLONE_NEWCGROUP|CLONE_NEWUTS|CLONE_NEWIPC|CLONE_NEWUSER|CLONE_NEWPID|CLONE_NEWNET) == 0 && clone_flags != 0
    socket: family == AF_UNIX || (family == AF_INET && type == SOCK_STREAM)
    lseek: offset >= 0x100000000 && offset <= 0x1ffffffff
    fcntl: fd == 3 && (cmd == F_GETFL || (cmd == F_SETFL && arg == 5))
    personality: personality in {0, 8, 0x20000, 0x20008, 0xffffffff}
    ");
}

#[test]
fn a_difference_is_what_one_set_lacks_of_the_other() {
    let texts = [
        (("ioctl: fd in {3, 4} -- a", "ioctl: fd in {3, 4} && cmd == KVM_RUN -- a"), "ioctl"),
        (("read: fd < 10 -- a", "read: fd == 4 -- a"), "read"),
        (("read: -- a", "read: fd == 4 && count < 9 -- a"), "read"),
        (("mprotect: -- a", "mprotect: (prot & PROT_EXEC) == 0 -- a"), "mprotect"),
    ];
    let texts =
        texts.map(|((one, other), name)| written(&allowed(one, name).without(&allowed(other, name)), name));
    insta::assert_snapshot!(texts.join("\n"), @"
    ioctl: fd in {3, 4} && cmd != KVM_RUN
    read: fd != 4 && fd < 10
    read: fd != 4 || count >= 9
    mprotect: (prot & PROT_EXEC) == PROT_EXEC
    ");
}

#[test]
fn the_half_of_a_register_that_the_kernel_does_not_read_is_compared_where_the_set_does() {
    let program = |offset| {
        let program: [Instruction; 4] = [
            load(offset),
            when(libc::BPF_JEQ, 7, 0, 1),
            ret(libc::SECCOMP_RET_ALLOW),
            ret(libc::SECCOMP_RET_TRAP),
        ];
        Decisions::of_program(&program).expect("a comparison").allowed()
    };
    let texts = [written(&program(16), "read"), written(&program(20), "read"), written(&program(32), "read")];
    insta::assert_snapshot!(texts.join("\n"), @"
    read: fd == 7
    read: fd:u64 >= 30064771072 && fd:u64 <= 34359738367
    read: count:u32 == 7
    ");
}

#[test]
fn what_is_not_about_arguments_or_about_too_much_of_them_is_no_condition() {
    let read = by_name(Arch::X86_64, "read").expect("a call");
    let at = [load(8), when(libc::BPF_JEQ, 7, 0, 1), ret(libc::SECCOMP_RET_ALLOW), ret(0)];
    let by_pointer = Decisions::of_program(&at).expect("a comparison").allowed();
    assert_eq!(condition_of(&by_pointer, read), Err(Inexpressible::BesideArguments));
    // The product of an argument and a number has no short list.
    let product = [
        load(16),
        op(libc::BPF_ALU | libc::BPF_AND, 0xffff),
        op(libc::BPF_ALU | libc::BPF_MUL, 0x9e37),
        op(libc::BPF_ALU | libc::BPF_RSH, 11),
        when(libc::BPF_JSET, 1, 0, 1),
        ret(libc::SECCOMP_RET_ALLOW),
        ret(0),
    ];
    let scattered = Decisions::of_program(&product).expect("sixteen bits").allowed();
    assert_eq!(condition_of(&scattered, read), Err(Inexpressible::TooLong));
}

#[test]
fn nothing_and_everything_are_conditions() {
    let (space, read) = (Space::new(), by_name(Arch::X86_64, "read").expect("a call"));
    assert_eq!(condition_of(&space.every(), read), Ok(Condition::Always));
    assert_eq!(condition_of(&space.none(), read), Ok(Condition::Any(Vec::new())));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_condition_means_exactly_the_set_that_it_was_made_of(policy in policies()) {
        let (space, decisions) = (Space::new(), Decisions::of_policy(&policy));
        let allowed = decisions.allowed();
        for index in 0..6 {
            let call = unused_call(index);
            let calls = allowed.of_call(Arch::X86_64.audit_value(), call.number);
            if let Ok(condition) = condition_of(&calls, call) {
                prop_assert!(space.calls(&condition) == calls, "{condition:?}");
            }
        }
    }
}
