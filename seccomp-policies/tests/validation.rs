//! The validator against the running kernel: each program is good for both or for neither.

mod support;

use std::cell::Cell;

use libc::{
    BPF_A, BPF_ABS, BPF_ADD, BPF_ALU, BPF_AND, BPF_B, BPF_DIV, BPF_H, BPF_IMM, BPF_IND, BPF_JA, BPF_JEQ,
    BPF_JGE, BPF_JGT, BPF_JMP, BPF_JSET, BPF_K, BPF_LD, BPF_LDX, BPF_LEN, BPF_LSH, BPF_MEM, BPF_MISC,
    BPF_MOD, BPF_MSH, BPF_NEG, BPF_RET, BPF_RSH, BPF_ST, BPF_STX, BPF_TAX, BPF_W, BPF_X,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use seccomp_policies::bpf::{Instruction, Reason, validate};
use support::kernel::Judge;
use support::program::{jump, load, op, ret, when};

/// Asks the validator and the kernel; they must agree. Gives the validator's answer.
fn judged(judge: &Judge, program: &[Instruction]) -> Result<(), (usize, Reason)> {
    let ours = validate(program);
    assert_eq!(judge.accepts(program), ours.is_ok(), "we say {ours:?} of {program:?}");
    ours.map_err(|invalid| (invalid.at, invalid.reason))
}

#[test]
fn every_opcode_is_accepted_by_both_or_by_neither() {
    let judge = Judge::new();
    let mut accepted = 0;
    for code in (0..=0x3ff).chain([0x1006, 0x8006, u32::from(u16::MAX)]) {
        // A constant that is good for each instruction: an aligned offset, a word of memory, a short shift.
        let program = [op(BPF_ST, 4), op(code, 4), ret(0), ret(0), ret(0), ret(0), ret(0)];
        accepted += usize::from(judged(&judge, &program).is_ok());
    }
    // Loads 7, stores 2, arithmetic 9 with two operands each, negation, jumps 1 + 4 with two operands each,
    // returns 2, copies 2.
    assert_eq!(accepted, 7 + 2 + 18 + 1 + 1 + 8 + 2 + 2);
}

#[test]
fn a_program_has_1_to_4096_instructions() {
    let judge = Judge::new();
    assert_eq!(judged(&judge, &[]), Err((0, Reason::Empty)));
    assert_eq!(judged(&judge, &[ret(0)]), Ok(()));
    assert_eq!(judged(&judge, &vec![ret(0); 4096]), Ok(()));
    assert_eq!(judged(&judge, &vec![ret(0); 4097]), Err((4096, Reason::TooLong { length: 4097 })));
    let too_long = validate(&vec![ret(0); 4099]).expect_err("too long");
    assert!(too_long.to_string().contains("3 more than the 4096"), "{too_long}");
}

#[test]
fn a_load_takes_an_aligned_word_of_the_64_bytes() {
    let judge = Judge::new();
    for offset in 0..=80 {
        let expected =
            if offset % 4 == 0 && offset < 64 { Ok(()) } else { Err((0, Reason::Offset { offset })) };
        assert_eq!(judged(&judge, &[load(offset), ret(0)]), expected);
    }
    for offset in [0x7fff_fffc, 0x8000_0000, 0xffff_f000, 0xffff_f010, u32::MAX] {
        assert_eq!(judged(&judge, &[load(offset), ret(0)]), Err((0, Reason::Offset { offset })));
    }
}

#[test]
fn a_jump_stays_inside_the_program() {
    let judge = Judge::new();
    assert_eq!(judged(&judge, &[op(BPF_JMP | BPF_JA, 0), ret(0)]), Ok(()));
    assert_eq!(judged(&judge, &[op(BPF_JMP | BPF_JA, 1), ret(0)]), Err((0, Reason::Jump { target: 2 })));
    assert_eq!(
        judged(&judge, &[op(BPF_JMP | BPF_JA, u32::MAX), ret(0)]),
        Err((0, Reason::Jump { target: 1 << 32 }))
    );
    for comparison in [BPF_JEQ, BPF_JGT, BPF_JGE, BPF_JSET] {
        assert_eq!(judged(&judge, &[when(comparison, 1, 1, 0), ret(0), ret(0)]), Ok(()));
        assert_eq!(judged(&judge, &[when(comparison, 1, 0, 1), ret(0), ret(0)]), Ok(()));
        let past = Err((0, Reason::Jump { target: 3 }));
        assert_eq!(judged(&judge, &[when(comparison, 1, 2, 0), ret(0), ret(0)]), past);
        assert_eq!(judged(&judge, &[when(comparison, 1, 0, 2), ret(0), ret(0)]), past);
    }
}

#[test]
fn the_last_instruction_returns() {
    let judge = Judge::new();
    assert_eq!(judged(&judge, &[ret(0), load(0)]), Err((1, Reason::End)));
    assert_eq!(judged(&judge, &[load(0), op(BPF_RET | BPF_A, 0)]), Ok(()));
    assert_eq!(judged(&judge, &[op(BPF_RET | BPF_X, 0)]), Err((0, Reason::Opcode { code: 0x0e })));
}

#[test]
fn memory_is_written_on_every_path_before_it_is_read() {
    let judge = Judge::new();
    let read = |word| op(BPF_LD | BPF_MEM, word);
    let unwritten = |at, word| Err((at, Reason::Unwritten { word }));
    assert_eq!(judged(&judge, &[read(0), ret(0)]), unwritten(0, 0));
    assert_eq!(judged(&judge, &[op(BPF_ST, 0), read(0), ret(0)]), Ok(()));
    assert_eq!(judged(&judge, &[op(BPF_STX, 15), op(BPF_LDX | BPF_MEM, 15), ret(0)]), Ok(()));
    assert_eq!(judged(&judge, &[op(BPF_ST, 0), read(1), ret(0)]), unwritten(1, 1));
    assert_eq!(judged(&judge, &[op(BPF_ST, 16), ret(0)]), Err((0, Reason::Memory { word: 16 })));
    assert_eq!(judged(&judge, &[op(BPF_ST, 0), read(16), ret(0)]), Err((1, Reason::Memory { word: 16 })));
    // Written on the path through the branch alone.
    let one_path = [when(BPF_JEQ, 0, 0, 1), op(BPF_ST, 3), read(3), ret(0)];
    assert_eq!(judged(&judge, &one_path), unwritten(2, 3));
    let both_paths =
        [when(BPF_JEQ, 0, 0, 2), op(BPF_ST, 3), op(BPF_JMP | BPF_JA, 1), op(BPF_ST, 3), read(3), ret(0)];
    assert_eq!(judged(&judge, &both_paths), Ok(()));
    // Nothing reaches the read but what comes before the return, as the kernel sees it.
    assert_eq!(judged(&judge, &[ret(0), read(3), ret(0)]), unwritten(1, 3));
}

#[test]
fn a_constant_divisor_is_not_zero_and_a_constant_shift_is_below_32() {
    let judge = Judge::new();
    assert_eq!(judged(&judge, &[op(BPF_ALU | BPF_DIV, 0), ret(0)]), Err((0, Reason::Division)));
    assert_eq!(judged(&judge, &[op(BPF_ALU | BPF_DIV | BPF_X, 0), ret(0)]), Ok(()));
    for shift in [BPF_LSH, BPF_RSH] {
        assert_eq!(judged(&judge, &[op(BPF_ALU | shift, 31), ret(0)]), Ok(()));
        assert_eq!(judged(&judge, &[op(BPF_ALU | shift, 32), ret(0)]), Err((0, Reason::Shift { bits: 32 })));
        assert_eq!(judged(&judge, &[op(BPF_ALU | shift | BPF_X, 32), ret(0)]), Ok(()));
    }
}

#[test]
fn packet_loads_and_the_remainder_are_refused() {
    let judge = Judge::new();
    for code in [
        BPF_LD | BPF_H | BPF_ABS,
        BPF_LD | BPF_B | BPF_ABS,
        BPF_LD | BPF_W | BPF_IND,
        BPF_LDX | BPF_B | BPF_MSH,
        BPF_ALU | BPF_MOD,
        BPF_ALU | BPF_MOD | BPF_X,
    ] {
        let refused = Err((0, Reason::Opcode { code: u16::try_from(code).expect("opcodes have 16 bits") }));
        assert_eq!(judged(&judge, &[op(code, 4), ret(0)]), refused);
    }
}

/// Mostly instructions that are good by themselves, so that whole programs have a chance.
fn instruction() -> impl Strategy<Value = Instruction> {
    let plain = prop::sample::select(vec![
        BPF_LD | BPF_W | BPF_LEN,
        BPF_LDX | BPF_W | BPF_LEN,
        BPF_LD | BPF_IMM,
        BPF_LDX | BPF_IMM,
        BPF_ALU | BPF_ADD | BPF_X,
        BPF_ALU | BPF_AND | BPF_K,
        BPF_ALU | BPF_NEG,
        BPF_MISC | BPF_TAX,
        BPF_RET | BPF_K,
        BPF_RET | BPF_A,
    ]);
    let memory = prop::sample::select(vec![BPF_ST, BPF_STX, BPF_LD | BPF_MEM, BPF_LDX | BPF_MEM]);
    let comparison = prop::sample::select(vec![BPF_JEQ, BPF_JGT, BPF_JGE, BPF_JSET]);
    prop_oneof![
        6 => (plain, any::<u32>()).prop_map(|(code, k)| op(code, k)),
        6 => (memory, 0..3_u32).prop_map(|(code, k)| op(code, k)),
        1 => (0..17_u32).prop_map(|k| op(BPF_ST, k)),
        3 => (0..16_u32).prop_map(|word| load(word * 4)),
        1 => (0..70_u32).prop_map(load),
        4 => (comparison, any::<u32>(), 0..4_u8, 0..4_u8).prop_map(|(code, k, jt, jf)| when(code, k, jt, jf)),
        2 => (0..4_u32).prop_map(|k| op(BPF_JMP | BPF_JA, k)),
        1 => (0..36_u32).prop_map(|k| op(BPF_ALU | BPF_LSH, k)),
        1 => (any::<u16>(), any::<u32>(), any::<u8>(), any::<u8>())
            .prop_map(|(code, k, jt, jf)| jump(u32::from(code), k, jt, jf)),
    ]
}

#[test]
fn random_programs_are_good_for_both_or_for_neither() {
    let judge = Judge::new();
    let programs = prop::collection::vec(instruction(), 0..12);
    let mut runner =
        TestRunner::new(Config { cases: 20_000, failure_persistence: None, ..Config::default() });
    let good = Cell::new(0);
    runner
        .run(&programs, |mut program| {
            program.push(ret(0));
            good.set(good.get() + usize::from(judged(&judge, &program).is_ok()));
            Ok(())
        })
        .expect("validator and kernel agree");
    let good = good.get();
    assert!((500..19_500).contains(&good), "{good} of 20000 programs were good, too few or too many to tell");
}

/// Programs that are good but for one thing, if that: each begins with memory written and ends with a return, its
/// jumps stay inside, and then one instruction anywhere is replaced.
fn near_valid() -> impl Strategy<Value = Vec<Instruction>> {
    let arithmetic = prop::sample::select(vec![
        BPF_ADD,
        BPF_AND,
        BPF_DIV,
        BPF_LSH,
        BPF_RSH,
        BPF_NEG,
        BPF_MOD,
        BPF_ALU | BPF_X,
    ]);
    let replaced = prop_oneof![
        (0..18_u32).prop_map(|word| op(BPF_LD | BPF_MEM, word)),
        (0..18_u32).prop_map(|word| op(BPF_STX, word)),
        (0..18_u32).prop_map(|word| op(BPF_LDX | BPF_MEM, word)),
        (0..70_u32).prop_map(load),
        (arithmetic, 0..40_u32).prop_map(|(code, k)| op(BPF_ALU | code, k)),
        (any::<u8>(), any::<u8>()).prop_map(|(jt, jf)| when(BPF_JEQ, 1, jt % 40, jf % 40)),
        (0..40_u32).prop_map(|k| op(BPF_JMP | BPF_JA, k)),
        Just(op(BPF_JMP | BPF_JA, u32::MAX)),
        Just(ret(0)),
        Just(op(BPF_RET | BPF_A, 0)),
    ];
    let good = prop_oneof![
        2 => (0..16_u32).prop_map(|word| load(word * 4)),
        3 => (0..3_u32).prop_map(|word| op(BPF_LD | BPF_MEM, word)),
        1 => (0..6_u32).prop_map(|word| op(BPF_ST, word)),
        3 => (0..6_u8, 0..6_u8).prop_map(|(jt, jf)| when(BPF_JGT, 1, jt, jf)),
        1 => (0..6_u32).prop_map(|k| op(BPF_JMP | BPF_JA, k)),
        1 => Just(ret(0)),
    ];
    let places = (any::<prop::sample::Index>(), prop::option::of(replaced));
    (prop::collection::vec(good, 1..24), places).prop_map(|(middle, (place, replaced))| {
        let mut program: Vec<_> = (0..3).map(|word| op(BPF_ST, word)).collect();
        program.extend(middle);
        program.extend(vec![ret(0); 7]);
        if let Some(replaced) = replaced {
            let place = place.index(program.len());
            program[place] = replaced;
        }
        program
    })
}

#[test]
fn programs_with_one_thing_wrong_are_good_for_both_or_for_neither() {
    let judge = Judge::new();
    let mut runner =
        TestRunner::new(Config { cases: 20_000, failure_persistence: None, ..Config::default() });
    let good = Cell::new(0);
    runner
        .run(&near_valid(), |program| {
            good.set(good.get() + usize::from(judged(&judge, &program).is_ok()));
            Ok(())
        })
        .expect("validator and kernel agree");
    let good = good.get();
    assert!(
        (5_000..19_000).contains(&good),
        "{good} of 20000 programs were good, too few or too many to tell"
    );
}
