//! Made-up policies and calls.

use std::sync::OnceLock;

use proptest::prelude::*;
use seccomp_policies::action::Action;
use seccomp_policies::call::Call;
use seccomp_policies::language::{Condition, Policy, Relation, Rule, Test, Tier, Width};
use seccomp_policies::syscalls::{Arch, Argument, Syscall};

/// The first of the numbers that policies here speak of. No kernel has a call there, so every one of them may be
/// made for real: where a filter lets it through it fails with `ENOSYS`.
pub const FIRST_NUMBER: u32 = 600;

/// How many of them there are.
pub const NUMBERS: u32 = 400;

/// How many of them many-numbered policies use, which keeps the calls to try near them in bounds.
const STRIPED: u32 = 150;

const ARGUMENT: Argument = Argument { name: "argument", width: Width::Bits64, c_type: "unsigned_long" };

/// A call that no kernel has; `index` below [`NUMBERS`].
pub fn unused_call(index: u32) -> &'static Syscall {
    static CALLS: OnceLock<Vec<Syscall>> = OnceLock::new();
    let calls = CALLS.get_or_init(|| {
        (FIRST_NUMBER..FIRST_NUMBER + NUMBERS)
            .map(|number| Syscall { number, name: "unused", arguments: &[ARGUMENT; 6] })
            .collect()
    });
    &calls[index as usize]
}

/// A call of `x86_64` that every one of these policies allows, and that is not to be tried.
pub static EXIT_GROUP: Syscall = Syscall { number: 231, name: "exit_group", arguments: &[] };

/// A rule with nothing to say for people.
pub fn rule(call: &'static Syscall, condition: Condition, action: Action) -> Rule {
    Rule {
        call,
        condition,
        action,
        expression: String::new(),
        reason: "test".into(),
        file: "test.policy".into(),
        line: 1,
    }
}

/// A policy of the filter tier for this machine.
pub fn policy(otherwise: Action, rules: Vec<Rule>) -> Policy {
    Policy {
        role: "test".into(),
        tier: Tier::Filter,
        otherwise,
        arch: Arch::X86_64,
        slots: Vec::new(),
        rules,
    }
}

/// A condition of one test.
pub fn test(argument: u8, width: Width, relation: Relation) -> Condition {
    Condition::Test(Test { argument, width, relation })
}

/// Values of an argument, many of them where something begins or ends.
pub fn constant() -> impl Strategy<Value = u64> + Clone {
    prop_oneof![
        4 => 0..4_u64,
        2 => prop::sample::select(vec![
            8, 0x7f, 0x80, 0xae80, 0x7fff_ffff, 0x8000_0000, 0xffff_fffe, 0xffff_ffff,
            0x1_0000_0000, 0x1_0000_0001, 0x7fff_ffff_ffff_ffff, 0x8000_0000_0000_0000, u64::MAX - 1, u64::MAX,
        ]),
        1 => any::<u64>(),
    ]
}

fn relation(width: Width) -> impl Strategy<Value = Relation> {
    let value = constant().prop_map(move |value| value & width.mask());
    prop_oneof![
        3 => value.clone().prop_map(Relation::Equal),
        1 => value.clone().prop_map(Relation::NotEqual),
        1 => value.clone().prop_map(Relation::Less),
        1 => value.clone().prop_map(Relation::LessOrEqual),
        1 => value.clone().prop_map(Relation::Greater),
        1 => value.clone().prop_map(Relation::GreaterOrEqual),
        // Few bits, so that a negated mask stays small; and the whole width now and then.
        2 => (0..64_u32, 0..64_u32, any::<u64>()).prop_map(move |(one, other, value)| {
            let mask = (1_u64 << one | 1_u64 << other) & width.mask();
            Relation::Masked { mask, value: value & mask }
        }),
        1 => (value.clone(), value).prop_map(|(mask, value)| Relation::Masked { mask, value: value & mask }),
    ]
}

/// Conditions over all six registers, a few levels deep.
pub fn condition() -> impl Strategy<Value = Condition> {
    let width = prop::sample::select(vec![Width::Bits32, Width::Bits64]);
    let leaf = prop_oneof![
        1 => Just(Condition::Always),
        12 => (0..6_u8, width).prop_flat_map(|(argument, width)| {
            relation(width).prop_map(move |relation| test(argument, width, relation))
        }),
    ];
    leaf.prop_recursive(3, 10, 3, |part| {
        prop_oneof![
            prop::collection::vec(part.clone(), 0..4).prop_map(Condition::All),
            prop::collection::vec(part.clone(), 0..4).prop_map(Condition::Any),
            part.prop_map(|part| Condition::Not(Box::new(part))),
        ]
    })
}

/// What a rule may answer so that its call can be tried.
pub fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        3 => Just(Action::Allow),
        1 => prop::sample::select(vec![1, 2, 13, 4095]).prop_map(Action::Errno),
    ]
}

/// Policies of up to 12 rules for few calls, so that several speak of one call.
///
/// Every one lets `exit_group` through and answers `errno EPERM` where no rule speaks, which one of its
/// rules may do as well, so that it can be tried in a child process.
pub fn policies() -> impl Strategy<Value = Policy> {
    let rules = prop::collection::vec((0..6_u32, condition(), action()), 0..12);
    rules.prop_map(|rules| {
        let mut all = vec![rule(&EXIT_GROUP, Condition::Always, Action::Allow)];
        all.extend(
            rules.into_iter().map(|(index, condition, action)| rule(unused_call(index), condition, action)),
        );
        policy(Action::Errno(1), all)
    })
}

/// The same, and policies of numbers, with every kind of answer where no rule speaks. Under some of them a call that is
/// tried ends the process.
pub fn policies_of_any_otherwise() -> impl Strategy<Value = Policy> {
    let otherwise = vec![
        Action::Allow,
        Action::Log,
        Action::Trap,
        Action::KillThread,
        Action::KillProcess,
        Action::Errno(0),
    ];
    (prop_oneof![policies(), policies_of_numbers()], prop::sample::select(otherwise))
        .prop_map(|(policy, otherwise)| Policy { otherwise, ..policy })
}

/// Policies with many calls in clusters and stripes, arguments not looked at.
pub fn policies_of_numbers() -> impl Strategy<Value = Policy> {
    let stripes = (0..STRIPED, 1..20_u32, 1..5_usize, action());
    let singles = prop::collection::vec((0..STRIPED, action()), 0..30);
    (prop::collection::vec(stripes, 0..5), singles).prop_map(|(stripes, singles)| {
        let mut rules = vec![rule(&EXIT_GROUP, Condition::Always, Action::Allow)];
        for (first, length, step, action) in stripes {
            let indices = (first..STRIPED.min(first + length)).step_by(step);
            rules.extend(indices.map(|index| rule(unused_call(index), Condition::Always, action)));
        }
        let singles = singles.into_iter();
        rules.extend(singles.map(|(index, action)| rule(unused_call(index), Condition::Always, action)));
        policy(Action::Errno(1), rules)
    })
}

/// Calls with numbers and arguments like those that the policies speak of.
pub fn calls() -> impl Strategy<Value = Vec<Call>> {
    let number = prop_oneof![8 => FIRST_NUMBER..FIRST_NUMBER + 7, 1 => any::<u32>()];
    let call = (number, prop::array::uniform6(constant()), any::<u64>()).prop_map(
        |(number, arguments, instruction_pointer)| Call {
            number,
            arch: Arch::X86_64.audit_value(),
            instruction_pointer,
            arguments,
        },
    );
    prop::collection::vec(call, 50)
}

/// Whether a call may be made for real under a policy that answers an error number where no rule speaks:
/// it enters the kernel as this machine's own, and does not end the process.
pub fn is_harmless(call: &Call) -> bool {
    call.arch == Arch::X86_64.audit_value() && call.number != EXIT_GROUP.number
}
