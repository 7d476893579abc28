//! A graph as instructions.

use super::graph::{Graph, Node, NodeId};
use crate::action::Action;
use crate::bpf::write::{ARCH, NUMBER, and, branch, jump, load, ret};
use crate::bpf::{Comparison, Instruction};
use crate::syscalls::Arch;

/// The program: a check of the architecture, then the node that tells call numbers apart and all that it goes on to.
///
/// A call through another architecture's entry ends the process by a return of its own, so that what the policy says
/// of other calls changes no other instruction.
pub(super) fn program(graph: &Graph, arch: Arch, numbers: NodeId) -> Vec<Instruction> {
    let mut backward = Backward {
        graph,
        instructions: Vec::new(),
        labels: vec![None; graph.len()],
        sizes: vec![None; graph.len()],
    };
    backward.last(numbers);
    backward.push(load(NUMBER));
    backward.push(ret(Action::KillProcess.to_return_value()));
    backward.push(branch(Comparison::Equal, arch.audit_value(), 1, 0));
    backward.push(load(ARCH));
    backward.instructions.reverse();
    backward.instructions
}

/// A place in a program, counted from its end, so that it stays when instructions are put before it.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Label(usize);

/// A program written from its end to its start: jumps go forward, so their targets are known.
struct Backward<'a> {
    graph: &'a Graph,
    instructions: Vec<Instruction>,
    /// Where each node stands; of several places the first in the program, which is the nearest to what comes before.
    labels: Vec<Option<Label>>,
    /// How many instructions a node and what follows it come to, where nothing is shared.
    sizes: Vec<Option<usize>>,
}

impl Backward<'_> {
    fn push(&mut self, instruction: Instruction) -> Label {
        self.instructions.push(instruction);
        Label(self.instructions.len() - 1)
    }

    /// Where the node stands, written now if it was not yet.
    fn label(&mut self, id: NodeId) -> Label {
        match self.labels[Graph::index(id)] {
            Some(label) => label,
            None => self.write(id),
        }
    }

    /// The node as the instruction written last, so that the next one can go on to it without a jump.
    fn last(&mut self, id: NodeId) -> Label {
        let label = self.label(id);
        if label.0 + 1 == self.instructions.len() { label } else { self.write(id) }
    }

    /// Writes the node, once more if it stands already, behind what it goes on to.
    fn write(&mut self, id: NodeId) -> Label {
        let label = match self.graph.node(id) {
            Node::Return(action) => self.push(ret(action.to_return_value())),
            Node::Load { offset, next } => {
                self.last(next);
                self.push(load(offset))
            }
            Node::And { mask, next } => {
                self.last(next);
                self.push(and(mask))
            }
            Node::Branch { comparison, constant, then, otherwise } => {
                self.branch(comparison, constant, then, otherwise)
            }
        };
        self.labels[Graph::index(id)] = Some(label);
        label
    }

    /// A branch, the smaller of its two sides next to it: the jump is over that one.
    fn branch(&mut self, comparison: Comparison, constant: u32, then: NodeId, otherwise: NodeId) -> Label {
        if self.size(then) >= self.size(otherwise) {
            self.label(then);
            self.label(otherwise);
        } else {
            self.label(otherwise);
            self.label(then);
        }
        let then = self.in_reach(then);
        let otherwise = self.in_reach(otherwise);
        let distance = |label: Label| {
            u8::try_from(self.instructions.len() - 1 - label.0).expect("brought into reach above")
        };
        let (jt, jf) = (distance(then), distance(otherwise));
        self.push(branch(comparison, constant, jt, jf))
    }

    /// A place near enough for a conditional jump, whose distance has 8 bits: where the node stands, the node again
    /// where that is a return, or a step to it.
    fn in_reach(&mut self, id: NodeId) -> Label {
        let label = self.label(id);
        // One instruction can still come between, for the branch's other target.
        let distance = self.instructions.len() - label.0;
        if u8::try_from(distance).is_ok() {
            return label;
        }
        if let Node::Return(_) = self.graph.node(id) {
            return self.write(id);
        }
        let distance = u32::try_from(distance - 1).expect("a program is short");
        let step = self.push(jump(distance));
        self.labels[Graph::index(id)] = Some(step);
        step
    }

    fn size(&mut self, id: NodeId) -> usize {
        if let Some(size) = self.sizes[Graph::index(id)] {
            return size;
        }
        let behind = match self.graph.node(id) {
            Node::Return(_) => 0,
            Node::Load { next, .. } | Node::And { next, .. } => self.size(next),
            Node::Branch { then, otherwise, .. } => self.size(then).saturating_add(self.size(otherwise)),
        };
        let size = behind.saturating_add(1);
        self.sizes[Graph::index(id)] = Some(size);
        size
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bpf::interpret;
    use crate::call::Call;

    /// Numbers from this one on are tested for in turn.
    const FIRST: u32 = 1000;

    fn equal(graph: &mut Graph, constant: u32, then: NodeId, otherwise: NodeId) -> NodeId {
        graph.add(Node::Branch { comparison: Comparison::Equal, constant, then, otherwise })
    }

    fn returns(graph: &mut Graph) -> [NodeId; 2] {
        [Action::Allow, Action::Trap].map(|action| graph.add(Node::Return(action)))
    }

    /// A chain of so many tests for numbers, which ends with these two nodes.
    fn chain(graph: &mut Graph, length: u32, then: NodeId, otherwise: NodeId) -> NodeId {
        (0..length).fold(otherwise, |rest, index| equal(graph, FIRST + index, then, rest))
    }

    fn answer(graph: &Graph, id: NodeId, word: u32) -> Action {
        match graph.node(id) {
            Node::Return(action) => action,
            Node::Branch { comparison, constant, then, otherwise } => {
                answer(graph, if comparison.holds(word, constant) { then } else { otherwise }, word)
            }
            other => panic!("numbers alone are tested here: {other:?}"),
        }
    }

    fn returned(program: &[Instruction], number: u32) -> u32 {
        let arch = Arch::X86_64.audit_value();
        let call = Call { number, arch, instruction_pointer: 0, arguments: [0; 6] };
        interpret(program, &call).expect("every jump lands").value
    }

    #[test]
    fn branches_reach_targets_at_every_distance_around_the_longest_jump() {
        for length in 240..275 {
            let mut graph = Graph::default();
            let [allow, trap] = returns(&mut graph);
            for (then, otherwise) in [(allow, trap), (trap, allow)] {
                for (near_then, near_otherwise) in [(allow, trap), (trap, allow)] {
                    let near = equal(&mut graph, 2, near_then, near_otherwise);
                    let long = chain(&mut graph, length, then, otherwise);
                    for [first, second] in [[long, near], [near, long]] {
                        let numbers = equal(&mut graph, 1, first, second);
                        let program = program(&graph, Arch::X86_64, numbers);
                        for number in [0, 1, 2, 3, FIRST, FIRST + length - 1, FIRST + length] {
                            let expected = answer(&graph, numbers, number).to_return_value();
                            assert_eq!(returned(&program, number), expected, "{length} {number}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn one_return_serves_all_paths_with_its_action() {
        let mut graph = Graph::default();
        let [allow, trap] = returns(&mut graph);
        let numbers = chain(&mut graph, 100, allow, trap);
        assert_eq!(program(&graph, Arch::X86_64, numbers).len(), 4 + 100 + 2);
    }

    #[test]
    fn a_test_behind_two_loads_is_written_twice_and_what_follows_it_once() {
        let mut graph = Graph::default();
        let [allow, trap] = returns(&mut graph);
        let ends = chain(&mut graph, 20, allow, trap);
        let test = equal(&mut graph, 7, allow, ends);
        let loads = [16, 24].map(|offset| graph.add(Node::Load { offset, next: test }));
        let numbers = equal(&mut graph, 1, loads[0], loads[1]);
        let program = program(&graph, Arch::X86_64, numbers);
        assert_eq!(program.len(), 4 + 1 + 2 * 2 + 20 + 2);
        assert_eq!(returned(&program, 1), Action::Trap.to_return_value());
    }
}
