//! The reference backend: seccompiler, driven so that its programs mean what the policy means.
//!
//! Seccompiler gives all matching calls one action, so a policy with `errno` rules becomes several of its
//! programs, linked: where one finds no match, the next goes on. Each is compiled with a mismatch action that
//! no policy can ask for, which is then replaced.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

use super::normal::{self, Alternative};
use super::{Error, finish, refuse_strict};
use crate::action::Action;
use crate::bpf::write::{NUMBER, branch, jump, load, ret};
use crate::bpf::{Comparison, Instruction, Program};
use crate::language::{Policy, Relation, Rule, Test, Width};
use crate::syscalls::Arch;

/// What a program returns for "no match" until it is linked; policies have no tracing action.
const NO_MATCH: SeccompAction = SeccompAction::Trace(0xffff);

/// Seccompiler refuses a program of `BPF_MAXINSNS` instructions, one fewer than the kernel does.
const LIMIT: usize = crate::bpf::MAX_INSTRUCTIONS - 1;

/// An alternative compiles to at least a compare, its load, two jumps and a return.
pub(super) const MAX_ALTERNATIVES: usize = LIMIT / 5;

/// Instructions at the start of each of seccompiler's programs that check the architecture.
const ARCH_CHECK: usize = 3;

/// Compiles the policy through seccompiler. A policy without `errno` rules yields exactly its program, but for one with
/// `otherwise allow`: seccompiler lets calls of the x32 ABI through there.
///
/// # Errors
/// [`Error::Strict`] for a policy that needs no program, [`Error::TooManyAlternatives`] and
/// [`Error::TooLong`] for one that does not fit in a program.
pub fn reference(policy: &Policy) -> Result<Program, Error> {
    refuse_strict(policy)?;
    let compiled = runs(policy)?
        .into_iter()
        .map(|run| run.compile(policy.arch))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|source| refused(policy, source))?;
    let mut linked = link(compiled, policy.otherwise.to_return_value());
    if let Some(numbers) = policy.beyond() {
        // Behind the check of the architecture: a jump comes from before it to its end, and none goes further.
        linked.splice(ARCH_CHECK..ARCH_CHECK, refusal_of(&numbers));
    }
    if linked.len() > LIMIT {
        return Err(Error::TooLong { role: policy.role.clone(), length: linked.len(), limit: LIMIT });
    }
    finish(policy, linked)
}

/// Ends the process where the number is one of these; seccompiler has no ranges of numbers.
fn refusal_of(numbers: &RangeInclusive<u32>) -> [Instruction; 4] {
    [
        load(NUMBER),
        branch(Comparison::GreaterOrEqual, *numbers.start(), 0, 2),
        branch(Comparison::Greater, *numbers.end(), 1, 0),
        ret(Action::KillProcess.to_return_value()),
    ]
}

fn refused(policy: &Policy, source: BackendError) -> Error {
    let role = policy.role.clone();
    match source {
        BackendError::FilterTooLarge(length) => Error::TooLong { role, length, limit: LIMIT },
        source => Error::Seccompiler { role, source },
    }
}

/// Rules of one action, of which no two need an order.
struct Run {
    action: Action,
    alternatives: BTreeMap<u32, Vec<Alternative>>,
}

/// Spreads the rules over as few runs as their order allows.
///
/// The order matters among rules for the same call alone. A rule joins the first run of its action that is not
/// before the last run with a rule for the same call.
fn runs(policy: &Policy) -> Result<Vec<Run>, Error> {
    let mut runs = vec![Run {
        action: policy.rules.first().map_or(Action::Allow, |rule| rule.action),
        alternatives: BTreeMap::new(),
    }];
    for rule in &policy.rules {
        let number = rule.call.number;
        let last = runs.iter().rposition(|run| run.alternatives.contains_key(&number)).unwrap_or(0);
        let same_action = runs[last..].iter().position(|run| run.action == rule.action);
        let place = same_action.map_or(runs.len(), |offset| last + offset);
        if place == runs.len() {
            runs.push(Run { action: rule.action, alternatives: BTreeMap::new() });
        }
        runs[place].alternatives.entry(number).or_default().extend(bounded_alternatives(rule)?);
    }
    Ok(runs)
}

fn bounded_alternatives(rule: &Rule) -> Result<Vec<Alternative>, Error> {
    let alternatives = normal::count(&rule.condition);
    if alternatives > MAX_ALTERNATIVES {
        return Err(Error::TooManyAlternatives {
            file: rule.file.clone(),
            line: rule.line,
            call: rule.call.name,
            alternatives,
            limit: MAX_ALTERNATIVES,
        });
    }
    Ok(normal::alternatives(&rule.condition))
}

impl Run {
    fn compile(self, arch: Arch) -> Result<BpfProgram, BackendError> {
        let match_action = match self.action {
            Action::Allow => SeccompAction::Allow,
            Action::Errno(number) => SeccompAction::Errno(u32::from(number)),
            Action::Trap => SeccompAction::Trap,
            Action::Log => SeccompAction::Log,
            Action::KillThread => SeccompAction::KillThread,
            Action::KillProcess => SeccompAction::KillProcess,
        };
        let target = match arch {
            Arch::X86_64 => TargetArch::x86_64,
            Arch::Aarch64 => TargetArch::aarch64,
        };
        let mut rules = BTreeMap::new();
        for (number, alternatives) in self.alternatives {
            // To seccompiler a call without rules is one that always matches; here it never does.
            if !alternatives.is_empty() {
                rules.insert(i64::from(number), seccompiler_rules(&alternatives)?);
            }
        }
        SeccompFilter::new(rules, NO_MATCH, match_action, target)?.try_into()
    }
}

/// An alternative without tests makes the call match whatever the others say: no rules, to seccompiler.
fn seccompiler_rules(alternatives: &[Alternative]) -> Result<Vec<SeccompRule>, BackendError> {
    if alternatives.iter().any(Vec::is_empty) {
        return Ok(Vec::new());
    }
    alternatives
        .iter()
        .map(|tests| {
            SeccompRule::new(tests.iter().map(|test| seccompiler_condition(*test)).collect::<Result<_, _>>()?)
        })
        .collect()
}

fn seccompiler_condition(test: Test) -> Result<SeccompCondition, BackendError> {
    let length = match test.width {
        Width::Bits32 => SeccompCmpArgLen::Dword,
        Width::Bits64 => SeccompCmpArgLen::Qword,
    };
    let (operator, value) = match test.relation {
        Relation::Equal(value) => (SeccompCmpOp::Eq, value),
        Relation::NotEqual(value) => (SeccompCmpOp::Ne, value),
        Relation::Less(value) => (SeccompCmpOp::Lt, value),
        Relation::LessOrEqual(value) => (SeccompCmpOp::Le, value),
        Relation::Greater(value) => (SeccompCmpOp::Gt, value),
        Relation::GreaterOrEqual(value) => (SeccompCmpOp::Ge, value),
        Relation::Masked { mask, value } => (SeccompCmpOp::MaskedEq(mask), value),
    };
    SeccompCondition::new(test.argument, length, operator, value)
}

/// Puts programs one after another; where one finds no match, the next goes on, and after the last the
/// answer is `otherwise`. The architecture is checked once.
fn link(programs: Vec<BpfProgram>, otherwise: u32) -> Vec<Instruction> {
    let no_match = u32::from(NO_MATCH);
    let last = programs.len() - 1;
    let mut linked = Vec::new();
    for (index, mut program) in programs.into_iter().enumerate() {
        if index > 0 {
            program.drain(..ARCH_CHECK);
        }
        let length = program.len();
        for (at, instruction) in program.iter_mut().enumerate() {
            if *instruction != ret(no_match) {
                continue;
            }
            *instruction = if index == last {
                ret(otherwise)
            } else {
                let to_next = u32::try_from(length - at - 1).expect("seccompiler's programs are short");
                jump(to_next)
            };
        }
        linked.append(&mut program);
    }
    linked
}
