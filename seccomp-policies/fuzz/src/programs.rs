//! Programs of any shape.

use seccomp_policies::action::Action;
use seccomp_policies::bpf::{
    DATA_LENGTH, Instruction, MEMORY_WORDS, Program, disassemble, interpret, is_cached, validate,
};
use seccomp_policies::import::{self, Options};
use seccomp_policies::prove::{Answer, Decisions, Error};
use seccomp_policies::syscalls::Arch;

use super::choices::{Choices, Sequence};

/// Every opcode that seccomp takes: `seccomp_check_filter`, Linux `kernel/seccomp.c`, with the numbers of
/// `include/uapi/linux/bpf_common.h` and `filter.h`. Loads of the call and comparisons come first and again, since
/// programs have most of them.
const OPCODES: [u16; 48] = [
    0x20, 0x15, 0x06, 0x25, 0x35, 0x45, 0x20, 0x15, // ld [k], jeq, ret k, jgt, jge, jset
    0x00, 0x80, 0x60, 0x01, 0x81, 0x61, 0x02,
    0x03, // loads of constants, of the length, of memory; stores
    0x04, 0x14, 0x24, 0x34, 0x44, 0x54, 0x64, 0x74, 0xa4, // arithmetic with a constant
    0x0c, 0x1c, 0x2c, 0x3c, 0x4c, 0x5c, 0x6c, 0x7c, 0xac, // arithmetic with X
    0x1d, 0x2d, 0x3d, 0x4d, 0x05, 0x07, 0x87, 0x84,
    0x16, // comparisons with X, ja, tax, txa, neg, ret a
    0x20, 0x15, 0x06, 0x20, 0x15, // the most common once more
];

/// Instructions of a program, the last one left out.
const LONGEST: usize = 16;

/// How many calls a program is asked about.
const CALLS: usize = 64;

/// How many answers a program may give to have a table.
const MAX_ANSWERS: usize = 256;

/// Values of `SECCOMP_RET_*` with and without data, Linux `include/uapi/linux/seccomp.h`, and one that is none.
const RETURNS: [u32; 12] = [
    0x7fff_0000,
    0x8000_0000,
    0,
    0x0003_0000,
    0x0003_0007,
    0x0005_0001,
    0x0005_ffff,
    0x7fc0_0000,
    0x7ff0_0001,
    0x7ffc_0000,
    0x7fff_0001,
    0x1234_5678,
];

/// Makes a program of the bytes. Where the kernel would take it, running it and deciding it are the same, and nothing
/// that shows it fails.
pub fn programs(bytes: &[u8]) -> bool {
    let program = program(&mut Choices::new(bytes));
    let Ok(program) = Program::new(program.clone()) else {
        validate(&program).expect_err("what is no program is not valid");
        return false;
    };
    let arch = Arch::X86_64;
    let constants: Vec<u64> = program.instructions().iter().map(|it| u64::from(it.k)).collect();
    let numbers: Vec<u32> = program.instructions().iter().map(|it| it.k).chain([1]).collect();
    let calls = Sequence::new(bytes).calls(CALLS, arch, &numbers, &constants);
    let decisions = match Decisions::of_program(program.instructions()) {
        Ok(decisions) => Some(decisions),
        Err(Error::TooComplicated { .. }) => None,
        Err(error) => panic!("{error}\n{program:?}"),
    };
    for call in &calls {
        let ran = interpret(program.instructions(), call).expect("a valid program ends");
        assert!(ran.executed <= program.longest_path(), "{call:x?}\n{program:?}");
        let answer = Answer::from_return_value(ran.value);
        if let Some(decisions) = &decisions {
            assert_eq!(decisions.answer(call), answer, "{call:x?}\n{program:?}");
        }
        if call.arch == arch.audit_value() && is_cached(program.instructions(), arch, call.number) {
            assert_eq!(answer.action(), Some(Action::Allow), "{call:x?}\n{program:?}");
        }
    }
    assert_eq!(disassemble(program.instructions(), arch).len(), program.len());
    let options = Options { arch: Some(arch), lossy: true, ..Options::default() };
    let table = import::raw::table("r.bpf", &program.bytes(), &options);
    let has_table = decisions.as_ref().is_some_and(|decisions| decisions.iter().count() <= MAX_ANSWERS);
    assert_eq!(table.is_ok(), has_table, "{program:?}");
    decisions.is_some()
}

/// A program of up to [`LONGEST`] instructions and a return. What they use is mostly there.
fn program(choices: &mut Choices) -> Vec<Instruction> {
    let length = choices.below(LONGEST + 1);
    let mut program: Vec<Instruction> = (0..length).map(|at| instruction(choices, length - at)).collect();
    program.push(Instruction { code: 0x06, jt: 0, jf: 0, k: choices.of(&RETURNS) });
    program
}

/// An instruction with so many after it.
fn instruction(choices: &mut Choices, after: usize) -> Instruction {
    let code = choices.of(&OPCODES);
    let (jt, jf) = match code & 0x07 {
        0x05 if code != 0x05 => (distance(choices, after), distance(choices, after)),
        _ => (0, 0),
    };
    let k = match code {
        0x20 => 4 * u32::from(choices.byte()) % (DATA_LENGTH + 4),
        0x06 => choices.of(&RETURNS),
        0x05 => distance(choices, after).into(),
        0x60 | 0x61 | 0x02 | 0x03 => u32::from(choices.byte()) % (MEMORY_WORDS + 1),
        0x64 | 0x74 => u32::from(choices.byte()) % 33,
        _ => low(choices.value()),
    };
    Instruction { code, jt, jf, k }
}

/// How far a jump goes, hardly ever too far.
fn distance(choices: &mut Choices, after: usize) -> u8 {
    u8::try_from(choices.below(after + 1)).expect("programs here are short")
}

#[expect(clippy::cast_possible_truncation, reason = "the lower half is what is asked for")]
const fn low(value: u64) -> u32 {
    value as u32
}
