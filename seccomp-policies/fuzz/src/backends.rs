//! A policy of any shape, by every backend and every form that it can be written in.

use seccomp_policies::action::Action;
use seccomp_policies::bpf::{Program, interpret};
use seccomp_policies::call::Call;
use seccomp_policies::compile::{Error, Weights, bitmask, event_filter, optimize, reference, widen};
use seccomp_policies::export;
use seccomp_policies::import::{Format, Options, read_bytes};
use seccomp_policies::language::{Condition, Policy, Relation, Rule, Test, Tier, Width};
use seccomp_policies::prove::{Answer, Decisions};
use seccomp_policies::syscalls::{Arch, X32_BIT, by_name};

use super::choices::{Choices, Sequence};
use super::languages::{assert_same, assert_written_is_read_back};

/// Calls whose arguments are of every kind: descriptors, flags, requests, pointers, sizes, and none.
const NAMES: [&str; 8] = ["read", "ioctl", "openat", "mmap", "futex", "clone", "getpid", "exit_group"];

/// How many calls each program is asked about.
const CALLS: usize = 64;

/// Exported text that is longer is not read back: ranges and masks of one argument multiply.
const LONGEST_EXPORT: usize = 20_000;

/// Makes a policy of the bytes. What the policy says of calls, what is proved of it, and what each backend's program
/// answers are the same; so is what its text says, and what it says in other programs' forms.
pub fn backends(bytes: &[u8]) -> bool {
    let policy = policy(&mut Choices::new(bytes));
    let numbers: Vec<u32> = policy.rules.iter().map(|rule| rule.call.number).chain([1]).collect();
    let calls = Sequence::new(bytes).calls(CALLS, policy.arch, &numbers, &values(&policy));
    let meant = Decisions::of_policy(&policy);
    assert_decided(&meant, &policy, &calls);
    for weights in [Weights::Uniform, Weights::CacheAware(None)] {
        let program = optimize(&policy, &weights).unwrap_or_else(|error| panic!("{error}\n{policy:?}"));
        assert_program(&program, &policy, &meant, &calls);
    }
    let program = bitmask(&policy).unwrap_or_else(|error| panic!("{error}\n{policy:?}"));
    let widened = widen(&policy);
    assert_program(&program, &widened, &Decisions::of_policy(&widened), &calls);
    let compiled = match reference(&policy) {
        Ok(program) => {
            assert_program(&program, &policy, &meant, &calls);
            true
        }
        Err(Error::TooManyAlternatives { .. } | Error::TooLong { .. }) => false,
        Err(error) => panic!("{error}\n{policy:?}"),
    };
    assert_events(&policy, &calls);
    assert_written_is_read_back(&policy);
    assert_exported_is_read_back(&policy);
    compiled
}

fn assert_decided(decisions: &Decisions, policy: &Policy, calls: &[Call]) {
    for call in calls {
        assert_eq!(decisions.answer(call), Answer::from(policy.decide(call)), "{call:x?}\n{policy:?}");
    }
}

fn assert_program(program: &Program, policy: &Policy, meant: &Decisions, calls: &[Call]) {
    let decided = Decisions::of_program(program.instructions());
    let decided = decided.unwrap_or_else(|error| panic!("{error}\n{policy:?}"));
    if let Some(difference) = meant.difference(&decided) {
        panic!("{difference}\n{policy:?}");
    }
    for call in calls {
        let answered = interpret(program.instructions(), call).expect("a valid program ends");
        assert_eq!(answered.value, policy.decide(call).to_return_value(), "{call:x?}\n{policy:?}");
        assert!(answered.executed <= program.longest_path(), "{call:x?}\n{policy:?}");
    }
}

/// One filter on events counts each violation, and none counts an allowed call: of calls by the policy's own
/// architecture, with nothing but zeros or a sign in the upper halves of their registers, which the kernel's filters
/// compare whole.
fn assert_events(policy: &Policy, calls: &[Call]) {
    let filters = event_filter(policy);
    let own = |call: &&Call| call.arch == policy.arch.audit_value() && call.number < X32_BIT;
    let plain =
        |call: &&Call| call.arguments.iter().all(|&value| value >> 32 == 0 || value >= 0xffff_ffff_8000_0000);
    for call in calls.iter().filter(own).filter(plain) {
        let counted = filters.watched.iter().filter(|filter| filter.is_violation(call)).count();
        let violation = policy.decide(call) != Action::Allow;
        assert_eq!(counted, usize::from(violation), "{call:x?}\n{policy:?}");
    }
}

/// Importing what was exported gives a policy of the same meaning.
fn assert_exported_is_read_back(policy: &Policy) {
    let exports = [
        (export::firecracker(std::slice::from_ref(policy)).ok(), Format::Firecracker),
        (export::oci(policy).ok(), Format::Oci),
    ];
    for (text, format) in exports {
        let Some(text) = text.filter(|text| text.len() <= LONGEST_EXPORT) else { continue };
        let options = Options { arch: Some(policy.arch), ..Options::default() };
        let imported = read_bytes("r.json", text.as_bytes(), Some(format), &options);
        let imported = imported.unwrap_or_else(|errors| panic!("{text}\n{errors}"));
        assert_same(policy, &imported.policies[0], &text);
    }
}

/// Every constant that the policy compares with.
fn values(policy: &Policy) -> Vec<u64> {
    fn of(condition: &Condition, values: &mut Vec<u64>) {
        match condition {
            Condition::Always => {}
            Condition::Test(test) => match test.relation {
                Relation::Masked { mask, value } => values.extend([value, value | !mask, mask]),
                Relation::Equal(value)
                | Relation::NotEqual(value)
                | Relation::Less(value)
                | Relation::LessOrEqual(value)
                | Relation::Greater(value)
                | Relation::GreaterOrEqual(value) => values.push(value),
            },
            Condition::Not(inner) => of(inner, values),
            Condition::All(parts) | Condition::Any(parts) => {
                for part in parts {
                    of(part, values);
                }
            }
        }
    }
    let mut values = Vec::new();
    for rule in &policy.rules {
        of(&rule.condition, &mut values);
    }
    values
}

/// A policy of up to 7 rules.
fn policy(choices: &mut Choices) -> Policy {
    let arch = choices.of(&Arch::ALL);
    let otherwise = action(choices);
    let rules = (0..choices.below(8)).map(|_| rule(choices, arch)).collect();
    Policy { role: "r".to_owned(), tier: Tier::Filter, otherwise, arch, slots: Vec::new(), rules }
}

fn rule(choices: &mut Choices, arch: Arch) -> Rule {
    Rule {
        call: by_name(arch, choices.of(&NAMES)).expect("both architectures have these calls"),
        condition: condition(choices, 2),
        action: action(choices),
        expression: String::new(),
        reason: "made up".to_owned(),
        file: "r.policy".to_owned(),
        line: 1,
    }
}

fn action(choices: &mut Choices) -> Action {
    match choices.below(8) {
        0 | 6 | 7 => Action::Allow,
        1 => Action::Errno(1 + u16::from_le_bytes([choices.byte(), choices.byte()]) % 4095),
        2 => Action::Trap,
        3 => Action::Log,
        4 => Action::KillThread,
        _ => Action::KillProcess,
    }
}

fn condition(choices: &mut Choices, levels: usize) -> Condition {
    let parts =
        |choices: &mut Choices| (0..choices.below(4)).map(|_| condition(choices, levels - 1)).collect();
    match choices.below(if levels == 0 { 4 } else { 8 }) {
        0 => Condition::Always,
        1..=3 => Condition::Test(test(choices)),
        4 | 5 => Condition::All(parts(choices)),
        6 => Condition::Any(parts(choices)),
        _ => Condition::Not(Box::new(condition(choices, levels - 1))),
    }
}

fn test(choices: &mut Choices) -> Test {
    let argument = choices.of(&[0, 1, 2, 3, 4, 5]);
    let width = choices.of(&[Width::Bits32, Width::Bits64]);
    let kind = choices.below(7);
    let value = choices.value() & width.mask();
    let relation = match kind {
        0 => Relation::Equal(value),
        1 => Relation::NotEqual(value),
        2 => Relation::Less(value),
        3 => Relation::LessOrEqual(value),
        4 => Relation::Greater(value),
        5 => Relation::GreaterOrEqual(value),
        _ => Relation::Masked { mask: value, value: choices.value() & value },
    };
    Test { argument, width, relation }
}
