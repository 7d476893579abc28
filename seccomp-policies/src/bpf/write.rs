//! Instructions by what they do: for backends, and for whoever writes a program by hand.
//!
//! Opcodes: Linux `include/uapi/linux/bpf_common.h`. Offsets: `struct seccomp_data`, Linux `include/uapi/linux/seccomp.h`.

use libc::{
    BPF_ABS, BPF_ALU, BPF_AND, BPF_JA, BPF_JEQ, BPF_JGE, BPF_JGT, BPF_JMP, BPF_JSET, BPF_K, BPF_LD, BPF_RET,
    BPF_W,
};

use super::{Comparison, Instruction};

/// Offset of a call's number, `nr`.
pub const NUMBER: u32 = 0;
/// Offset of the architecture of its entry, `arch`.
pub const ARCH: u32 = 4;
/// Offset of the first of its arguments, `args`.
const ARGUMENTS: u32 = 16;

/// Offset of the lower half of an argument on a little-endian machine; the upper one comes behind it.
pub const fn argument(index: u8) -> u32 {
    ARGUMENTS + 8 * index as u32
}

/// `A` = the word at an offset.
pub const fn load(offset: u32) -> Instruction {
    statement(BPF_LD | BPF_W | BPF_ABS, offset)
}

/// `A &= mask`
pub const fn and(mask: u32) -> Instruction {
    statement(BPF_ALU | BPF_AND | BPF_K, mask)
}

/// Goes on after so many instructions more.
pub const fn jump(distance: u32) -> Instruction {
    statement(BPF_JMP | BPF_JA, distance)
}

/// Goes on after `then` instructions more where `A` compares with the constant, after `otherwise` where it does not.
pub const fn branch(comparison: Comparison, constant: u32, then: u8, otherwise: u8) -> Instruction {
    let comparison = match comparison {
        Comparison::Equal => BPF_JEQ,
        Comparison::Greater => BPF_JGT,
        Comparison::GreaterOrEqual => BPF_JGE,
        Comparison::AnyBit => BPF_JSET,
    };
    instruction(BPF_JMP | BPF_K | comparison, constant, then, otherwise)
}

/// Ends the program with a value: `SECCOMP_RET_*`.
pub const fn ret(value: u32) -> Instruction {
    statement(BPF_RET | BPF_K, value)
}

/// The program with the values that it ends with replaced.
pub fn with_values(program: &[Instruction], value: impl Fn(u32) -> u32) -> Vec<Instruction> {
    let replaced = |one: &Instruction| if *one == ret(one.k) { ret(value(one.k)) } else { one.clone() };
    program.iter().map(replaced).collect()
}

/// An instruction that does not branch.
pub(super) const fn statement(code: u32, k: u32) -> Instruction {
    instruction(code, k, 0, 0)
}

pub(super) const fn instruction(code: u32, k: u32, jt: u8, jf: u8) -> Instruction {
    // Opcodes have 16 bits in the kernel's structure and 32 in libc's constants.
    let [low, high, ..] = code.to_le_bytes();
    Instruction { code: u16::from_le_bytes([low, high]), jt, jf, k }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bpf::{Operand, Operation, Register, Source};

    #[test]
    fn what_is_written_is_what_is_decoded() {
        let comparisons =
            [Comparison::Equal, Comparison::Greater, Comparison::GreaterOrEqual, Comparison::AnyBit];
        for comparison in comparisons {
            let expected = Operation::Branch { comparison, operand: Operand::K(7), then: 1, otherwise: 2 };
            assert_eq!(Operation::decode(&branch(comparison, 7, 1, 2)), Some(expected));
        }
        let written = [load(argument(1)), jump(300), ret(5)].map(|one| Operation::decode(&one).unwrap());
        let load = Operation::Load(Register::A, Source::Data(24));
        assert_eq!(written, [load, Operation::Jump(300), Operation::ReturnConstant(5)]);
    }

    #[test]
    fn values_are_replaced_and_nothing_else() {
        let program = [load(5), branch(Comparison::Equal, 6, 0, 1), ret(7), ret(8)];
        let replaced = with_values(&program, |value| value * 10);
        assert_eq!(replaced, [load(5), branch(Comparison::Equal, 6, 0, 1), ret(70), ret(80)]);
    }
}
