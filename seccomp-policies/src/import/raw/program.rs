//! A program and the text that findings about it point into.

use std::ops::Range;

use super::{bytes, text};
use crate::bpf::{Instruction, Operation, disassemble};
use crate::import::input::Input;
use crate::language::{Diagnostic, Source};
use crate::prove::{Answer, Error};
use crate::syscalls::Arch;

/// A program, and for each instruction its place in a listing.
pub(super) struct Program {
    instructions: Vec<Instruction>,
    source: Source,
    spans: Vec<Range<usize>>,
}

impl Program {
    /// Reads bytes or a listing. Bytes get a listing of our own, with the names that calls have on `arch`.
    pub(super) fn read(input: &Input, arch: Arch) -> Result<Self, Box<(Source, Diagnostic)>> {
        let source =
            |text: String| Source { name: input.name.to_owned(), shown: input.name.to_owned(), text };
        if let Some(text) = listing(input.bytes) {
            let source = source(text.to_owned());
            return match text::read(text, 0) {
                Ok(placed) => {
                    let (instructions, spans) = placed.into_iter().unzip();
                    Ok(Self { instructions, source, spans })
                }
                Err(error) => Err(Box::new((source, error))),
            };
        }
        let Some((instructions, _)) = bytes::instructions(input.bytes) else {
            let title = format!(
                "{} bytes are no program: an instruction has {}",
                input.bytes.len(),
                bytes::INSTRUCTION
            );
            return Err(Box::new((source(String::new()), Diagnostic::unplaced(title))));
        };
        Ok(Self::listed(input.name, instructions, arch))
    }

    /// A program that is there already, with a listing of our own.
    pub(super) fn of(name: &str, instructions: &[Instruction], arch: Arch) -> Self {
        Self::listed(name, instructions.to_vec(), arch)
    }

    fn listed(name: &str, instructions: Vec<Instruction>, arch: Arch) -> Self {
        let mut text = String::new();
        let mut spans = Vec::new();
        for line in disassemble(&instructions, arch) {
            let start = text.len();
            text.push_str(&line.to_string());
            spans.push(start..text.len());
            text.push('\n');
        }
        let source = Source { name: name.to_owned(), shown: name.to_owned(), text };
        Self { instructions, source, spans }
    }

    pub(super) fn instructions(&self) -> &[Instruction] {
        &self.instructions
    }

    pub(super) fn name(&self) -> &str {
        &self.source.name
    }

    pub(super) fn source(&self) -> &Source {
        &self.source
    }

    pub(super) fn into_source(self) -> Source {
        self.source
    }

    /// The place of what is said about the program as a whole: its first instruction.
    pub(super) fn whole(&self) -> (usize, Range<usize>) {
        (0, self.spans.first().cloned().unwrap_or(0..0))
    }

    /// The first instruction that returns this answer.
    pub(super) fn place_of_return(&self, answer: Answer) -> (usize, Range<usize>) {
        let returns = |instruction: &Instruction| match Operation::decode(instruction) {
            Some(Operation::ReturnConstant(value)) => Answer::from_return_value(value).effect() == answer,
            _ => false,
        };
        match self.instructions.iter().position(returns) {
            Some(at) => (0, self.spans[at].clone()),
            None => self.whole(),
        }
    }

    /// The error for a program that has no decisions.
    pub(super) fn refused(&self, at: usize, error: &Error) -> Diagnostic {
        let place = self.spans.get(at).or(self.spans.last()).cloned().unwrap_or(0..0);
        match error {
            Error::Invalid(invalid) => Diagnostic::error(
                "the kernel would refuse this program",
                0,
                place,
                invalid.reason.to_string(),
            ),
            Error::TooComplicated { .. } => {
                Diagnostic::error(error.to_string(), 0, place, "this instruction")
            }
        }
    }

    /// The error for a program of more answers than are looked for.
    pub(super) fn too_many_answers(&self, most: usize) -> Diagnostic {
        let returns = |instruction: &Instruction| Operation::decode(instruction) == Some(Operation::ReturnA);
        let at = self.instructions.iter().position(returns).unwrap_or_default();
        let place = self.spans.get(at).cloned().unwrap_or(0..0);
        Diagnostic::error(format!("the program gives more than {most} answers"), 0, place, "a computed one")
            .help("a policy has an answer for each rule, which no argument changes")
    }

    /// The error for a policy that is not what it was made of.
    pub(super) fn not_equal(&self, answer: Answer) -> Diagnostic {
        let (source, span) = self.place_of_return(answer);
        let title = format!("the policy answers `{answer}` to other calls than the program");
        Diagnostic::error(title, source, span, "returned here")
            .help("this is a defect of the decompiler; please report it with the program")
    }
}

/// The text, where the bytes are one. A program as bytes always has zeros among them.
fn listing(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?;
    let is_text = !text.trim().is_empty() && !text.contains(|c: char| c.is_control() && !c.is_whitespace());
    is_text.then_some(text)
}
