//! The interpreter, opcode by opcode, with the running kernel as a second opinion.

mod support;

use libc::{
    BPF_A, BPF_ABS, BPF_ADD, BPF_ALU, BPF_AND, BPF_DIV, BPF_IMM, BPF_JA, BPF_JEQ, BPF_JGE, BPF_JGT, BPF_JMP,
    BPF_JSET, BPF_LD, BPF_LDX, BPF_LEN, BPF_LSH, BPF_MEM, BPF_MISC, BPF_MUL, BPF_NEG, BPF_OR, BPF_RET,
    BPF_RSH, BPF_ST, BPF_STX, BPF_SUB, BPF_TAX, BPF_TXA, BPF_W, BPF_X, BPF_XOR,
};
use seccomp_policies::action::Action;
use seccomp_policies::bpf::{Fault, Instruction, interpret};
use seccomp_policies::call::Call;
use seccomp_policies::syscalls::Arch;
use support::arbitrary::{EXIT_GROUP, FIRST_NUMBER};
use support::kernel::{results_under, signal_under};
use support::program::{load, op, ret, when};

/// Each of its words has a value of its own.
const CALL: Call = Call {
    number: FIRST_NUMBER,
    arch: Arch::X86_64.audit_value(),
    instruction_pointer: 0x1111_1111_2222_2222,
    arguments: [
        0x3333_3333_4444_4444,
        0x5555_5555_6666_6666,
        0x7777_7777_8888_8888,
        0x9999_9999_aaaa_aaaa,
        0xbbbb_bbbb_cccc_cccc,
        0xdddd_dddd_eeee_eeee,
    ],
};

const A: u32 = 0xf000_0005;
const X: u32 = 3;

/// `A` and `X` loaded, then the instruction, then `A` returned.
fn with_registers(instruction: Instruction) -> Vec<Instruction> {
    vec![op(BPF_LD | BPF_IMM, A), op(BPF_LDX | BPF_IMM, X), instruction, op(BPF_RET | BPF_A, 0)]
}

fn answer(program: &[Instruction]) -> u32 {
    interpret(program, &CALL).expect("the program is valid").value
}

/// The kernel's word for what the program computes: `exit_group` passes, then `EPERM` where `A` is as expected.
fn assert_kernel_computes(computation: &[Instruction], expected: u32) {
    let mut program = vec![load(0), when(BPF_JEQ, EXIT_GROUP.number, 0, 1), ret(libc::SECCOMP_RET_ALLOW)];
    program.extend_from_slice(computation);
    assert_eq!(program.pop(), Some(op(BPF_RET | BPF_A, 0)), "the answer is compared instead");
    program.extend([
        when(BPF_JEQ, expected, 0, 1),
        ret(Action::Errno(1).to_return_value()),
        ret(Action::Errno(2).to_return_value()),
    ]);
    assert_eq!(
        results_under(&program, &[CALL]),
        [-1],
        "the kernel computes another value than {expected:#x}"
    );
}

#[test]
fn every_word_of_a_call_is_loaded_from_its_offset() {
    let words = [
        FIRST_NUMBER,
        Arch::X86_64.audit_value(),
        0x2222_2222,
        0x1111_1111,
        0x4444_4444,
        0x3333_3333,
        0x6666_6666,
        0x5555_5555,
        0x8888_8888,
        0x7777_7777,
        0xaaaa_aaaa,
        0x9999_9999,
        0xcccc_cccc,
        0xbbbb_bbbb,
        0xeeee_eeee,
        0xdddd_dddd,
    ];
    for (offset, word) in (0..).step_by(4).zip(words) {
        let program = [load(offset), op(BPF_RET | BPF_A, 0)];
        assert_eq!(answer(&program), word, "offset {offset}");
        // The instruction pointer is the kernel's to say.
        if !(8..16).contains(&offset) {
            assert_kernel_computes(&program, word);
        }
    }
}

#[test]
fn every_instruction_leaves_in_the_accumulator_what_the_kernel_does() {
    let table = [
        (BPF_LD | BPF_IMM, 7, 7),
        (BPF_LD | BPF_W | BPF_LEN, 0, 64),
        (BPF_ALU | BPF_ADD, 0x1000_0000, 5),
        (BPF_ALU | BPF_ADD | BPF_X, 0, 0xf000_0008),
        (BPF_ALU | BPF_SUB, 6, 0xefff_ffff),
        (BPF_ALU | BPF_SUB | BPF_X, 0, 0xf000_0002),
        (BPF_ALU | BPF_MUL, 0x11, 0xf000_0055),
        (BPF_ALU | BPF_MUL | BPF_X, 0, 0xd000_000f),
        (BPF_ALU | BPF_DIV, 0x10, 0x0f00_0000),
        (BPF_ALU | BPF_DIV | BPF_X, 0, 0x5000_0001),
        (BPF_ALU | BPF_AND, 0xff00_0004, 0xf000_0004),
        (BPF_ALU | BPF_AND | BPF_X, 0, 1),
        (BPF_ALU | BPF_OR, 0x0a, 0xf000_000f),
        (BPF_ALU | BPF_OR | BPF_X, 0, 0xf000_0007),
        (BPF_ALU | BPF_XOR, u32::MAX, 0x0fff_fffa),
        (BPF_ALU | BPF_XOR | BPF_X, 0, 0xf000_0006),
        (BPF_ALU | BPF_LSH, 31, 0x8000_0000),
        (BPF_ALU | BPF_LSH | BPF_X, 0, 0x8000_0028),
        (BPF_ALU | BPF_RSH, 28, 0xf),
        (BPF_ALU | BPF_RSH | BPF_X, 0, 0x1e00_0000),
        (BPF_ALU | BPF_NEG, 0, 0x0fff_fffb),
        (BPF_MISC | BPF_TXA, 0, X),
    ];
    for (code, k, expected) in table {
        let program = with_registers(op(code, k));
        assert_eq!(answer(&program), expected, "opcode {code:#x}");
        assert_kernel_computes(&program, expected);
    }
}

#[test]
fn every_comparison_takes_the_way_that_the_kernel_takes() {
    let table = [
        (BPF_JEQ, A, true),
        (BPF_JEQ, A - 1, false),
        (BPF_JGT, A - 1, true),
        (BPF_JGT, A, false),
        // Unsigned: A would be negative.
        (BPF_JGT, 5, true),
        (BPF_JGE, A, true),
        (BPF_JGE, A + 1, false),
        (BPF_JSET, 0x8000_0002, true),
        (BPF_JSET, 0x0fff_fffa, false),
    ];
    for (comparison, operand, holds) in table {
        let expected = if holds { 1 } else { 2 };
        for compare in
            [when(comparison, operand, 0, 2), support::program::jump(BPF_JMP | comparison | BPF_X, 0, 0, 2)]
        {
            let program = [
                op(BPF_LD | BPF_IMM, A),
                op(BPF_LDX | BPF_IMM, operand),
                compare,
                op(BPF_LD | BPF_IMM, 1),
                op(BPF_JMP | BPF_JA, 1),
                op(BPF_LD | BPF_IMM, 2),
                op(BPF_RET | BPF_A, 0),
            ];
            assert_eq!(answer(&program), expected, "{comparison:#x} with {operand:#x}");
            assert_kernel_computes(&program, expected);
        }
    }
}

#[test]
fn scratch_memory_keeps_each_word_of_both_registers() {
    for word in 0..16 {
        let program = [
            op(BPF_LD | BPF_IMM, A),
            op(BPF_LDX | BPF_IMM, X),
            op(BPF_ST, word),
            op(BPF_STX, (word + 1) % 16),
            op(BPF_LD | BPF_MEM, (word + 1) % 16),
            op(BPF_LDX | BPF_MEM, word),
            op(BPF_ALU | BPF_SUB | BPF_X, 0),
            op(BPF_RET | BPF_A, 0),
        ];
        assert_eq!(answer(&program), X.wrapping_sub(A));
        assert_kernel_computes(&program, X.wrapping_sub(A));
    }
}

#[test]
fn registers_start_at_zero_and_copy_both_ways() {
    let fresh = [op(BPF_ALU | BPF_ADD | BPF_X, 0), op(BPF_RET | BPF_A, 0)];
    assert_eq!(answer(&fresh), 0);
    let copied = [
        op(BPF_LD | BPF_IMM, 9),
        op(BPF_MISC | BPF_TAX, 0),
        op(BPF_LD | BPF_IMM, 1),
        op(BPF_ALU | BPF_ADD | BPF_X, 0),
        op(BPF_RET | BPF_A, 0),
    ];
    assert_eq!(answer(&copied), 10);
    assert_kernel_computes(&copied, 10);
    let length = [op(BPF_LDX | BPF_W | BPF_LEN, 0), op(BPF_MISC | BPF_TXA, 0), op(BPF_RET | BPF_A, 0)];
    assert_eq!(answer(&length), 64);
    assert_kernel_computes(&length, 64);
}

#[test]
fn a_shift_by_a_register_uses_its_lowest_five_bits() {
    for (shift, expected) in [(BPF_LSH, A << 1), (BPF_RSH, A >> 1)] {
        let program = [
            op(BPF_LD | BPF_IMM, A),
            op(BPF_LDX | BPF_IMM, 33),
            op(BPF_ALU | shift | BPF_X, 0),
            op(BPF_RET | BPF_A, 0),
        ];
        assert_eq!(answer(&program), expected);
        assert_kernel_computes(&program, expected);
    }
}

#[test]
fn a_division_by_zero_ends_the_program_with_0_which_kills() {
    let division = [op(BPF_LD | BPF_IMM, A), op(BPF_ALU | BPF_DIV | BPF_X, 0), ret(libc::SECCOMP_RET_ALLOW)];
    let evaluation = interpret(&division, &CALL).expect("the program is valid");
    assert_eq!((evaluation.value, evaluation.executed), (libc::SECCOMP_RET_KILL_THREAD, 2));
    assert_eq!(signal_under(&division, || ()), Some(libc::SIGSYS));
}

#[test]
fn executed_instructions_are_counted_along_the_path_taken() {
    let program = [
        load(0),
        when(BPF_JEQ, FIRST_NUMBER, 2, 0),
        load(16),
        ret(1),
        op(BPF_JMP | BPF_JA, 1),
        ret(2),
        ret(3),
    ];
    let evaluation = interpret(&program, &CALL).expect("the program is valid");
    assert_eq!((evaluation.value, evaluation.executed), (3, 4));
}

#[test]
fn what_the_kernel_refuses_is_a_fault_and_no_panic() {
    assert_eq!(interpret(&[], &CALL), Err(Fault::PastEnd { at: 0 }));
    assert_eq!(interpret(&[load(0)], &CALL), Err(Fault::PastEnd { at: 1 }));
    let far = op(BPF_JMP | BPF_JA, u32::MAX);
    assert_eq!(interpret(&[far, ret(0)], &CALL), Err(Fault::PastEnd { at: 1 << 32 }));
    assert_eq!(interpret(&[op(0xffff, 0), ret(0)], &CALL), Err(Fault::Opcode { at: 0, code: 0xffff }));
    for bad in
        [load(64), load(2), op(BPF_LD | BPF_MEM, 16), op(BPF_ST, 16), op(BPF_LD | BPF_W | BPF_ABS, u32::MAX)]
    {
        assert_eq!(interpret(&[bad, ret(0)], &CALL), Err(Fault::Access { at: 0 }));
    }
}
