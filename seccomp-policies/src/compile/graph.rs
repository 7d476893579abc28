//! A program as a graph: what each path does, without the places of instructions.
//!
//! Equal nodes are one, so that equal ends of different paths are shared whichever calls they belong to.

use std::collections::HashMap;

use super::search::Tree;
use crate::action::Action;
use crate::bpf::Comparison;

/// A node of one graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct NodeId(usize);

/// An instruction and where it goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Node {
    /// Ends the program.
    Return(Action),
    /// Loads a word of `struct seccomp_data`, at this offset in bytes.
    Load { offset: u32, next: NodeId },
    /// Keeps these bits of the word.
    And { mask: u32, next: NodeId },
    /// Compares the word with a constant.
    Branch { comparison: Comparison, constant: u32, then: NodeId, otherwise: NodeId },
}

/// Nodes, each after those that it goes on to.
#[derive(Default)]
pub(super) struct Graph {
    nodes: Vec<Node>,
    ids: HashMap<Node, NodeId>,
    depths: Vec<usize>,
}

impl Graph {
    /// The node; a branch that goes one way only is what it goes to.
    pub(super) fn add(&mut self, node: Node) -> NodeId {
        if let Node::Branch { then, otherwise, .. } = node
            && then == otherwise
        {
            return then;
        }
        *self.ids.entry(node).or_insert_with(|| {
            let depth = |id: NodeId| self.depths[id.0];
            self.depths.push(match node {
                Node::Return(_) => 1,
                Node::Load { next, .. } | Node::And { next, .. } => 1 + depth(next),
                Node::Branch { then, otherwise, .. } => 1 + depth(then).max(depth(otherwise)),
            });
            self.nodes.push(node);
            NodeId(self.nodes.len() - 1)
        })
    }

    /// A tree of tests on the word that is loaded, each outcome being a node.
    pub(super) fn add_tree(&mut self, tree: &Tree, outcomes: &[NodeId]) -> NodeId {
        match tree {
            Tree::Leaf(outcome) => outcomes[*outcome],
            Tree::Branch { comparison, constant, then, otherwise } => {
                let then = self.add_tree(then, outcomes);
                let otherwise = self.add_tree(otherwise, outcomes);
                self.add(Node::Branch { comparison: *comparison, constant: *constant, then, otherwise })
            }
        }
    }

    /// The node's instruction.
    pub(super) fn node(&self, id: NodeId) -> Node {
        self.nodes[id.0]
    }

    /// Instructions on the longest path from the node, it and the return included.
    pub(super) fn depth(&self, id: NodeId) -> usize {
        self.depths[id.0]
    }

    /// For each node, a place in a list of as many.
    pub(super) const fn index(id: NodeId) -> usize {
        id.0
    }

    /// How many nodes there are, whether or not anything goes to them.
    pub(super) const fn len(&self) -> usize {
        self.nodes.len()
    }
}
