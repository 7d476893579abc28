//! Checked policy to BPF program, by several backends.
//!
//! [`reference()`] compiles a policy whole, through the seccompiler crate; [`bitmask()`] compiles what is left of
//! it when arguments are not looked at; [`event_filter()`] turns it into tracing filters, which watch and refuse
//! nothing. [`verify`] holds a program against the policy's meaning on calls
//! chosen around every constant of the text.

mod bitmask;
mod emit;
pub mod event_filter;
mod graph;
mod measure;
pub(crate) mod normal;
mod optimize;
mod probe;
mod reference;
mod search;

pub use bitmask::{bitmask, widen};
pub use event_filter::event_filter;
pub use measure::{CallMeasure, Measure, measure, measure_calls};
pub use optimize::{Weights, optimize};
pub use probe::{Disagreement, Unfaithful, probes, verify};
pub use reference::reference;

use crate::action::Action;
use crate::bpf::{Instruction, Invalid, MAX_INSTRUCTIONS, Program};
use crate::language::{Policy, Tier};

/// Why a policy could not be compiled.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A policy of the strict tier.
    #[error(
        "role `{role}` has no program: its tier is `strict`, the kernel's own fixed set of read, write, exit \
         and sigreturn; write `tier filter` to have its rules compiled"
    )]
    Strict {
        /// The role.
        role: String,
    },
    /// A condition that grows out of bounds in disjunctive form.
    #[error(
        "{file}:{line}: the condition on `{call}` comes to {alternatives} alternatives once every `||` and `!` \
         in it is multiplied out, {} more than the {limit} that fit in a program; split it, or test a range or \
         a mask instead of single values", alternatives - limit
    )]
    TooManyAlternatives {
        /// File of the rule.
        file: String,
        /// Line of the rule, from 1.
        line: u32,
        /// The call.
        call: &'static str,
        /// Alternatives of the condition; `usize::MAX` for more than can be counted.
        alternatives: usize,
        /// The most that there may be.
        limit: usize,
    },
    /// More instructions than the kernel or the backend takes.
    #[error(
        "the program of role `{role}` comes to {length} instructions, {} more than the {limit} that it may have; \
         leave out rules, or test ranges and masks instead of single values", length - limit
    )]
    TooLong {
        /// The role.
        role: String,
        /// Instructions that the rules compile to.
        length: usize,
        /// The most that there may be.
        limit: usize,
    },
    /// More work than any policy is worth, for the optimizing backend.
    #[error(
        "the rules of role `{role}` are too complicated together to be compiled: some call's arguments are asked for too \
         many bits and values that decide with each other; test fewer arguments in one rule, or ranges instead of bits"
    )]
    TooComplicated {
        /// The role.
        role: String,
    },
    /// Seccompiler could not compile the rules.
    #[error("seccompiler could not compile the rules of role `{role}`: {source}")]
    Seccompiler {
        /// The role.
        role: String,
        /// What it said.
        source: seccompiler::BackendError,
    },
    /// A defect of a backend: its program is not one that the kernel takes.
    #[error(
        "the program compiled for role `{role}` is defective, which is no fault of the policy: {source}; please \
         report it with the policy"
    )]
    Defective {
        /// The role.
        role: String,
        /// What the kernel would refuse.
        source: Invalid,
    },
}

/// The same policy with another answer to every call that no rule speaks of.
#[must_use]
pub fn with_otherwise(policy: &Policy, otherwise: Action) -> Policy {
    Policy { otherwise, ..policy.clone() }
}

/// Strict mode takes no program, so that there is nothing to compile.
fn refuse_strict(policy: &Policy) -> Result<(), Error> {
    if policy.tier == Tier::Strict {
        return Err(Error::Strict { role: policy.role.clone() });
    }
    Ok(())
}

/// Makes a program of instructions, or says whose they are and what is wrong.
fn finish(policy: &Policy, instructions: Vec<Instruction>) -> Result<Program, Error> {
    let length = instructions.len();
    if length > MAX_INSTRUCTIONS {
        return Err(Error::TooLong { role: policy.role.clone(), length, limit: MAX_INSTRUCTIONS });
    }
    Program::new(instructions).map_err(|source| Error::Defective { role: policy.role.clone(), source })
}
