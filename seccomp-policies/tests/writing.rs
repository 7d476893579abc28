//! Policies written as text: they are read back as the same policy, and look as a person would write them.

mod support;

use insta::assert_snapshot;
use proptest::prelude::*;
use seccomp_policies::action::Action;
use seccomp_policies::language::{
    Condition, Policy, Relation, Rule, Slot, Width, check_sources, format, write,
};
use seccomp_policies::syscalls::{Arch, Syscall, by_name};
use support::arbitrary::{condition, policy, rule, test};
use support::meaning::assert_same;

/// Calls whose arguments are of every kind: descriptors, flags, requests, pointers, sizes, modes, and none.
const CALLS: [&str; 12] = [
    "ioctl",
    "openat",
    "mmap",
    "futex",
    "exit_group",
    "prctl",
    "socket",
    "clone",
    "getpid",
    "lseek",
    "unlinkat",
    "fchmod",
];

fn call(name: &str) -> &'static Syscall {
    by_name(Arch::X86_64, name).unwrap()
}

fn read(text: &str) -> Policy {
    match check_sources("r.policy", &[("r.policy", text)], Arch::X86_64) {
        Ok(checked) => checked.policy,
        Err(errors) => panic!("{text}\n{errors}"),
    }
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        4 => Just(Action::Allow),
        1 => prop::sample::select(vec![
            Action::Errno(1), Action::Errno(4095), Action::Trap, Action::Log, Action::KillThread,
            Action::KillProcess,
        ]),
    ]
}

fn policies() -> impl Strategy<Value = Policy> {
    let rule = (prop::sample::select(CALLS.to_vec()), condition(), action());
    let rules = prop::collection::vec(rule, 0..10);
    (rules, action()).prop_map(|(rules, otherwise)| {
        let rules = rules.into_iter().map(|(name, condition, action)| rule_of(name, condition, action));
        policy(otherwise, rules.collect())
    })
}

fn rule_of(name: &str, condition: Condition, action: Action) -> Rule {
    rule(call(name), condition, action)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn a_written_policy_is_read_back_as_a_policy_of_the_same_meaning(policy in policies()) {
        let text = write(&policy);
        assert_same(&policy, &read(&text), &text);
    }

    #[test]
    fn a_written_policy_is_in_the_canonical_layout_and_writes_itself_again(policy in policies()) {
        let text = write(&policy);
        prop_assert_eq!(format("r.policy", &text).unwrap(), text.clone());
        let rules = |text: &str| text.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join("\n");
        prop_assert_eq!(rules(&write(&read(&text))), rules(&text));
    }
}

#[test]
fn the_projects_own_policies_are_written_as_policies_of_the_same_meaning() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/policies");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "policy") {
            continue;
        }
        let policy = seccomp_policies::language::load(&path, Arch::X86_64).unwrap().policy;
        let text = write(&policy);
        assert_same(&policy, &read(&text), &text);
        seen += 1;
    }
    assert_eq!(seen, 8, "a policy for each role, and for main and io in two kinds of runs");
}

#[test]
fn rules_look_as_a_person_would_write_them() {
    let equal = |argument, values: &[u64]| {
        Condition::Any(
            values.iter().map(|value| test(argument, Width::Bits32, Relation::Equal(*value))).collect(),
        )
    };
    let wide = |argument, relation| test(argument, Width::Bits64, relation);
    let narrow = |argument, relation| test(argument, Width::Bits32, relation);
    let mut policy = policy(
        Action::Errno(1),
        vec![
            rule_of(
                "ioctl",
                Condition::All(vec![narrow(0, Relation::Equal(3)), equal(1, &[0xae80, 0x5413, 0x1234])]),
                Action::Allow,
            ),
            rule_of(
                "openat",
                Condition::All(vec![
                    narrow(0, Relation::Equal(0xffff_ff9c)),
                    narrow(2, Relation::Masked { mask: 3, value: 0 }),
                    Condition::Not(Box::new(narrow(2, Relation::Masked { mask: 0o100, value: 0 }))),
                ]),
                Action::Errno(2),
            ),
            rule_of(
                "mmap",
                Condition::All(vec![
                    wide(2, Relation::Masked { mask: !3, value: 0 }),
                    narrow(3, Relation::Equal(0x22)),
                    narrow(4, Relation::Equal(0xffff_ffff)),
                ]),
                Action::Allow,
            ),
            rule_of("clone", wide(0, Relation::Masked { mask: 0x7e02_0000, value: 0 }), Action::Allow),
            rule_of("socket", wide(0, Relation::Less(38)), Action::Allow),
            rule_of(
                "futex",
                Condition::All([0, 1, 128].map(|op| narrow(1, Relation::NotEqual(op))).to_vec()),
                Action::KillProcess,
            ),
            rule_of(
                "write",
                Condition::All(vec![
                    narrow(0, Relation::GreaterOrEqual(4)),
                    narrow(0, Relation::LessOrEqual(6)),
                    wide(2, Relation::Equal(8)),
                ]),
                Action::Allow,
            ),
            rule_of("getpid", wide(5, Relation::Equal(0)), Action::Allow),
            rule_of("exit_group", Condition::Always, Action::Allow),
            rule_of("exit_group", narrow(0, Relation::Equal(1)), Action::Trap),
            rule_of("read", narrow(0, Relation::Less(0)), Action::Allow),
        ],
    );
    policy.slots = vec![
        Slot { name: "vcpu".into(), first: 3, last: 3, reason: "the vCPU".into() },
        Slot { name: "bells".into(), first: 4, last: 6, reason: " eventfds,\n one reader each".into() },
    ];
    policy.rules[0].reason = "enter\tthe guest\n".into();
    policy.rules[1].reason = String::new();
    let text = write(&policy);
    assert_same(&policy, &read(&text), &text);
    assert_snapshot!(text, @r"
    role test
    tier filter
    otherwise errno EPERM

    fd vcpu = 3      -- the vCPU
    fd bells = 4..6  -- eventfds, one reader each

    ioctl: fd == @vcpu && cmd in {KVM_RUN, TIOCGWINSZ, 0x1234}            -- enter the guest
    openat: errno ENOENT if dfd == AT_FDCWD && (flags & O_ACCMODE) == O_RDONLY && (flags & O_CREAT) != 0  -- no reason was given
    mmap: prot in ~(PROT_READ|PROT_WRITE) && flags:u32 == MAP_PRIVATE|MAP_ANONYMOUS && fd == -1  -- test
    clone: (clone_flags & CLONE_NEWNS|CLONE_NEWCGROUP|CLONE_NEWUTS|CLONE_NEWIPC|CLONE_NEWUSER|CLONE_NEWPID|CLONE_NEWNET) == 0  -- test
    socket: family:u64 < AF_ALG                                           -- test
    futex: kill if !(op in {FUTEX_WAIT, FUTEX_WAKE, FUTEX_WAIT_PRIVATE})  -- test
    write: fd in @bells && count == 8                                     -- test
    getpid: register5 == 0                                                -- test
    exit_group:                                                           -- test
    # covered by earlier rules: exit_group: trap if error_code == 1 -- test
    # never matches: read: -- test
    ");
}

#[test]
fn a_policy_without_a_rule_gets_one_that_changes_nothing() {
    for otherwise in [Action::Allow, Action::Errno(38)] {
        let policy = policy(otherwise, Vec::new());
        let text = write(&policy);
        assert_same(&policy, &read(&text), &text);
    }
}
