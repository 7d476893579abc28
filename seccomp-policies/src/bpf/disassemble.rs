//! A program as text for people, an instruction a line.

use std::fmt;

use serde::Serialize;

use super::trace::{Word, trace};
use super::{Arithmetic, Comparison, Instruction, Operand, Operation, Register, Source};
use crate::action::Action;
use crate::syscalls::Arch;

/// One instruction of a listing. Its `Display` is a whole line: number, text, comment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// Index of the instruction, from 0; jumps name their targets by it.
    pub at: usize,
    /// Opcode.
    pub code: u16,
    /// Instructions that a jump leaves out where its comparison holds.
    pub jt: u8,
    /// Instructions that a jump leaves out where its comparison does not hold.
    pub jf: u8,
    /// The constant.
    pub k: u32,
    /// What the instruction does.
    pub text: String,
    /// What its constant stands for, where the program makes that plain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.comment {
            None => write!(f, "{:4}  {}", self.at, self.text),
            Some(comment) => write!(f, "{:4}  {:<40} ; {comment}", self.at, self.text),
        }
    }
}

/// Lists the program. Calls and their arguments get the names that they have on `arch`.
pub fn disassemble(program: &[Instruction], arch: Arch) -> Vec<Line> {
    program
        .iter()
        .zip(trace(program))
        .enumerate()
        .map(|(at, (instruction, known))| {
            let operation = Operation::decode(instruction);
            Line {
                at,
                code: instruction.code,
                jt: instruction.jt,
                jf: instruction.jf,
                k: instruction.k,
                text: operation.map_or_else(
                    || format!("unknown opcode {:#06x}", instruction.code),
                    |operation| text(operation, at, known.accumulator),
                ),
                comment: operation.and_then(|operation| known.comment(operation, arch)),
            }
        })
        .collect()
}

fn text(operation: Operation, at: usize, accumulator: Option<Word>) -> String {
    match operation {
        Operation::Load(register, source) => format!("{} = {}", register_name(register), Place(source)),
        Operation::Store(register, word) => format!("memory[{word}] = {}", register_name(register)),
        Operation::Arithmetic(arithmetic, operand) => {
            format!("A {}= {}", arithmetic_sign(arithmetic), operand_text(operand, false))
        }
        Operation::Negate => "A = -A".to_owned(),
        Operation::Jump(distance) => format!("goto {}", target(at, distance)),
        Operation::Branch { comparison, operand, then, otherwise } => {
            let decimal = accumulator == Some(Word::Number) && comparison != Comparison::AnyBit;
            branch_text(comparison, &operand_text(operand, decimal), at, then, otherwise)
        }
        Operation::ReturnConstant(value) => format!("return {}", return_text(value)),
        Operation::ReturnA => "return A".to_owned(),
        Operation::CopyAToX => "X = A".to_owned(),
        Operation::CopyXToA => "A = X".to_owned(),
    }
}

/// A branch that goes on with the next instruction in one case is written for the other case alone.
fn branch_text(comparison: Comparison, operand: &str, at: usize, then: u8, otherwise: u8) -> String {
    let then_target = target(at, u32::from(then));
    let otherwise_target = target(at, u32::from(otherwise));
    if then == 0 && otherwise != 0 {
        return match comparison {
            Comparison::Equal => format!("if A != {operand} goto {otherwise_target}"),
            Comparison::Greater => format!("if A <= {operand} goto {otherwise_target}"),
            Comparison::GreaterOrEqual => format!("if A < {operand} goto {otherwise_target}"),
            Comparison::AnyBit => format!("if A & {operand} == 0 goto {otherwise_target}"),
        };
    }
    let test = match comparison {
        Comparison::Equal => format!("A == {operand}"),
        Comparison::Greater => format!("A > {operand}"),
        Comparison::GreaterOrEqual => format!("A >= {operand}"),
        Comparison::AnyBit => format!("A & {operand} != 0"),
    };
    if otherwise == 0 {
        format!("if {test} goto {then_target}")
    } else {
        format!("if {test} goto {then_target} else {otherwise_target}")
    }
}

/// The instruction that a jump over `distance` instructions goes to; a hostile program may name one far
/// past its end.
fn target(at: usize, distance: u32) -> u64 {
    at as u64 + 1 + u64::from(distance)
}

/// Where a load takes its word from, in the words of `struct seccomp_data`.
struct Place(Source);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Source::Data(offset) => match Word::at(offset) {
                Some(word) => word.fmt(f),
                None => write!(f, "data[{offset}]"),
            },
            Source::Immediate(value) => write!(f, "{value:#x}"),
            Source::Memory(word) => write!(f, "memory[{word}]"),
            Source::Length => f.write_str("length"),
        }
    }
}

const fn register_name(register: Register) -> char {
    match register {
        Register::A => 'A',
        Register::X => 'X',
    }
}

const fn arithmetic_sign(arithmetic: Arithmetic) -> &'static str {
    match arithmetic {
        Arithmetic::Add => "+",
        Arithmetic::Subtract => "-",
        Arithmetic::Multiply => "*",
        Arithmetic::Divide => "/",
        Arithmetic::And => "&",
        Arithmetic::Or => "|",
        Arithmetic::Xor => "^",
        Arithmetic::ShiftLeft => "<<",
        Arithmetic::ShiftRight => ">>",
    }
}

fn operand_text(operand: Operand, decimal: bool) -> String {
    match operand {
        Operand::K(constant) if decimal => constant.to_string(),
        Operand::K(constant) => format!("{constant:#x}"),
        Operand::X => "X".to_owned(),
    }
}

/// A return value as the kernel's `SECCOMP_RET_*` name with its data.
fn return_text(value: u32) -> String {
    match Action::from_return_value(value) {
        Some(Action::Allow) => "ALLOW".to_owned(),
        Some(Action::Errno(number)) => format!("ERRNO({number})"),
        Some(Action::Trap) => "TRAP".to_owned(),
        Some(Action::Log) => "LOG".to_owned(),
        Some(Action::KillThread) => "KILL_THREAD".to_owned(),
        Some(Action::KillProcess) => "KILL_PROCESS".to_owned(),
        None => match value & libc::SECCOMP_RET_ACTION_FULL {
            libc::SECCOMP_RET_TRACE => format!("TRACE({})", value & libc::SECCOMP_RET_DATA),
            libc::SECCOMP_RET_USER_NOTIF => "USER_NOTIF".to_owned(),
            // The kernel ends the process for a value that it does not know (`__seccomp_filter`).
            _ => format!("{value:#x} (unknown, KILL_PROCESS)"),
        },
    }
}
