//! Operations on diagrams, until they come to too much.

use biodivine_lib_bdd::{Bdd, BddPartialValuation, BddVariable, BddVariableSet, op_function};

/// A computation came to more nodes than it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Exhausted;

/// Up to this product of their sizes, two diagrams are joined without a limit: the crate's own functions come
/// optimized whatever the profile, those with a limit are compiled here.
const SURE: usize = 1 << 22;

/// Diagrams, and what a computation may still spend on them.
///
/// Products of two unknown words have no small diagram in any order of variables, and a hostile program can ask for
/// one: every node made is counted, so that such a program is an error and not an afternoon.
pub(super) struct Diagrams<'space> {
    variables: &'space BddVariableSet,
    /// Nodes that may still be made, and how many of them before the next allowance.
    budget: usize,
    allowance: usize,
}

impl<'space> Diagrams<'space> {
    pub(super) fn new(variables: &'space BddVariableSet, budget: usize) -> Self {
        Self { variables, budget, allowance: budget }
    }

    /// Allows so many nodes for what comes next, as far as there are so many.
    pub(super) fn allow(&mut self, nodes: usize) {
        self.allowance = nodes.min(self.budget);
    }

    /// Pays for nodes that were made elsewhere.
    pub(super) fn spend(&mut self, nodes: usize) -> Result<(), Exhausted> {
        self.allowance = self.allowance.checked_sub(nodes).ok_or(Exhausted)?;
        self.budget -= nodes;
        Ok(())
    }

    /// Always the same.
    pub(super) fn constant(&self, value: bool) -> Bdd {
        if value { self.variables.mk_true() } else { self.variables.mk_false() }
    }

    /// What a variable holds.
    pub(super) fn variable(&self, variable: BddVariable) -> Bdd {
        self.variables.mk_var(variable)
    }

    pub(super) fn and(&mut self, left: &Bdd, right: &Bdd) -> Result<Bdd, Exhausted> {
        match (left.as_bool(), right.as_bool()) {
            (Some(false), _) | (_, Some(true)) => Ok(left.clone()),
            (_, Some(false)) | (Some(true), _) => Ok(right.clone()),
            _ => self.join(left, right, Bdd::and, op_function::and),
        }
    }

    pub(super) fn or(&mut self, left: &Bdd, right: &Bdd) -> Result<Bdd, Exhausted> {
        match (left.as_bool(), right.as_bool()) {
            (Some(true), _) | (_, Some(false)) => Ok(left.clone()),
            (_, Some(true)) | (Some(false), _) => Ok(right.clone()),
            _ => self.join(left, right, Bdd::or, op_function::or),
        }
    }

    pub(super) fn xor(&mut self, left: &Bdd, right: &Bdd) -> Result<Bdd, Exhausted> {
        match (left.as_bool(), right.as_bool()) {
            (Some(false), _) => Ok(right.clone()),
            (_, Some(false)) => Ok(left.clone()),
            (Some(true), _) => Ok(right.not()),
            (_, Some(true)) => Ok(left.not()),
            _ => self.join(left, right, Bdd::xor, op_function::xor),
        }
    }

    /// `left` and not `right`
    pub(super) fn without(&mut self, left: &Bdd, right: &Bdd) -> Result<Bdd, Exhausted> {
        match (left.as_bool(), right.as_bool()) {
            (Some(false), _) | (_, Some(false)) => Ok(left.clone()),
            // Everything without a set is its complement; a set without everything is nothing, which is that as well.
            (Some(true), _) | (_, Some(true)) => Ok(right.not()),
            _ => self.join(left, right, Bdd::and_not, op_function::and_not),
        }
    }

    /// `then` where the condition holds, `otherwise` where not.
    pub(super) fn choose(&mut self, condition: &Bdd, then: &Bdd, otherwise: &Bdd) -> Result<Bdd, Exhausted> {
        if then == otherwise {
            return Ok(then.clone());
        }
        let then = self.and(condition, then)?;
        let otherwise = self.without(otherwise, condition)?;
        self.or(&then, &otherwise)
    }

    /// Where none of these holds.
    pub(super) fn none_of(&mut self, parts: &[Bdd]) -> Result<Bdd, Exhausted> {
        if parts.iter().any(Bdd::is_true) {
            return Ok(self.constant(false));
        }
        if let Some(clause) = zero_literals(parts) {
            return Ok(self.variables.mk_conjunctive_clause(&clause));
        }
        let mut none = self.constant(true);
        for part in parts {
            none = self.without(&none, part)?;
        }
        Ok(none)
    }

    fn join(
        &mut self,
        left: &Bdd,
        right: &Bdd,
        sure: fn(&Bdd, &Bdd) -> Bdd,
        limited: fn(Option<bool>, Option<bool>) -> Option<bool>,
    ) -> Result<Bdd, Exhausted> {
        let joined = if left.size().saturating_mul(right.size()) <= SURE {
            sure(left, right)
        } else {
            Bdd::binary_op_with_limit(self.allowance, left, right, limited).ok_or(Exhausted)?
        };
        self.spend(joined.size())?;
        Ok(joined)
    }
}

/// Where all these are zero, if each is a literal of another variable, or zero anyway.
fn zero_literals(functions: &[Bdd]) -> Option<BddPartialValuation> {
    let mut clause = BddPartialValuation::empty();
    for function in functions.iter().filter(|function| !function.is_false()) {
        let root = function.root_pointer();
        // The two constants and one node.
        if function.size() != 3 || clause.has_value(function.var_of(root)) {
            return None;
        }
        clause.set_value(function.var_of(root), function.low_link_of(root).is_one());
    }
    Some(clause)
}
