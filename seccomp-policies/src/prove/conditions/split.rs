//! Which values of a register leave the same choice to the registers after it.

use std::collections::{BTreeSet, HashMap};

use biodivine_lib_bdd::{Bdd, BddNode, BddPointer};

use crate::prove::layout::Field;

/// Values of the field, and the set that is left where it has one of them: every set differs from the others, and none
/// is empty. `None` if there are more than `limit`.
///
/// The set depends on no variable before the field's.
pub(super) fn split(set: &Bdd, field: Field, limit: usize) -> Option<Vec<(Bdd, Bdd)>> {
    let end = field.variables().end;
    let beyond = |node: BddPointer| node.is_terminal() || set.var_of(node).to_index() >= end;
    let mut leaves = BTreeSet::new();
    let mut seen = BTreeSet::new();
    let mut open = vec![set.root_pointer()];
    while let Some(node) = open.pop() {
        if beyond(node) {
            if !node.is_zero() {
                leaves.insert(node);
            }
        } else if seen.insert(node) {
            open.extend([set.high_link_of(node), set.low_link_of(node)]);
        }
        if leaves.len() > limit {
            return None;
        }
    }
    let groups = leaves.into_iter().map(|leaf| {
        let values = Copy::of(set, set.root_pointer(), |node| beyond(node).then_some(node == leaf));
        (values, Copy::of(set, leaf, |_| None))
    });
    Some(groups.collect())
}

/// A part of a diagram as one of its own.
struct Copy<'a, Cut> {
    from: &'a Bdd,
    /// Which nodes become a constant.
    cut: Cut,
    nodes: Vec<BddNode>,
    copied: HashMap<BddPointer, BddPointer>,
}

impl<Cut: Fn(BddPointer) -> Option<bool>> Copy<'_, Cut> {
    /// The nodes from `root` on, down to those that are cut.
    fn of(from: &Bdd, root: BddPointer, cut: Cut) -> Bdd {
        let bits = from.num_vars();
        let nodes = vec![BddNode::mk_zero(bits), BddNode::mk_one(bits)];
        let mut copy = Copy { from, cut, nodes, copied: HashMap::new() };
        let root = copy.node(root);
        // A diagram's last node is its root, which a constant as root must be as well.
        copy.nodes.truncate(if root.is_terminal() { root.to_index() + 1 } else { copy.nodes.len() });
        let copied = Bdd::from_nodes(&copy.nodes).expect("a copy keeps the order of variables");
        // Nodes that a cut has made equal are one again after an operation.
        copied.or(&copied.and_not(&copied))
    }

    fn node(&mut self, node: BddPointer) -> BddPointer {
        if let Some(constant) = (self.cut)(node) {
            return BddPointer::from_bool(constant);
        }
        if node.is_terminal() {
            return node;
        }
        if let Some(copied) = self.copied.get(&node) {
            return *copied;
        }
        let low = self.node(self.from.low_link_of(node));
        let high = self.node(self.from.high_link_of(node));
        let copied =
            if low == high { low } else { self.push(BddNode::mk_node(self.from.var_of(node), low, high)) };
        self.copied.insert(node, copied);
        copied
    }

    fn push(&mut self, node: BddNode) -> BddPointer {
        self.nodes.push(node);
        BddPointer::from_index(self.nodes.len() - 1)
    }
}
