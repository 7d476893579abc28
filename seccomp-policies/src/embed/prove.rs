//! Compiles a policy for every choice that a program leaves its user, and holds each result against the policy.

use std::collections::BTreeMap;

use super::OnViolation;
use crate::action::Action;
use crate::bpf::Program;
use crate::compile::{self, Unfaithful, bitmask, probes, reference, verify, widen, with_otherwise};
use crate::language::{Policy, Tier};

/// Why a policy cannot be embedded.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It does not compile.
    #[error(transparent)]
    Compile(#[from] compile::Error),
    /// A backend is wrong. Nothing in the policy's text can be blamed for it.
    #[error(
        "the {backend} backend compiled role `{role}` with `otherwise {otherwise}` to a program that does \
         something else: {source}; this is a defect of the compiler, please report it with the policy"
    )]
    Unfaithful {
        /// The role.
        role: String,
        /// `reference` or `bitmask`.
        backend: &'static str,
        /// The choice in place of the policy's `otherwise`.
        otherwise: Action,
        /// Where they differ.
        source: Unfaithful,
    },
}

/// Programs by [`OnViolation`], in the order of [`OnViolation::ALL`].
pub(super) type ByViolation = [Program; OnViolation::ALL.len()];

/// What holds a thread to the policy.
pub(super) enum Compiled {
    Strict,
    Bitmask(ByViolation),
    Filter { filter: ByViolation, bitmask: ByViolation },
}

/// A policy whose programs were held against its meaning.
pub struct Proved {
    pub(super) policy: Policy,
    pub(super) sources: Vec<(String, String)>,
    pub(super) compiled: Compiled,
}

impl Proved {
    /// The distinct calls that the policy allows, at least with some arguments: number and name, ascending.
    pub fn allowed_calls(&self) -> BTreeMap<u32, &'static str> {
        let allowing = self.policy.rules.iter().filter(|rule| rule.action == Action::Allow);
        allowing.map(|rule| (rule.call.number, rule.call.name)).collect()
    }

    /// The role.
    pub fn role(&self) -> &str {
        &self.policy.role
    }

    /// Name and text of each source file, the policy itself first; names are relative to its folder.
    pub fn sources(&self) -> &[(String, String)] {
        &self.sources
    }
}

/// Compiles and checks every program of the policy.
///
/// `sources`: name and text of each file, the policy's own first.
///
/// # Errors
/// [`Error::Compile`] for a policy that does not fit in a program, [`Error::Unfaithful`] for a defect of a
/// backend.
pub fn prove(policy: &Policy, sources: Vec<(String, String)>) -> Result<Proved, Error> {
    let calls = probes(policy);
    let filter = |variant: &Policy| checked(variant, "reference", reference(variant)?, variant, &calls);
    let numbers = |variant: &Policy| checked(variant, "bitmask", bitmask(variant)?, &widen(variant), &calls);
    let compiled = match policy.tier {
        Tier::Strict => Compiled::Strict,
        Tier::Bitmask => Compiled::Bitmask(by_violation(policy, numbers)?),
        Tier::Filter => Compiled::Filter {
            filter: by_violation(policy, filter)?,
            bitmask: by_violation(policy, numbers)?,
        },
    };
    Ok(Proved { policy: policy.clone(), sources, compiled })
}

fn by_violation(
    policy: &Policy,
    compile: impl Fn(&Policy) -> Result<Program, Error>,
) -> Result<ByViolation, Error> {
    let compile = |choice: OnViolation| compile(&with_otherwise(policy, choice.otherwise()));
    let [trap, kill, errno, log] = OnViolation::ALL.map(compile);
    Ok([trap?, kill?, errno?, log?])
}

fn checked(
    policy: &Policy,
    backend: &'static str,
    program: Program,
    meaning: &Policy,
    calls: &[crate::call::Call],
) -> Result<Program, Error> {
    match verify(program.instructions(), meaning, calls) {
        Ok(()) => Ok(program),
        Err(source) => {
            Err(Error::Unfaithful { role: policy.role.clone(), backend, otherwise: policy.otherwise, source })
        }
    }
}
