//! What a program answers to every call at once.
//!
//! The program is run forward with sets of calls in place of one: before each instruction, which calls get there,
//! grouped by what registers and memory hold. What they hold is 32 functions of a call's bits, so that no instruction is
//! approximated. Jumps go forward alone: one pass in order meets every way to an instruction before the instruction.

mod liveness;
mod word;

use std::collections::BTreeMap;

use liveness::{Places, live};
use word::Word;

use super::diagrams::{Diagrams, Exhausted};
use super::{Answer, Calls, Space, Union};
use crate::bpf::{
    Arithmetic, Comparison, DATA_LENGTH, Instruction, Invalid, MEMORY_WORDS, Operand, Operation, Register,
    Source, validate,
};

/// Nodes that the diagrams of one program may come to: ten times what the longest programs need that compare words of
/// the call with constants.
const BUDGET: usize = 50_000_000;

/// Of them, nodes that one instruction may take in one state.
const ALLOWANCE: usize = 500_000;

/// Why a program has no decisions that can be looked at.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The kernel would refuse it.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// It computes something without a manageable description, as a product of two arguments is.
    #[error(
        "what the program decides is too complicated to be described: gave up at instruction {at}, which combines \
         words of the call with one another; programs that compare them with constants do not come to this"
    )]
    TooComplicated {
        /// Index of the instruction.
        at: usize,
    },
}

/// The calls that get each answer. Every call is in one of the sets, none in two.
pub(super) fn execute(program: &[Instruction], space: &Space) -> Result<BTreeMap<Answer, Calls>, Error> {
    let execution = executed(program, space, Counting::No)?;
    let answers = execution.answers.into_iter();
    Ok(answers.filter_map(|(answer, calls)| Some((answer, calls.into_calls()?))).collect())
}

/// The most instructions that a call executes, the return included. [`Program::longest_path`] is its bound: tests that
/// exclude each other may stand on that path.
///
/// [`Program::longest_path`]: crate::bpf::Program::longest_path
///
/// # Errors
/// [`Error::Invalid`] for a program that the kernel would refuse, [`Error::TooComplicated`] for one of which there is no
/// telling.
pub fn longest_feasible_path(program: &[Instruction]) -> Result<usize, Error> {
    Ok(executed(program, &Space::new(), Counting::Yes)?.longest)
}

/// Whether calls are kept apart by how many instructions they have executed, which decides nothing.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Counting {
    Yes,
    No,
}

fn executed<'space>(
    program: &[Instruction],
    space: &'space Space,
    counting: Counting,
) -> Result<Execution<'space>, Error> {
    validate(program)?;
    let mut execution = Execution::new(program, space);
    for (at, instruction) in program.iter().enumerate() {
        let operation = Operation::decode(instruction).expect("a valid program");
        for (mut state, calls) in std::mem::take(&mut execution.reaching[at]) {
            if counting == Counting::Yes {
                state.executed += 1;
                execution.longest = execution.longest.max(state.executed);
            }
            let calls = calls.into_calls().expect("a state comes with the calls that have it");
            execution.step(at, operation, state, &calls).map_err(|Exhausted| Error::TooComplicated { at })?;
        }
    }
    Ok(execution)
}

/// What registers and memory hold. Places that are not read again hold zero, so that states differ only in what
/// makes a difference.
#[derive(Clone, PartialEq, Eq)]
struct State {
    a: Word,
    x: Word,
    memory: [Word; MEMORY_WORDS as usize],
    /// Instructions so far, where they are counted.
    executed: usize,
}

impl State {
    fn register(&mut self, register: Register) -> &mut Word {
        match register {
            Register::A => &mut self.a,
            Register::X => &mut self.x,
        }
    }

    fn forget_all_but(&mut self, live: Places, zero: &Word) {
        if !live.has_a() {
            self.a = zero.clone();
        }
        if !live.has_x() {
            self.x = zero.clone();
        }
        for (word, memory) in (0..).zip(&mut self.memory) {
            if !live.has_memory(word) {
                *memory = zero.clone();
            }
        }
    }
}

struct Execution<'space> {
    live: Vec<Places>,
    diagrams: Diagrams<'space>,
    zero: Word,
    /// For each instruction the states in which calls get there.
    reaching: Vec<Vec<(State, Union)>>,
    answers: BTreeMap<Answer, Union>,
    /// The most instructions that some call has executed, where they are counted.
    longest: usize,
}

impl<'space> Execution<'space> {
    fn new(program: &[Instruction], space: &'space Space) -> Self {
        let diagrams = Diagrams::new(space.variables(), BUDGET);
        let zero = Word::constant(&diagrams, 0);
        let memory = std::array::from_fn(|_| zero.clone());
        let start = State { a: zero.clone(), x: zero.clone(), memory, executed: 0 };
        let mut reaching: Vec<_> = program.iter().map(|_| Vec::new()).collect();
        reaching[0].push((start, Union::of(space.every())));
        Self { live: live(program), diagrams, zero, reaching, answers: BTreeMap::new(), longest: 0 }
    }

    /// Executes one instruction for the calls that have this state.
    fn step(
        &mut self,
        at: usize,
        operation: Operation,
        mut state: State,
        calls: &Calls,
    ) -> Result<(), Exhausted> {
        self.diagrams.allow(ALLOWANCE);
        self.diagrams.spend(calls.0.size())?;
        match operation {
            Operation::Load(register, source) => *state.register(register) = self.load(source, &state),
            Operation::Store(register, word) => {
                state.memory[word as usize] = state.register(register).clone();
            }
            Operation::Arithmetic(arithmetic, operand) => {
                return self.arithmetic(at, arithmetic, operand, state, calls);
            }
            Operation::Negate if !self.live[at + 1].has_a() => {}
            Operation::Negate => state.a = state.a.negated(&mut self.diagrams)?,
            Operation::CopyAToX => state.x = state.a.clone(),
            Operation::CopyXToA => state.a = state.x.clone(),
            Operation::Jump(distance) => {
                return self.pass_on(at + 1 + distance as usize, state, calls.clone());
            }
            Operation::Branch { then, otherwise, .. } if then == otherwise => {
                return self.pass_on(at + 1 + usize::from(then), state, calls.clone());
            }
            Operation::Branch { comparison, operand, then, otherwise } => {
                let operand = self.operand(operand, &state);
                let holds = state.a.holds(comparison, &operand, &mut self.diagrams)?;
                let yes = Calls(self.diagrams.and(&calls.0, &holds)?);
                let no = Calls(self.diagrams.without(&calls.0, &holds)?);
                self.pass_on(at + 1 + usize::from(then), state.clone(), yes)?;
                return self.pass_on(at + 1 + usize::from(otherwise), state, no);
            }
            Operation::ReturnConstant(value) => {
                self.answer(Answer::from_return_value(value), calls.clone());
                return Ok(());
            }
            Operation::ReturnA => return self.answers_of(&state.a, calls),
        }
        self.pass_on(at + 1, state, calls.clone())
    }

    fn load(&self, source: Source, state: &State) -> Word {
        match source {
            Source::Data(offset) => {
                let word = u8::try_from(offset / 4).expect("a valid program loads a word of the call");
                Word::loaded(&self.diagrams, word)
            }
            Source::Immediate(value) => Word::constant(&self.diagrams, value),
            Source::Memory(word) => state.memory[word as usize].clone(),
            Source::Length => Word::constant(&self.diagrams, DATA_LENGTH),
        }
    }

    fn operand(&self, operand: Operand, state: &State) -> Word {
        match operand {
            Operand::K(value) => Word::constant(&self.diagrams, value),
            Operand::X => state.x.clone(),
        }
    }

    /// Arithmetic on `A`. A division by zero ends the program with 0, for the calls by which it is one.
    fn arithmetic(
        &mut self,
        at: usize,
        arithmetic: Arithmetic,
        operand: Operand,
        mut state: State,
        calls: &Calls,
    ) -> Result<(), Exhausted> {
        let operand = self.operand(operand, &state);
        let mut going_on = calls.clone();
        if arithmetic == Arithmetic::Divide {
            let by_zero = operand.holds(Comparison::Equal, &self.zero, &mut self.diagrams)?;
            let ended = Calls(self.diagrams.and(&calls.0, &by_zero)?);
            self.answer(Answer::from_return_value(0), ended);
            going_on = Calls(self.diagrams.without(&calls.0, &by_zero)?);
        }
        if self.live[at + 1].has_a() {
            state.a = state.a.apply(arithmetic, &operand, &mut self.diagrams)?;
        }
        self.pass_on(at + 1, state, going_on)
    }

    /// Calls that get to an instruction join those that are there in the same state. Each comparison of states counts as a
    /// node, since a program that gathers bits doubles its states with each.
    fn pass_on(&mut self, to: usize, mut state: State, calls: Calls) -> Result<(), Exhausted> {
        if calls.is_empty() {
            return Ok(());
        }
        state.forget_all_but(self.live[to], &self.zero);
        self.diagrams.spend(self.reaching[to].len())?;
        match self.reaching[to].iter_mut().find(|(known, _)| *known == state) {
            Some((_, union)) => union.add(calls),
            None => self.reaching[to].push((state, Union::of(calls))),
        }
        Ok(())
    }

    fn answer(&mut self, answer: Answer, calls: Calls) {
        if !calls.is_empty() {
            self.answers.entry(answer).or_default().add(calls);
        }
    }

    /// The answers of a program that returns what it has computed: bit by bit from the highest, as long as some call
    /// has them and the kernel looks at them.
    fn answers_of(&mut self, word: &Word, calls: &Calls) -> Result<(), Exhausted> {
        let mut open = vec![(u32::BITS, 0, calls.clone())];
        while let Some((bits, value, calls)) = open.pop() {
            let data_starts = bits == libc::SECCOMP_RET_DATA.count_ones();
            if bits == 0 || (data_starts && !Answer::has_data(value)) {
                self.answer(Answer::from_return_value(value), calls);
                continue;
            }
            let bit = word.bit(bits as usize - 1);
            let one = self.diagrams.and(&calls.0, bit)?;
            let zero = self.diagrams.without(&calls.0, bit)?;
            for (set, value) in [(zero, value), (one, value | 1 << (bits - 1))] {
                if !set.is_false() {
                    open.push((bits - 1, value, Calls(set)));
                }
            }
        }
        Ok(())
    }
}
