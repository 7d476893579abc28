//! What is compared: each variant's part in its table, and the program that holds it.
#![forbid(unsafe_code)]

use seccomp_policies::action::Action;
use seccomp_policies::bpf::{Instruction, interpret, is_cached};
use seccomp_policies::call::Call;
use seccomp_policies::compile::{Weights, optimize, reference};
use seccomp_policies::embed::Embedded;
use seccomp_policies::language::{Checked, check_sources};
use seccomp_policies::syscalls::{Arch, by_name};
use serde::{Deserialize, Serialize};

use super::Error;
use crate::confine::install::Hold;
use crate::confine::{Fencing, OnViolation, Tier};

/// What a variant is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// Differences are taken from it: no filter.
    Baseline,
    /// The baseline a second time: what it differs by is what the method cannot see.
    Control,
    /// The baseline with work of a known cost, which must be found.
    Planted,
    /// That work alone: what it costs.
    Work,
    /// What is to be known.
    Subject,
}

impl Part {
    /// Whether the planted work is done.
    pub fn has_work(self) -> bool {
        matches!(self, Self::Planted | Self::Work)
    }
}

/// A variant without how it is measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Variant {
    /// As tables have it.
    pub name: String,
    /// What it is there for.
    pub part: Part,
    /// Instructions of its program; none without one.
    pub instructions: Option<usize>,
    /// Those of them that the kernel executes for the call, in the mean of several; none of a call that it answers from its
    /// cache of calls that a program allows by number alone (`CONFIG_SECCOMP_FILTER`, since Linux 5.11).
    pub executed: Option<f64>,
}

impl Variant {
    /// Without a program.
    pub fn new(name: impl Into<String>, part: Part) -> Self {
        Self { name: name.into(), part, instructions: None, executed: None }
    }

    /// Held by a program, of which this call is measured.
    pub fn held(name: impl Into<String>, program: &[Instruction], call: &Call) -> Self {
        let executed = Some(executed(program, call));
        Self { name: name.into(), part: Part::Subject, instructions: Some(program.len()), executed }
    }

    /// The same, of whatever holds a thread.
    pub fn by(name: impl Into<String>, hold: Hold, call: &Call) -> Self {
        match hold {
            Hold::Program(program) => Self::held(name, program, call),
            Hold::Unconfined | Hold::Strict => Self::new(name, Part::Subject),
        }
    }
}

/// A program of somebody else's policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Other {
    /// As tables have it.
    pub name: String,
    /// The program, an instruction each: `code`, `jt`, `jf`, `k` of the kernel's `struct sock_filter`.
    pub program: Vec<(u16, u8, u8, u32)>,
}

impl Other {
    /// A program under a name.
    pub fn new(name: String, program: &[Instruction]) -> Self {
        Self { name, program: program.iter().map(|one| (one.code, one.jt, one.jf, one.k)).collect() }
    }

    /// Its instructions, for good: a thread keeps its filter for life.
    pub fn instructions(&self) -> &'static [Instruction] {
        let one = |&(code, jt, jf, k): &(u16, u8, u8, u32)| Instruction { code, jt, jf, k };
        self.program.iter().map(one).collect::<Vec<_>>().leak()
    }
}

/// A role's policy, as it was checked at build time.
///
/// # Errors
/// [`Error::Check`], which the build excludes.
pub fn policy(embedded: &Embedded) -> Result<Checked, Error> {
    checked(embedded.sources[0].0, embedded.sources)
}

/// The policy of texts, of which `name` is the first.
///
/// # Errors
/// [`Error::Check`]
pub fn checked(name: &str, sources: &[(&str, &str)]) -> Result<Checked, Error> {
    check_sources(name, sources, Arch::X86_64).map_err(|findings| Error::Check(Box::new(findings)))
}

/// What stands in each table beside its subjects, the baseline first: nothing that holds a thread.
pub fn unheld() -> [Variant; 4] {
    [
        Variant::new("no filter", Part::Baseline),
        Variant::new("no filter, again", Part::Control),
        Variant::new("no filter, with work", Part::Planted),
        Variant::new("that work alone", Part::Work),
    ]
}

/// What holds a thread of a role, as a run would.
pub fn embedded(policy: &'static Embedded, tier: Tier) -> Hold {
    Fencing { tier, on_violation: OnViolation::Trap }.hold(policy)
}

/// A policy by the reference backend, which is seccompiler's order.
///
/// # Errors
/// [`Error::Compile`]
pub fn by_reference(checked: &Checked) -> Result<Hold, Error> {
    Ok(Hold::Program(reference(&checked.policy)?.instructions().to_vec().leak()))
}

/// A policy by the optimizing backend, weighed as the build weighs it.
///
/// # Errors
/// [`Error::Compile`]
pub fn optimized(checked: &Checked) -> Result<Hold, Error> {
    let weights = Weights::CacheAware(checked.profile.as_ref());
    Ok(Hold::Program(optimize(&checked.policy, &weights)?.instructions().to_vec().leak()))
}

/// Instructions that the kernel executes for a call.
#[expect(clippy::cast_precision_loss, reason = "no more than a program has instructions")]
pub fn executed(program: &[Instruction], call: &Call) -> f64 {
    if is_cached(program, Arch::X86_64, call.number) {
        return 0.0;
    }
    interpret(program, call).map_or(0.0, |answer| answer.executed as f64)
}

/// Whether a program lets a call through.
pub fn allows(program: &[Instruction], call: &Call) -> bool {
    interpret(program, call).is_ok_and(|answer| answer.value == Action::Allow.to_return_value())
}

/// A call as a filter sees it.
pub fn call(name: &str, arguments: [u64; 6]) -> Call {
    Call {
        number: by_name(Arch::X86_64, name).map_or(u32::MAX, |call| call.number),
        arch: Arch::X86_64.audit_value(),
        instruction_pointer: 0,
        arguments,
    }
}
