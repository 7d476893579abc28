//! A set of one register's values as few masks.
//!
//! After S. Minato, "Fast generation of irredundant sum-of-products forms from binary decision diagrams" (SASIMI 1992).

use biodivine_lib_bdd::{Bdd, BddVariable};

use crate::prove::layout::Field;

/// Values whose bits under a mask are these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cube {
    pub(super) mask: u64,
    pub(super) value: u64,
}

/// Masks that together hold exactly the values of the set, none of them without need; `None` if they are more than
/// `limit`, or hard to find.
pub(super) fn cover(set: &Bdd, field: Field, limit: usize) -> Option<Vec<Cube>> {
    let mut search = Search { field, limit, steps: 64 * limit };
    Some(search.between(set, set)?.cubes)
}

struct Search {
    field: Field,
    limit: usize,
    /// How many sets may still be looked at.
    steps: usize,
}

struct Cover {
    cubes: Vec<Cube>,
    /// What they hold.
    set: Bdd,
}

impl Search {
    /// Masks that hold at least one set and at most another.
    fn between(&mut self, least: &Bdd, most: &Bdd) -> Option<Cover> {
        self.steps = self.steps.checked_sub(1)?;
        if least.is_false() {
            return Some(Cover { cubes: Vec::new(), set: least.clone() });
        }
        if most.is_true() {
            return Some(Cover { cubes: vec![Cube { mask: 0, value: 0 }], set: most.clone() });
        }
        let variable = least.var_of(least.root_pointer()).min(most.var_of(most.root_pointer()));
        let at = |set: &Bdd, value| set.var_restrict(variable, value);
        let [least_low, most_low] = [least, most].map(|set| at(set, false));
        let [least_high, most_high] = [least, most].map(|set| at(set, true));
        let low = self.between(&least_low.and_not(&most_high), &most_low)?;
        let high = self.between(&least_high.and_not(&most_low), &most_high)?;
        let left = least_low.and_not(&low.set).or(&least_high.and_not(&high.set));
        let either = self.between(&left, &most_low.and(&most_high))?;
        self.join(variable, low, high, either)
    }

    /// The masks of both values of a variable and those that leave it open.
    fn join(&self, variable: BddVariable, low: Cover, high: Cover, either: Cover) -> Option<Cover> {
        let bit = 1_u64 << (self.field.variables().end - 1 - variable.to_index());
        let fixed = |cubes: Vec<Cube>, value: u64| {
            cubes.into_iter().map(move |cube| Cube { mask: cube.mask | bit, value: cube.value | value })
        };
        let cubes: Vec<_> = fixed(low.cubes, 0).chain(fixed(high.cubes, bit)).chain(either.cubes).collect();
        let literal = |set: &Bdd, value: bool| set.and(&literal(set, variable, value));
        let set = literal(&low.set, false).or(&literal(&high.set, true)).or(&either.set);
        (cubes.len() <= self.limit).then_some(Cover { cubes, set })
    }
}

/// A single variable as a diagram over as many as the set has.
fn literal(set: &Bdd, variable: BddVariable, value: bool) -> Bdd {
    let everything = set.or(&set.not());
    everything.var_select(variable, value)
}
