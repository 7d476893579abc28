//! How programs read.

mod support;

use libc::{
    BPF_A, BPF_ADD, BPF_ALU, BPF_AND, BPF_DIV, BPF_IMM, BPF_JA, BPF_JEQ, BPF_JGE, BPF_JGT, BPF_JMP, BPF_JSET,
    BPF_LD, BPF_LDX, BPF_LEN, BPF_LSH, BPF_MEM, BPF_MISC, BPF_MUL, BPF_NEG, BPF_OR, BPF_RET, BPF_RSH, BPF_ST,
    BPF_STX, BPF_SUB, BPF_TAX, BPF_TXA, BPF_W, BPF_X, BPF_XOR,
};
use seccomp_policies::bpf::{Instruction, disassemble};
use seccomp_policies::syscalls::Arch;
use support::program::{jump, load, op, ret, when};

fn texts(program: &[Instruction]) -> Vec<String> {
    disassemble(program, Arch::X86_64).into_iter().map(|line| line.text).collect()
}

fn comments(program: &[Instruction]) -> Vec<Option<String>> {
    disassemble(program, Arch::X86_64).into_iter().map(|line| line.comment).collect()
}

#[test]
fn every_instruction_has_words_of_its_own() {
    let table = [
        (load(0), "A = nr"),
        (load(4), "A = arch"),
        (load(8), "A = instruction_pointer.low"),
        (load(12), "A = instruction_pointer.high"),
        (load(16), "A = args[0].low"),
        (load(60), "A = args[5].high"),
        (load(64), "A = data[64]"),
        (load(18), "A = data[18]"),
        (op(BPF_LD | BPF_IMM, 255), "A = 0xff"),
        (op(BPF_LD | BPF_W | BPF_LEN, 0), "A = length"),
        (op(BPF_LD | BPF_MEM, 3), "A = memory[3]"),
        (op(BPF_LDX | BPF_IMM, 1), "X = 0x1"),
        (op(BPF_LDX | BPF_W | BPF_LEN, 0), "X = length"),
        (op(BPF_LDX | BPF_MEM, 15), "X = memory[15]"),
        (op(BPF_ST, 3), "memory[3] = A"),
        (op(BPF_STX, 3), "memory[3] = X"),
        (op(BPF_ALU | BPF_ADD, 1), "A += 0x1"),
        (op(BPF_ALU | BPF_SUB | BPF_X, 0), "A -= X"),
        (op(BPF_ALU | BPF_MUL, 16), "A *= 0x10"),
        (op(BPF_ALU | BPF_DIV | BPF_X, 0), "A /= X"),
        (op(BPF_ALU | BPF_AND, 7), "A &= 0x7"),
        (op(BPF_ALU | BPF_OR, 7), "A |= 0x7"),
        (op(BPF_ALU | BPF_XOR, 7), "A ^= 0x7"),
        (op(BPF_ALU | BPF_LSH, 7), "A <<= 0x7"),
        (op(BPF_ALU | BPF_RSH, 7), "A >>= 0x7"),
        (op(BPF_ALU | BPF_NEG, 0), "A = -A"),
        (op(BPF_MISC | BPF_TAX, 0), "X = A"),
        (op(BPF_MISC | BPF_TXA, 0), "A = X"),
        (op(BPF_JMP | BPF_JA, 4), "goto 5"),
        (when(BPF_JEQ, 16, 1, 2), "if A == 0x10 goto 2 else 3"),
        (when(BPF_JEQ, 16, 0, 2), "if A != 0x10 goto 3"),
        (when(BPF_JEQ, 16, 2, 0), "if A == 0x10 goto 3"),
        (when(BPF_JGT, 16, 0, 2), "if A <= 0x10 goto 3"),
        (when(BPF_JGE, 16, 0, 2), "if A < 0x10 goto 3"),
        (when(BPF_JSET, 16, 0, 2), "if A & 0x10 == 0 goto 3"),
        (when(BPF_JSET, 16, 2, 0), "if A & 0x10 != 0 goto 3"),
        (when(BPF_JEQ, 16, 0, 0), "if A == 0x10 goto 1"),
        (jump(BPF_JMP | BPF_JGT | BPF_X, 0, 2, 0), "if A > X goto 3"),
        (op(BPF_RET | BPF_A, 0), "return A"),
        (ret(libc::SECCOMP_RET_ALLOW), "return ALLOW"),
        (ret(libc::SECCOMP_RET_ERRNO | 0xd), "return ERRNO(13)"),
        (ret(libc::SECCOMP_RET_TRAP), "return TRAP"),
        (ret(libc::SECCOMP_RET_LOG), "return LOG"),
        (ret(libc::SECCOMP_RET_TRACE | 7), "return TRACE(7)"),
        (ret(libc::SECCOMP_RET_USER_NOTIF), "return USER_NOTIF"),
        (ret(libc::SECCOMP_RET_KILL_THREAD), "return KILL_THREAD"),
        (ret(libc::SECCOMP_RET_KILL_PROCESS), "return KILL_PROCESS"),
        (ret(0x1234_0000), "return 0x12340000 (unknown, KILL_PROCESS)"),
        (op(0xffff, 0), "unknown opcode 0xffff"),
    ];
    for (instruction, text) in table {
        assert_eq!(texts(&[instruction]), [text]);
    }
}

#[test]
fn a_jump_beyond_everything_is_shown_and_followed_nowhere() {
    assert_eq!(texts(&[op(BPF_JMP | BPF_JA, u32::MAX), ret(0)])[0], "goto 4294967296");
}

#[test]
fn numbers_architectures_arguments_and_constants_are_named() {
    let program = [
        load(4),
        when(BPF_JEQ, Arch::X86_64.audit_value(), 1, 0),
        ret(0),
        load(0),
        when(BPF_JEQ, 16, 0, 4),
        load(24),
        when(BPF_JEQ, 0xae80, 0, 2),
        load(16),
        when(BPF_JEQ, 3, 1, 0),
        ret(0),
        ret(libc::SECCOMP_RET_ALLOW),
    ];
    let expected = [
        None,
        Some("x86_64"),
        None,
        None,
        Some("ioctl"),
        Some("cmd"),
        Some("KVM_RUN"),
        Some("fd"),
        None,
        None,
        None,
    ];
    assert_eq!(comments(&program), expected.map(|comment| comment.map(str::to_owned)));
    // A number is one to look up in a table of calls, so it is decimal.
    assert_eq!(texts(&program)[4], "if A != 16 goto 9");
}

#[test]
fn what_only_some_paths_know_is_not_said() {
    // The load of argument 1 is reached for ioctl and for write.
    let program = [load(0), when(BPF_JEQ, 16, 1, 0), when(BPF_JEQ, 1, 0, 2), load(24), ret(0), ret(0)];
    assert_eq!(comments(&program)[3], None);
    // A changed accumulator is no number.
    let program = [load(0), op(BPF_ALU | BPF_AND, 0xff), when(BPF_JEQ, 16, 0, 0), ret(0)];
    assert_eq!(comments(&program)[2], None);
}

#[test]
fn a_line_shows_its_number_its_text_and_its_comment() {
    let lines = disassemble(&[load(0), when(BPF_JEQ, 16, 0, 0), ret(0)], Arch::X86_64);
    assert_eq!(lines[0].to_string(), "   0  A = nr");
    assert_eq!(lines[1].to_string(), format!("   1  {:<40} ; ioctl", "if A == 16 goto 2"));
}
