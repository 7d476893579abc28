//! A decision tree over call numbers as instructions.

use super::search::Tree;
use crate::action::Action;
use crate::bpf::{Comparison, Instruction, branch, statement};
use crate::syscalls::Arch;

/// Offset of `nr` in `struct seccomp_data`, Linux `include/uapi/linux/seccomp.h`.
const NUMBER: u32 = 0;
/// Offset of `arch` in `struct seccomp_data`.
const ARCH: u32 = 4;

const LOAD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
const RETURN: u32 = libc::BPF_RET | libc::BPF_K;

/// The tree behind a check of the architecture.
pub(super) fn program(tree: &Tree, arch: Arch) -> Vec<Instruction> {
    let mut backward = Backward::default();
    backward.tree(tree);
    backward.push(statement(LOAD, NUMBER));
    backward.push(statement(RETURN, Action::KillProcess.to_return_value()));
    backward.push(branch(opcode(Comparison::Equal), arch.audit_value(), 1, 0));
    backward.push(statement(LOAD, ARCH));
    backward.instructions.reverse();
    backward.instructions
}

/// A place in a program, counted from its end, so that it stays when instructions are put before it.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Label(usize);

/// A program written from its end to its start: jumps go forward, so their targets are known.
#[derive(Default)]
struct Backward {
    instructions: Vec<Instruction>,
    returns: Vec<(Action, Label)>,
}

impl Backward {
    fn push(&mut self, instruction: Instruction) -> Label {
        self.instructions.push(instruction);
        Label(self.instructions.len() - 1)
    }

    fn tree(&mut self, tree: &Tree) -> Label {
        match tree {
            Tree::Return(action) => self.return_of(*action),
            Tree::Branch { comparison, constant, then, otherwise } => {
                let then = self.tree(then);
                let otherwise = self.tree(otherwise);
                self.branch(*comparison, *constant, then, otherwise)
            }
        }
    }

    /// One return serves every path that ends with its action.
    fn return_of(&mut self, action: Action) -> Label {
        match self.returns.iter().find(|(known, _)| *known == action) {
            Some((_, label)) => *label,
            None => self.new_return(action),
        }
    }

    fn new_return(&mut self, action: Action) -> Label {
        let label = self.push(statement(RETURN, action.to_return_value()));
        self.returns.retain(|(known, _)| *known != action);
        self.returns.push((action, label));
        label
    }

    fn branch(&mut self, comparison: Comparison, constant: u32, then: Label, otherwise: Label) -> Label {
        let then = self.in_reach(then);
        let otherwise = self.in_reach(otherwise);
        let distance = |label: Label| {
            u8::try_from(self.instructions.len() - 1 - label.0).expect("brought into reach above")
        };
        let (jt, jf) = (distance(then), distance(otherwise));
        self.push(branch(opcode(comparison), constant, jt, jf))
    }

    /// A place near enough for a conditional jump, whose distance has 8 bits: the label, or a step to it.
    fn in_reach(&mut self, label: Label) -> Label {
        // One instruction can still come between, for the branch's other target.
        let distance = self.instructions.len() - label.0;
        if u8::try_from(distance).is_ok() {
            return label;
        }
        if let Some(&(action, _)) = self.returns.iter().find(|(_, known)| *known == label) {
            return self.new_return(action);
        }
        let distance = u32::try_from(distance - 1).expect("a program is short");
        self.push(statement(libc::BPF_JMP | libc::BPF_JA, distance))
    }
}

const fn opcode(comparison: Comparison) -> u32 {
    let operation = match comparison {
        Comparison::Equal => libc::BPF_JEQ,
        Comparison::Greater => libc::BPF_JGT,
        Comparison::GreaterOrEqual => libc::BPF_JGE,
        Comparison::AnyBit => libc::BPF_JSET,
    };
    libc::BPF_JMP | operation | libc::BPF_K
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bpf::interpret;
    use crate::call::Call;

    const ALLOW: Tree = Tree::Return(Action::Allow);
    const TRAP: Tree = Tree::Return(Action::Trap);

    fn equal(constant: u32, then: Tree, otherwise: Tree) -> Tree {
        Tree::Branch {
            comparison: Comparison::Equal,
            constant,
            then: Box::new(then),
            otherwise: Box::new(otherwise),
        }
    }

    fn answer(tree: &Tree, number: u32) -> Action {
        match tree {
            Tree::Return(action) => *action,
            Tree::Branch { comparison, constant, then, otherwise } => {
                answer(if comparison.holds(number, *constant) { then } else { otherwise }, number)
            }
        }
    }

    /// A chain of so many tests, which ends with these two returns.
    fn chain(length: u32, then: &Tree, otherwise: &Tree) -> Tree {
        (0..length).fold(otherwise.clone(), |rest, index| equal(1000 + index, then.clone(), rest))
    }

    #[test]
    fn branches_reach_targets_at_every_distance_around_the_longest_jump() {
        for length in 240..275 {
            let ends = [(ALLOW, TRAP), (TRAP, ALLOW)];
            let short = ends.clone().map(|(then, otherwise)| equal(2, then, otherwise));
            for (then, otherwise) in ends {
                for near in &short {
                    let long = chain(length, &then, &otherwise);
                    for tree in [equal(1, long.clone(), near.clone()), equal(1, near.clone(), long)] {
                        let program = program(&tree, Arch::X86_64);
                        for number in [0, 1, 2, 3, 1000, 1000 + length - 1, 1000 + length] {
                            let arch = Arch::X86_64.audit_value();
                            let call = Call { number, arch, instruction_pointer: 0, arguments: [0; 6] };
                            let value = interpret(&program, &call).expect("every jump lands").value;
                            assert_eq!(value, answer(&tree, number).to_return_value(), "{length} {number}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn one_return_serves_all_paths_with_its_action() {
        let program = program(&chain(100, &ALLOW, &TRAP), Arch::X86_64);
        assert_eq!(program.len(), 4 + 100 + 2);
    }
}
