//! What a program costs the calls of its policy, counted by the interpreter.

use super::optimize::{Function, allowed};
use crate::action::Action;
use crate::bpf::{Program, cached_calls, interpret, is_cached};
use crate::call::Call;
use crate::language::{Policy, Rule};
use crate::prove::Space;
use crate::syscalls::Syscall;

/// What a program costs, in instructions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measure {
    /// Instructions in the program.
    pub length: usize,
    /// Executed on average by allowed calls whose arguments decide: the mean over these calls, each the mean over the
    /// alternatives of its rules. `None` where arguments decide nothing.
    pub mean: Option<f64>,
    /// On the longest path.
    pub longest: usize,
    /// Call numbers that the kernel's action cache answers.
    pub cached: usize,
    /// Call numbers of the policy that are allowed at least with some arguments.
    pub allowed: usize,
}

/// Counts what the program of a policy executes.
pub fn measure(policy: &Policy, program: &Program) -> Measure {
    let space = Space::new();
    let rules = policy.rules_by_number();
    let deciding = rules.iter().filter(|(_, rules)| {
        Function::new(&space, rules.iter().copied(), policy.otherwise).constant().is_none()
    });
    let means: Vec<f64> =
        deciding.filter_map(|(number, rules)| mean_of(policy, program, *number, rules)).collect();
    let allowing = |rules: &&Vec<&Rule>| rules.iter().any(|rule| rule.action == Action::Allow);
    Measure {
        length: program.len(),
        mean: mean(&means),
        longest: program.longest_path(),
        cached: cached_calls(program.instructions(), policy.arch).len(),
        allowed: rules.values().filter(allowing).count(),
    }
}

/// What a program costs one call of its policy, where the policy allows that with some arguments.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CallMeasure {
    /// The call.
    pub call: &'static Syscall,
    /// The kernel's action cache answers it, and nothing is executed.
    pub cached: bool,
    /// Instructions executed where nothing is cached: the mean over the alternatives of its rules.
    pub executed: f64,
}

/// Counts what each call that the policy's rules allow, in the order of their numbers, costs in a program.
pub fn measure_calls(policy: &Policy, program: &Program) -> Vec<CallMeasure> {
    let cost = |(number, rules): (u32, Vec<&Rule>)| {
        let executed = mean_of(policy, program, number, &rules)?;
        let cached = is_cached(program.instructions(), policy.arch, number);
        Some(CallMeasure { call: rules[0].call, cached, executed })
    };
    policy.rules_by_number().into_iter().filter_map(cost).collect()
}

/// The mean over the alternatives that allow a call; `None` where none does.
fn mean_of(policy: &Policy, program: &Program, number: u32, rules: &[&Rule]) -> Option<f64> {
    let arch = policy.arch.audit_value();
    let executed = allowed(policy, rules.iter().copied()).into_iter().map(|arguments| {
        let call = Call { number, arch, instruction_pointer: 0, arguments };
        interpret(program.instructions(), &call).expect("a program is valid").executed
    });
    #[expect(clippy::cast_precision_loss, reason = "no more than a program has instructions")]
    let executed: Vec<f64> = executed.map(|count| count as f64).collect();
    mean(&executed)
}

#[expect(clippy::cast_precision_loss, reason = "a policy has thousands of alternatives at most")]
fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}
