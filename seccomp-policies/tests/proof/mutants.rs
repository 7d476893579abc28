//! Who proves the prover: every program of the project with one instruction changed.
//!
//! Each such program is refused by the validator, or said to be different with a call on which the interpreter finds it
//! so, or said to be equal, and then no call that is tried tells it from the original.

use std::path::Path;

use libc::{BPF_ABS, BPF_JA, BPF_JEQ, BPF_JGE, BPF_JGT, BPF_JMP, BPF_JSET, BPF_K, BPF_LD, BPF_RET, BPF_W};
use proptest::prelude::Rng as _;
use seccomp_policies::bpf::{Instruction, interpret, validate};
use seccomp_policies::call::Call;
use seccomp_policies::compile::{Weights, bitmask, optimize, probes, reference};
use seccomp_policies::language::{Policy, load};
use seccomp_policies::prove::{Answer, Decisions};
use seccomp_policies::syscalls::Arch;

/// What became of mutants.
#[derive(Debug, Default)]
struct Tally {
    refused: usize,
    different: usize,
    equal: usize,
}

fn answer(program: &[Instruction], call: &Call) -> Answer {
    Answer::from_return_value(interpret(program, call).expect("a valid program").value).effect()
}

/// Every way in which one instruction is changed.
fn changed(instruction: &Instruction) -> Vec<Instruction> {
    let code = u32::from(instruction.code);
    let with_k = |k| Instruction { k, ..instruction.clone() };
    if code == BPF_LD | BPF_W | BPF_ABS {
        // Another word, an offset across two words, and one past the call.
        return (0..16).map(|word| word * 4).chain([instruction.k + 1, 64]).map(with_k).collect();
    }
    let constants = || {
        let k = instruction.k;
        [k.wrapping_add(1), k.wrapping_sub(1), k ^ 2, k ^ 1 << 31, 0].map(with_k).to_vec()
    };
    if code == BPF_JMP | BPF_JA {
        return constants();
    }
    if code == BPF_RET | BPF_K {
        let returned =
            [libc::SECCOMP_RET_ALLOW, libc::SECCOMP_RET_TRAP, libc::SECCOMP_RET_ERRNO | 1, 0x1234_0000];
        return returned.map(with_k).into_iter().chain(constants()).collect();
    }
    if code & 7 == BPF_JMP {
        let comparisons = [BPF_JEQ, BPF_JGT, BPF_JGE, BPF_JSET].map(|comparison| {
            let code = u16::try_from(BPF_JMP | comparison | BPF_K).expect("opcodes have 16 bits");
            Instruction { code, ..instruction.clone() }
        });
        let near = |offset: u8| [offset.wrapping_add(1), offset.wrapping_sub(1), 0];
        let then = near(instruction.jt).map(|jt| Instruction { jt, ..instruction.clone() });
        let otherwise = near(instruction.jf).map(|jf| Instruction { jf, ..instruction.clone() });
        let swapped = Instruction { jt: instruction.jf, jf: instruction.jt, ..instruction.clone() };
        let jumps = then.into_iter().chain(otherwise).chain([swapped]);
        return comparisons.into_iter().chain(jumps).chain(constants()).collect();
    }
    constants()
}

/// Calls around the policy's constants, and as many made of random words and words that the program compares with.
fn calls(policy: &Policy, program: &[Instruction]) -> Vec<Call> {
    let mut random =
        proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha);
    let mut word = move || match random.next_u32() % 4 {
        0 => random.next_u32() % 8,
        1 => random.next_u32(),
        _ => program[random.next_u32() as usize % program.len()].k,
    };
    let arch = policy.arch.audit_value();
    let mut calls = probes(policy);
    for _ in 0..2000 {
        let mut register = || u64::from(word()) << 32 | u64::from(word());
        let (instruction_pointer, arguments) = (register(), std::array::from_fn(|_| register()));
        calls.push(Call { number: word(), arch, instruction_pointer, arguments });
    }
    calls
}

fn judge(
    mutant: &[Instruction],
    original: &[Instruction],
    meaning: &Decisions,
    calls: &[(Call, Answer)],
    tally: &mut Tally,
) {
    if validate(mutant).is_err() {
        tally.refused += 1;
        return;
    }
    let decisions = Decisions::of_program(mutant).expect("comparisons with constants");
    if let Some(difference) = meaning.difference(&decisions) {
        tally.different += 1;
        assert_eq!(answer(original, &difference.example), difference.left, "{difference}");
        assert_eq!(answer(mutant, &difference.example), difference.right, "{difference}");
        assert_ne!(difference.left, difference.right);
        return;
    }
    tally.equal += 1;
    for (call, expected) in calls {
        assert_eq!(answer(mutant, call), *expected, "{mutant:?} was said to be equal, but for {call:x?}");
    }
}

fn judge_all(policy: &Policy, program: &[Instruction]) -> Tally {
    let meaning = Decisions::of_program(program).expect("comparisons with constants");
    let calls: Vec<_> =
        calls(policy, program).into_iter().map(|call| (call, answer(program, &call))).collect();
    let mut tally = Tally::default();
    for at in 0..program.len() {
        for instruction in changed(&program[at]) {
            if instruction != program[at] {
                let mut mutant = program.to_vec();
                mutant[at] = instruction;
                judge(&mutant, program, &meaning, &calls, &mut tally);
            }
        }
    }
    tally
}

fn policy_of(role: &str) -> Policy {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
    load(&folder.join(format!("{role}.policy")), Arch::X86_64)
        .unwrap_or_else(|errors| panic!("{errors:?}"))
        .policy
}

fn assert_told_apart(role: &str) {
    let policy = policy_of(role);
    let optimized = optimize(&policy, &Weights::default());
    for program in [reference(&policy), bitmask(&policy), optimized] {
        let program = program.expect("it fits");
        let tally = judge_all(&policy, program.instructions());
        eprintln!("{role}, {} instructions: {tally:?}", program.len());
        assert!(tally.refused > 0 && tally.different > tally.equal, "{role}: {tally:?}");
    }
}

#[test]
fn no_changed_instruction_of_a_vcpu_program_is_misjudged() {
    assert_told_apart("vcpu");
}

#[test]
fn no_changed_instruction_of_an_io_program_is_misjudged() {
    assert_told_apart("io");
}

#[test]
fn no_changed_instruction_of_a_main_program_is_misjudged() {
    assert_told_apart("main");
}
