//! Compiles a policy for every choice that a program leaves its user, and holds each result against the policy.

use std::collections::BTreeMap;

use super::OnViolation;
use crate::action::Action;
use crate::bpf::Program;
use crate::compile::{self, Unfaithful, Weights, bitmask, optimize, probes, verify, widen, with_otherwise};
use crate::language::{Policy, Tier};
use crate::prove::{self, Unproved};

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
        /// `optimizing` or `bitmask`.
        backend: &'static str,
        /// The choice in place of the policy's `otherwise`.
        otherwise: Action,
        /// Where they differ.
        source: Unproved,
    },
    /// Running a program on single calls contradicts its proof: one of the two judges is wrong.
    #[error(
        "the program of role `{role}` with `otherwise {otherwise}`, by the {backend} backend, was proved equal to the \
         policy, and yet {source}; this is a defect of the proof, please report it with the policy"
    )]
    Contradicted {
        /// The role.
        role: String,
        /// `optimizing` or `bitmask`.
        backend: &'static str,
        /// The choice in place of the policy's `otherwise`.
        otherwise: Action,
        /// The call on which they differ.
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
/// `weights`: how often each call is made; `sources`: name and text of each file, the policy's own first.
///
/// # Errors
/// [`Error::Compile`] for a policy that does not fit in a program, [`Error::Unfaithful`] for a defect of a
/// backend.
pub fn prove(policy: &Policy, weights: &Weights, sources: Vec<(String, String)>) -> Result<Proved, Error> {
    let calls = probes(policy);
    let filter =
        |variant: &Policy| checked(variant, "optimizing", optimize(variant, weights)?, variant, &calls);
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
    let written = compile(policy)?;
    let chosen = |choice: OnViolation| match choice.otherwise(policy.otherwise) {
        otherwise if otherwise == policy.otherwise => Ok(written.clone()),
        otherwise => compile(&with_otherwise(policy, otherwise)),
    };
    let [as_written, trap, kill, errno, log] = OnViolation::ALL.map(chosen);
    Ok([as_written?, trap?, kill?, errno?, log?])
}

fn checked(
    policy: &Policy,
    backend: &'static str,
    program: Program,
    meaning: &Policy,
    calls: &[crate::call::Call],
) -> Result<Program, Error> {
    let (role, otherwise) = (|| policy.role.clone(), policy.otherwise);
    prove::prove(program.instructions(), meaning).map_err(|source| Error::Unfaithful {
        role: role(),
        backend,
        otherwise,
        source,
    })?;
    // A second judge, which shares nothing with the first but the instructions' decoding.
    verify(program.instructions(), meaning, calls).map_err(|source| Error::Contradicted {
        role: role(),
        backend,
        otherwise,
        source,
    })?;
    Ok(program)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compile::reference;
    use crate::language::check_sources;
    use crate::syscalls::Arch;

    #[test]
    fn a_program_that_differs_from_its_policy_stops_the_build_with_a_call_on_which_it_does() {
        let policy = |rule: &str| {
            let text = format!("role r\ntier filter\notherwise trap\n{rule} -- a\n");
            check_sources("r.policy", &[("r.policy", &text)], Arch::X86_64).expect("a policy").policy
        };
        let meant = policy("ioctl: fd == 3 && cmd == KVM_RUN");
        let program = reference(&policy("ioctl: fd in {3, 4} && cmd == KVM_RUN")).expect("it fits");
        let error = checked(&meant, "reference", program, &meant, &probes(&meant)).expect_err("they differ");
        insta::assert_snapshot!(error, @"the reference backend compiled role `r` with `otherwise trap` to a program that does something else: for ioctl(fd=4, cmd=KVM_RUN) the policy says trap, its program allow, and they differ on 2^384 calls of 2^512 in all; this is a defect of the compiler, please report it with the policy");
    }
}
