//! Whether a program means what its policy means.

use super::{Decisions, Difference, Error};
use crate::bpf::Instruction;
use crate::language::Policy;

/// A program that was not proved equal to its policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unproved {
    /// There is no telling what the program decides.
    #[error(transparent)]
    Program(#[from] Error),
    /// They differ.
    #[error(
        "for {} the policy says {}, its program {}, and they differ on {} calls of 2^512 in all",
        .0.text(), .0.left, .0.right, .0.calls.count()
    )]
    Different(Box<Difference>),
}

/// Proves that a program does with every call what the policy says.
///
/// # Errors
/// [`Unproved::Different`] with a call on which they differ.
pub fn prove(program: &[Instruction], policy: &Policy) -> Result<(), Unproved> {
    let program = Decisions::of_program(program)?;
    match Decisions::of_policy(policy).difference(&program) {
        None => Ok(()),
        Some(difference) => Err(Unproved::Different(Box::new(difference))),
    }
}
