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
