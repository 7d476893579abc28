//! The optimizing backend: what is executed often comes early, everything else by a search, equal ends once.
//!
//! The rules of each call are reduced to a function of its argument words first, exactly ([`function`]); a call whose
//! function is constant looks at no argument, whatever its rules say. Call numbers are told apart before any argument is
//! loaded, so that the kernel's action cache ([`crate::bpf::cached_calls`]) answers every call that is always allowed.

mod argument;
mod calls;
mod function;
mod numbers;
mod sample;
mod sets;
mod split;
mod weights;
mod word;

pub(super) use function::Function;
use function::TooComplicated;
pub(super) use sample::allowed;
pub use weights::Weights;

use super::graph::Graph;
use super::search::Goal;
use super::{Error, emit, finish, refuse_strict};
use crate::bpf::{Instruction, MAX_INSTRUCTIONS, Program};
use crate::language::Policy;

/// An instruction more in the program is taken for a hundredth of one executed less by the mean call, and one more on
/// the longest path for a twentieth.
const FAST: Goal = Goal { test: 0.01, depth: 0.05 };

/// The fewest instructions, whatever is executed: for a policy that does not fit otherwise.
const SMALL: Goal = Goal { test: 1e6, depth: 0.05 };

/// Compiles the policy for the fewest instructions executed, as the weights count calls.
///
/// # Errors
/// [`Error::Strict`] for a policy that needs no program, [`Error::TooLong`] for one that does not fit in one, and
/// [`Error::TooComplicated`] for one that takes too long to compile.
pub fn optimize(policy: &Policy, weights: &Weights) -> Result<Program, Error> {
    refuse_strict(policy)?;
    let fast = lay_out(policy, weights, FAST)?;
    if fast.len() <= MAX_INSTRUCTIONS {
        return finish(policy, fast);
    }
    finish(policy, lay_out(policy, weights, SMALL)?)
}

fn lay_out(policy: &Policy, weights: &Weights, goal: Goal) -> Result<Vec<Instruction>, Error> {
    let mut graph = Graph::default();
    let calls = calls::plan(policy, weights, &mut graph, goal);
    let calls = calls.map_err(|TooComplicated| Error::TooComplicated { role: policy.role.clone() })?;
    let numbers = numbers::search(&mut graph, &calls, goal);
    Ok(emit::program(&graph, policy.arch, numbers))
}
