//! Instructions from the bytes of `struct sock_filter`.

use crate::bpf::{Instruction, Operation, validate};

/// Bytes of one instruction: Linux `include/uapi/linux/filter.h`.
pub(super) const INSTRUCTION: usize = 8;

/// Which byte of a number comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Endianness {
    /// The lowest, as on x86 and nearly all of Arm.
    Little,
    /// The highest.
    Big,
}

/// The instructions of a program, and the byte order that they are in.
///
/// The order shows: an opcode has eight bits in a field of two bytes. Where both orders give a program that the kernel
/// would take, or none does, the one that has more opcodes counts, and little-endian of equals. `None` for a length
/// that is no number of instructions.
pub(super) fn instructions(bytes: &[u8]) -> Option<(Vec<Instruction>, Endianness)> {
    if bytes.is_empty() || !bytes.len().is_multiple_of(INSTRUCTION) {
        return None;
    }
    let read = |endianness| (in_order(bytes, endianness), endianness);
    let (little, big) = (read(Endianness::Little), read(Endianness::Big));
    let worth = |program: &[Instruction]| {
        let opcodes = program.iter().filter(|instruction| Operation::decode(instruction).is_some()).count();
        (validate(program).is_ok(), opcodes)
    };
    Some(if worth(&big.0) > worth(&little.0) { big } else { little })
}

fn in_order(bytes: &[u8], endianness: Endianness) -> Vec<Instruction> {
    bytes.chunks_exact(INSTRUCTION).map(|chunk| instruction(chunk, endianness)).collect()
}

fn instruction(chunk: &[u8], endianness: Endianness) -> Instruction {
    let (code, k) = ([chunk[0], chunk[1]], [chunk[4], chunk[5], chunk[6], chunk[7]]);
    let (code, k) = match endianness {
        Endianness::Little => (u16::from_le_bytes(code), u32::from_le_bytes(k)),
        Endianness::Big => (u16::from_be_bytes(code), u32::from_be_bytes(k)),
    };
    Instruction { code, jt: chunk[2], jf: chunk[3], k }
}
