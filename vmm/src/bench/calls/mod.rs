//! What a filter costs a thread that makes a role's calls: its hot ones, as often as its profile counts them.

pub mod history;
mod mix;

use std::rc::Rc;
use std::time::Duration;

use self::mix::Mix;
use super::Error;
use super::experiment::{Prepared, Work};
use super::method::Contestant;
use super::thread::{ALIKE, Measured, in_turn};
use super::variant::{self, Part, Variant};
use crate::confine::Tier;
use crate::confine::install::Hold;

/// So many calls in a block that it takes some hundred microseconds.
const CALLS: u32 = 240;

/// What the planted work takes: about as much as a filter.
const PLANTED: Duration = Duration::from_nanos(40);

/// Makes ready for one of the experiments.
///
/// # Errors
/// See [`Error`].
pub fn prepare(name: &str, work: Work) -> Result<Prepared, Error> {
    let mix = Mix::find(name).ok_or(Error::Unknown)?;
    let (mut variants, mut contestants) = (Vec::new(), Vec::new());
    for (variant, hold) in holds(mix)? {
        let block = Block {
            turns: CALLS / mix.length(),
            work: work.steps_of(variant.part, PLANTED),
            without_call: variant.part == Part::Work,
        };
        let alike: Rc<[_]> = (0..ALIKE).map(|_| start(mix, hold)).collect::<Result<_, _>>()?;
        variants.push(variant);
        contestants.push(Contestant::new(in_turn(alike, block)));
    }
    Ok(Prepared { variants, contestants, notes: vec![mix.says()] })
}

/// A block of calls.
#[derive(Clone, Copy, Debug)]
struct Block {
    /// How often the whole mix is gone through.
    turns: u32,
    work: u32,
    without_call: bool,
}

fn start(mix: &'static Mix, hold: Hold) -> Result<Measured<Block>, Error> {
    let placements = mix.descriptors()?;
    let measured = Measured::start(move || {
        mix::confine(&placements, hold)?;
        Ok(move |block: Block| mix.carry_out(block.turns, block.work, block.without_call))
    })?;
    measured.order(Block { turns: 1, work: 0, without_call: false })?;
    Ok(measured)
}

/// The variants of a role's policy, the baseline first.
fn holds(mix: &Mix) -> Result<Vec<(Variant, Hold)>, Error> {
    let held = |name: &str, hold: Hold| {
        let Hold::Program(program) = hold else { return (Variant::new(name, Part::Subject), hold) };
        let executed = mix.mean(|op| variant::executed(program, &op.call()));
        let variant = Variant {
            instructions: Some(program.len()),
            executed: Some(executed),
            ..Variant::new(name, Part::Subject)
        };
        (variant, hold)
    };
    let mut all = variant::unheld().map(|variant| (variant, Hold::Unconfined)).to_vec();
    all.extend([
        held("bitmask tier", variant::embedded(mix.policy, Tier::Bitmask)),
        held("filter tier", variant::embedded(mix.policy, Tier::Filter)),
        held("seccompiler", variant::by_reference(&variant::policy(mix.policy)?)?),
    ]);
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::confine::{Fencing, OnViolation};
    use crate::role::policies::vcpu;

    #[test]
    fn a_thread_under_each_variant_does_blocks_of_every_mix() {
        for mix in Mix::ALL {
            for (variant, hold) in holds(mix).unwrap() {
                let thread = start(mix, hold).unwrap();
                let block = Block { turns: 2, work: 0, without_call: false };
                assert!(thread.order(block).unwrap().value > 0.0, "{} {}", mix.name, variant.name);
            }
        }
    }

    #[test]
    fn every_program_allows_the_calls_on_their_slots_and_the_filters_nowhere_else() {
        for mix in Mix::ALL {
            for (Variant { name, .. }, hold) in holds(mix).unwrap() {
                let Hold::Program(program) = hold else { continue };
                for op in mix.ops() {
                    assert!(variant::allows(program, &op.call()), "{name} {op:?}");
                    let mut elsewhere = op.call();
                    elsewhere.arguments[0] = 500;
                    assert_eq!(variant::allows(program, &elsewhere), name == "bitmask tier", "{name} {op:?}");
                }
            }
        }
    }

    #[test]
    fn a_thread_is_under_its_filter_before_the_first_block() {
        // The policy of a vCPU has no rule for these calls.
        let fencing = Fencing { tier: Tier::Filter, on_violation: OnViolation::Errno };
        for mix in Mix::ALL {
            let error = start(mix, fencing.hold(&vcpu::POLICY)).unwrap_err();
            assert!(matches!(error, Error::Call { errno: libc::EPERM, .. }), "{error}");
        }
    }
}
