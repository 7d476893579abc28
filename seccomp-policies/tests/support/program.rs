//! Instructions in short form.

use libc::{BPF_ABS, BPF_JMP, BPF_K, BPF_LD, BPF_RET, BPF_W};
use seccomp_policies::bpf::{Instruction, Program};
use seccomp_policies::compile::{Error, reference};
use seccomp_policies::language::Policy;

/// An instruction without jumps.
pub fn op(code: u32, k: u32) -> Instruction {
    jump(code, k, 0, 0)
}

/// An instruction that jumps.
pub fn jump(code: u32, k: u32, jt: u8, jf: u8) -> Instruction {
    Instruction { code: u16::try_from(code).expect("opcodes have 16 bits"), jt, jf, k }
}

/// A load of the word at an offset of `struct seccomp_data`.
pub fn load(offset: u32) -> Instruction {
    op(BPF_LD | BPF_W | BPF_ABS, offset)
}

/// A conditional jump on a comparison with a constant.
pub fn when(comparison: u32, k: u32, jt: u8, jf: u8) -> Instruction {
    jump(BPF_JMP | comparison | BPF_K, k, jt, jf)
}

/// A return of a constant.
pub fn ret(value: u32) -> Instruction {
    op(BPF_RET | BPF_K, value)
}

/// The program of the reference backend, or `None` where the policy's conditions do not fit in one.
pub fn reference_if_it_fits(policy: &Policy) -> Option<Program> {
    match reference(policy) {
        Ok(program) => Some(program),
        Err(Error::TooManyAlternatives { .. } | Error::TooLong { .. }) => None,
        Err(error) => panic!("{error}"),
    }
}
