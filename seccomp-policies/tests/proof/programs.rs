//! What is said of a program for all calls at once is what the interpreter says of each.

use libc::{
    BPF_A, BPF_ADD, BPF_ALU, BPF_AND, BPF_DIV, BPF_IMM, BPF_JA, BPF_JEQ, BPF_JGE, BPF_JGT, BPF_JMP, BPF_JSET,
    BPF_LD, BPF_LDX, BPF_LEN, BPF_LSH, BPF_MEM, BPF_MISC, BPF_MUL, BPF_NEG, BPF_OR, BPF_RET, BPF_RSH, BPF_ST,
    BPF_STX, BPF_SUB, BPF_TAX, BPF_TXA, BPF_W, BPF_X, BPF_XOR,
};
use proptest::prelude::*;
use seccomp_policies::bpf::{Instruction, Program, interpret, validate};
use seccomp_policies::call::Call;
use seccomp_policies::prove::{Answer, Decisions, Error, longest_feasible_path};

use crate::support::program::{jump, load, op, ret, when};

/// Words of a call with few bits set, and any others: the first make the branches of small programs come out
/// both ways.
fn word() -> impl Strategy<Value = u32> {
    prop_oneof![3 => 0..8_u32, 1 => (0..32_u32).prop_map(|bit| 1 << bit), 1 => any::<u32>()]
}

fn register() -> impl Strategy<Value = u64> {
    (word(), word()).prop_map(|(low, high)| u64::from(high) << 32 | u64::from(low))
}

fn call() -> impl Strategy<Value = Call> {
    (word(), word(), register(), prop::array::uniform6(register())).prop_map(
        |(number, arch, instruction_pointer, arguments)| Call {
            number,
            arch,
            instruction_pointer,
            arguments,
        },
    )
}

/// An instruction, or a few that belong together: words of a call are combined with one another after all but few bits
/// of them have been cut off, since whole ones have no description of a reasonable size.
fn instructions() -> impl Strategy<Value = Vec<Instruction>> {
    let arithmetic = vec![BPF_ADD, BPF_SUB, BPF_AND, BPF_OR, BPF_XOR, BPF_LSH, BPF_RSH];
    let with_x: Vec<u32> =
        arithmetic.iter().copied().chain([BPF_MUL, BPF_DIV]).map(|code| code | BPF_X).collect();
    let comparison = prop::sample::select(vec![BPF_JEQ, BPF_JGT, BPF_JGE, BPF_JSET]);
    let plain = vec![
        op(BPF_LD | BPF_W | BPF_LEN, 0),
        op(BPF_LDX | BPF_W | BPF_LEN, 0),
        op(BPF_ALU | BPF_NEG, 0),
        op(BPF_MISC | BPF_TXA, 0),
    ];
    let memory = prop::sample::select(vec![BPF_ST, BPF_STX, BPF_LD | BPF_MEM, BPF_LDX | BPF_MEM]);
    let small = |bits: u32| [op(BPF_ALU | BPF_RSH, bits), op(BPF_ALU | BPF_AND, 7)];
    let one = prop_oneof![
        4 => (0..16_u32).prop_map(|word| load(word * 4)),
        2 => (prop::sample::select(arithmetic), word()).prop_map(|(code, k)| match code {
            BPF_LSH | BPF_RSH => op(BPF_ALU | code, k % 32),
            _ => op(BPF_ALU | code, k),
        }),
        1 => (prop::sample::select(vec![BPF_MUL, BPF_DIV]), 1..6_u32).prop_map(|(code, k)| op(BPF_ALU | code, k)),
        1 => prop::sample::select(plain),
        1 => word().prop_map(|k| op(BPF_LDX | BPF_IMM, k)),
        1 => word().prop_map(|k| op(BPF_LD | BPF_IMM, k)),
        2 => (memory, 0..2_u32).prop_map(|(code, k)| op(code, k)),
        4 => (comparison.clone(), word(), 0..4_u8, 0..4_u8).prop_map(|(code, k, jt, jf)| when(code, k, jt, jf)),
        1 => (0..3_u32).prop_map(|k| op(BPF_JMP | BPF_JA, k)),
        1 => (0..4_u32).prop_map(|value| ret(libc::SECCOMP_RET_ERRNO | value)),
    ];
    prop_oneof![
        12 => one.prop_map(|instruction| vec![instruction]),
        2 => (0..16_u32, 0..29_u32).prop_map(move |(word, bits)| {
            let [shift, cut] = small(bits);
            vec![load(word * 4), shift, cut, op(BPF_MISC | BPF_TAX, 0)]
        }),
        2 => (prop::sample::select(with_x), 0..16_u32, 0..29_u32).prop_map(move |(code, word, bits)| {
            let [shift, cut] = small(bits);
            vec![load(word * 4), shift, cut, op(BPF_ALU | code, 0)]
        }),
        1 => (comparison, 0..4_u8, 0..4_u8, 0..16_u32).prop_map(move |(code, jt, jf, word)| {
            let [shift, cut] = small(word);
            vec![load(word * 4), shift, cut, jump(BPF_JMP | code | BPF_X, 0, jt, jf)]
        }),
        1 => (0..16_u32, prop::sample::select(vec![0, 0x0005_0000, 0x7fff_0000, 0x1234_0000])).prop_map(
            |(word, action)| vec![
                load(word * 4),
                op(BPF_ALU | BPF_AND, 0x8000_0013),
                op(BPF_ALU | BPF_OR, action),
                op(BPF_RET | BPF_A, 0),
            ]
        ),
    ]
}

/// Programs that are good more often than not, since memory is written first and several returns stand at the end.
fn program() -> impl Strategy<Value = Vec<Instruction>> {
    let end = prop_oneof![Just(ret(libc::SECCOMP_RET_ALLOW)), Just(ret(libc::SECCOMP_RET_LOG))];
    (prop::collection::vec(instructions(), 1..14), end).prop_map(|(middle, end)| {
        let mut program = vec![op(BPF_ST, 0), op(BPF_STX, 1)];
        program.extend(middle.into_iter().flatten());
        program.extend([
            ret(libc::SECCOMP_RET_KILL_PROCESS),
            ret(libc::SECCOMP_RET_TRAP | 3),
            end.clone(),
            end,
        ]);
        program
    })
}

fn said(program: &[Instruction], call: &Call) -> Answer {
    Answer::from_return_value(interpret(program, call).expect("the program is valid").value)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_random_program_answers_each_call_as_the_interpreter_does(
        program in program(),
        calls in prop::collection::vec(call(), 30),
    ) {
        prop_assume!(validate(&program).is_ok());
        // A jump may leave out the cut, and whole words combined may be too much.
        let decisions = match Decisions::of_program(&program) {
            Err(Error::TooComplicated { .. }) => return Err(TestCaseError::reject("too complicated")),
            decisions => decisions.expect("a valid program"),
        };
        for call in calls {
            prop_assert_eq!(decisions.answer(&call), said(&program, &call), "{:x?}", call);
        }
    }

    #[test]
    fn no_call_executes_more_of_a_random_program_than_its_longest_feasible_path(
        program in program(),
        calls in prop::collection::vec(call(), 30),
    ) {
        prop_assume!(validate(&program).is_ok());
        let longest = match longest_feasible_path(&program) {
            Err(Error::TooComplicated { .. }) => return Err(TestCaseError::reject("too complicated")),
            longest => longest.expect("a valid program"),
        };
        prop_assert!(longest <= Program::new(program.clone()).expect("a valid program").longest_path());
        for call in calls {
            prop_assert!(executed(&program, &call) <= longest, "{:x?} {}", call, longest);
        }
    }
}

fn executed(program: &[Instruction], call: &Call) -> usize {
    interpret(program, call).expect("the program is valid").executed
}

#[test]
fn the_longest_feasible_path_leaves_out_what_tests_exclude_and_some_call_takes_it() {
    let program = vec![
        load(0),
        when(BPF_JEQ, 1, 0, 2),
        load(16),
        load(0),
        when(BPF_JEQ, 2, 0, 2),
        load(24),
        ret(libc::SECCOMP_RET_LOG),
        ret(libc::SECCOMP_RET_ALLOW),
    ];
    assert_eq!(longest_feasible_path(&program), Ok(6));
    assert_eq!(Program::new(program.clone()).map(|program| program.longest_path()), Ok(7));
    let call = |number| Call { number, arch: 0, instruction_pointer: 0, arguments: [0; 6] };
    assert_eq!([0, 1, 2].map(|number| executed(&program, &call(number))), [4, 6, 5]);
}

/// A load of each word of the call into both registers, the instruction, and a return of what it computes.
fn computing(x: u32, mask: u32, instruction: Instruction) -> Vec<Instruction> {
    vec![
        op(BPF_LDX | BPF_IMM, x),
        load(16),
        op(BPF_ALU | BPF_AND, mask),
        instruction,
        op(BPF_ALU | BPF_AND, 0x3f),
        op(BPF_ALU | BPF_OR, libc::SECCOMP_RET_ERRNO),
        op(BPF_RET | BPF_A, 0),
    ]
}

fn with_first_argument(value: u64) -> Call {
    Call { number: 0, arch: 0, instruction_pointer: 0, arguments: [value, 0, 0, 0, 0, 0] }
}

#[test]
fn every_arithmetic_operation_is_exact_for_each_value_of_the_bits_that_it_gets() {
    let codes = [BPF_ADD, BPF_SUB, BPF_MUL, BPF_DIV, BPF_AND, BPF_OR, BPF_XOR, BPF_LSH, BPF_RSH, BPF_NEG];
    for code in codes {
        for k in [1, 3, 10] {
            for instruction in [op(BPF_ALU | code, k), op(BPF_ALU | code | BPF_X, 0)] {
                if code == BPF_NEG && instruction.code != 0x84 {
                    continue;
                }
                let program = computing(k, 0x1f, instruction);
                let decisions = Decisions::of_program(&program).expect("five bits are few");
                for value in 0..32 {
                    let call = with_first_argument(value);
                    assert_eq!(decisions.answer(&call), said(&program, &call), "{code:#x} {k} of {value}");
                }
            }
        }
    }
}

#[test]
fn a_division_by_a_word_of_the_call_ends_the_program_where_the_word_is_zero() {
    let program = [
        load(16),
        op(BPF_ALU | BPF_AND, 3),
        op(BPF_MISC | BPF_TAX, 0),
        op(BPF_LD | BPF_IMM, 0x0005_0007),
        op(BPF_ALU | BPF_DIV | BPF_X, 0),
        op(BPF_ALU | BPF_OR, libc::SECCOMP_RET_ERRNO),
        op(BPF_ALU | BPF_AND, 0x0005_000f),
        op(BPF_RET | BPF_A, 0),
    ];
    let decisions = Decisions::of_program(&program).expect("two bits are few");
    for value in 0..8 {
        let call = with_first_argument(value);
        assert_eq!(decisions.answer(&call), said(&program, &call), "{value}");
    }
    assert_eq!(decisions.answer(&with_first_argument(4)), Answer::from_return_value(0), "kills the thread");
}

#[test]
fn a_product_of_two_arguments_is_an_error_and_not_an_afternoon() {
    let program = [
        load(16),
        op(BPF_MISC | BPF_TAX, 0),
        load(24),
        op(BPF_ALU | BPF_MUL | BPF_X, 0),
        when(BPF_JEQ, 0x1234_5678, 0, 1),
        ret(libc::SECCOMP_RET_ALLOW),
        ret(libc::SECCOMP_RET_TRAP),
    ];
    let error = Decisions::of_program(&program).expect_err("a product has no small description");
    insta::assert_snapshot!(error, @"what the program decides is too complicated to be described: gave up at instruction 3, which combines words of the call with one another; programs that compare them with constants do not come to this");
}

#[test]
fn what_is_computed_and_never_looked_at_costs_nothing() {
    let mut program = vec![load(16), op(BPF_MISC | BPF_TAX, 0), load(24), op(BPF_ALU | BPF_MUL | BPF_X, 0)];
    program.extend([
        load(0),
        when(BPF_JEQ, 7, 0, 1),
        ret(libc::SECCOMP_RET_ALLOW),
        ret(libc::SECCOMP_RET_TRAP),
    ]);
    let decisions = Decisions::of_program(&program).expect("the product is overwritten");
    assert_eq!(decisions.allowed().numbers(0), Some(vec![7..=7]));
}

#[test]
fn a_program_that_the_kernel_would_refuse_decides_nothing() {
    let error = Decisions::of_program(&[load(64), ret(0)]).expect_err("past the call");
    assert!(matches!(error, Error::Invalid(_)), "{error}");
}

/// Each bit of a register is tested, and those that are set are gathered in memory: as many states as values.
#[test]
fn a_program_that_gathers_bits_is_given_up_before_its_states_are_compared_with_each_other() {
    let mut program = vec![op(BPF_LD | BPF_IMM, 0), op(BPF_ST, 0)];
    for bit in 0..32 {
        program.extend([
            load(16),
            when(BPF_JSET, 1 << bit, 0, 3),
            op(BPF_LD | BPF_MEM, 0),
            op(BPF_ALU | BPF_OR, 1 << bit),
            op(BPF_ST, 0),
        ]);
    }
    program.extend([op(BPF_LD | BPF_MEM, 0), when(BPF_JEQ, 0x1234_5678, 0, 1), ret(0), ret(1 << 31)]);
    assert_eq!(validate(&program), Ok(()));
    assert!(matches!(Decisions::of_program(&program), Err(Error::TooComplicated { .. })));
}
