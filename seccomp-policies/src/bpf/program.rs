//! A program that the kernel will accept.

use super::{Instruction, Invalid, Operation, validate};

/// A program that passed [`validate`]: never empty, never too long, every path returns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program(Vec<Instruction>);

impl Program {
    /// Takes instructions that the kernel would accept.
    ///
    /// # Errors
    /// [`Invalid`] names the first instruction that it would refuse.
    pub fn new(instructions: Vec<Instruction>) -> Result<Self, Invalid> {
        validate(&instructions)?;
        Ok(Self(instructions))
    }

    /// The instructions, in order.
    pub fn instructions(&self) -> &[Instruction] {
        &self.0
    }

    /// Number of instructions, 1 to [`super::MAX_INSTRUCTIONS`].
    #[expect(clippy::len_without_is_empty, reason = "a program is never empty")]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Instructions on the longest path through the program, the return included: no call executes more. Tests that
    /// exclude each other may stand on that path, so that perhaps none executes as many.
    pub fn longest_path(&self) -> usize {
        let mut from = vec![0; self.0.len()];
        for (at, instruction) in self.0.iter().enumerate().rev() {
            // Jumps go forward, and every path returns: the program was validated.
            let after =
                |distance: u32| from.get((at + 1).saturating_add(distance as usize)).copied().unwrap_or(0);
            let rest = match Operation::decode(instruction) {
                Some(Operation::ReturnConstant(_) | Operation::ReturnA) | None => 0,
                Some(Operation::Jump(distance)) => after(distance),
                Some(Operation::Branch { then, otherwise, .. }) => {
                    after(then.into()).max(after(otherwise.into()))
                }
                Some(_) => after(0),
            };
            from[at] = 1 + rest;
        }
        from[0]
    }

    /// The program as the kernel reads it on this machine: `struct sock_filter`, 8 bytes an instruction.
    pub fn bytes(&self) -> Vec<u8> {
        self.0
            .iter()
            .flat_map(|instruction| {
                let [code_0, code_1] = instruction.code.to_ne_bytes();
                let [k_0, k_1, k_2, k_3] = instruction.k.to_ne_bytes();
                [code_0, code_1, instruction.jt, instruction.jf, k_0, k_1, k_2, k_3]
            })
            .collect()
    }
}
