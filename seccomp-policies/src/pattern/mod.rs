//! A call of which not everything is known: `ioctl(fd=4, cmd=KVM_RUN)`, `openat(AT_FDCWD, "/etc/passwd", O_RDONLY)`.
//!
//! People leave arguments open, and a trace shows what a pointer points to instead of the pointer. A pattern keeps
//! what is certain of each register, and [`Judge`] says what a policy decides of every call that fits.

mod judge;
mod value;
mod written;

use crate::call::Call;
use crate::language::{Condition, Diagnostic, Diagnostics, Relation, Source, Test, Width};
use crate::syscalls::{Arch, Syscall, by_name, by_number};

pub use judge::{Answer, Decider, Judge, Verdict, is_carried_out};
pub(crate) use written::Written;

use written::Piece;

/// What is known of an argument's register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Known {
    /// Nothing.
    Nothing,
    /// It is an address, and not null: a trace shows what lies there.
    NotNull,
    /// The lower half, or the whole of it, has this value.
    Value(u64, Width),
}

impl Known {
    /// The tests that the register passes for certain.
    fn test(self, argument: u8) -> Option<Test> {
        let (width, relation) = match self {
            Self::Nothing => return None,
            Self::NotNull => (Width::Bits64, Relation::NotEqual(0)),
            Self::Value(value, width) => (width, Relation::Equal(value)),
        };
        Some(Test { argument, width, relation })
    }
}

/// Every call of one number whose arguments are as far as they are known.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pattern {
    /// The number that a filter sees.
    pub number: u32,
    /// What is known of each register.
    pub arguments: [Known; 6],
}

impl Pattern {
    /// Every call of this number.
    pub const fn of(number: u32) -> Self {
        Self { number, arguments: [Known::Nothing; 6] }
    }

    /// Reads a call as people and `strace` write it. Arguments come in their order or by name, as in
    /// `ioctl(fd=4, cmd=KVM_RUN)`; `?` and arguments that are left out are open; strings and structures stand for
    /// some address that is not null. The call is a name, or a number as in `471(0x1)`.
    ///
    /// # Errors
    /// An unknown call, argument or constant, a value that does not fit, and text that is no call.
    pub fn parse(text: &str, arch: Arch) -> Result<Self, Diagnostics> {
        let pattern = Written::read(text).and_then(|written| {
            if written.rest.trim().is_empty() {
                return written.pattern(text, arch);
            }
            let start = text.len() - written.rest.trim_start().len();
            Err(Diagnostic::error("something stands after the call", 0, start..text.len(), "this"))
        });
        pattern.map_err(|error| {
            let name = "CALL".to_owned();
            Diagnostics::new(vec![error], vec![Source { shown: name.clone(), name, text: text.to_owned() }])
        })
    }

    /// The call of the table, if the number is one's.
    pub fn syscall(&self, arch: Arch) -> Option<&'static Syscall> {
        by_number(arch, self.number)
    }

    /// What every call of the pattern meets, and no other of its number.
    pub fn condition(&self) -> Condition {
        let known = (0..).zip(self.arguments);
        Condition::All(known.filter_map(|(index, known)| Some(Condition::Test(known.test(index)?))).collect())
    }

    /// Which registers are known as values.
    pub fn known(&self) -> [bool; 6] {
        self.arguments.map(|known| matches!(known, Known::Value(..)))
    }

    /// A call of the pattern: open registers zero, and addresses one.
    pub fn example(&self, arch: Arch) -> Call {
        let arguments = self.arguments.map(|known| match known {
            Known::Nothing => 0,
            Known::NotNull => 1,
            Known::Value(value, _) => value,
        });
        Call { number: self.number, arch: arch.audit_value(), instruction_pointer: 0, arguments }
    }
}

impl Written<'_> {
    /// The pattern that the text means, or what is wrong with it.
    fn pattern(&self, text: &str, arch: Arch) -> Result<Pattern, Diagnostic> {
        let (number, call) = self.call(arch).ok_or_else(|| written::unknown_call(&self.name, arch))?;
        let mut pattern = Pattern::of(number);
        for (index, piece) in self.arguments.iter().enumerate() {
            let (register, piece) = self.register(call, index, piece)?;
            let known = value::read(text, &piece, arch, call, register);
            let known = known.map_err(|misread| misread.diagnostic(arch))?;
            pattern.arguments[usize::from(register)] = known;
        }
        Ok(pattern)
    }

    /// The same, but what cannot be understood of an argument is not known. Returns the arguments that were not
    /// understood.
    pub(crate) fn lenient(&self, text: &str, arch: Arch) -> Result<(Pattern, Vec<String>), Diagnostic> {
        let (number, call) = self.call(arch).ok_or_else(|| written::no_such_call(&self.name, arch))?;
        let mut pattern = Pattern::of(number);
        let mut not_understood = Vec::new();
        for (index, piece) in self.arguments.iter().enumerate() {
            let Ok((register, piece)) = self.register(call, index, piece) else { continue };
            match value::read(text, &piece, arch, call, register) {
                Ok(known) => pattern.arguments[usize::from(register)] = known,
                Err(_) => not_understood.push(piece.text.to_owned()),
            }
        }
        Ok((pattern, not_understood))
    }

    /// The call's number, and its row of the table if it has one.
    fn call(&self, arch: Arch) -> Option<(u32, Option<&'static Syscall>)> {
        let name = &self.name;
        if let Some(call) = by_name(arch, name.text) {
            return Some((call.number, Some(call)));
        }
        // `strace` writes `syscall_0x1d7` where it has no name.
        let digits = name.text.strip_prefix("syscall_").unwrap_or(name.text);
        let number = value::number(digits).and_then(|number| u32::try_from(number).ok())?;
        Some((number, by_number(arch, number)))
    }

    /// The register that an argument is for, and the argument without its name.
    fn register<'a>(
        &self,
        call: Option<&'static Syscall>,
        index: usize,
        piece: &Piece<'a>,
    ) -> Result<(u8, Piece<'a>), Diagnostic> {
        let (name, piece) = piece.named();
        let most = call.map_or(6, |call| call.arguments.len());
        match (name, call) {
            (Some(name), Some(call)) => match call.argument(written::kernels_name(call, name.text)) {
                Some((register, _)) => Ok((register, piece)),
                None => Err(written::unknown_argument(&name, call)),
            },
            (Some(name), None) => {
                Err(Diagnostic::error("this call has no named arguments", 0, name.span, "a name")
                    .help("give the arguments in their order"))
            }
            (None, _) if index >= most => {
                let title = format!("`{}` has no argument {}", self.name.text, index + 1);
                Err(Diagnostic::error(title, 0, piece.span, "one too many"))
            }
            (None, _) => Ok((u8::try_from(index).unwrap_or(u8::MAX), piece)),
        }
    }
}

#[cfg(test)]
mod tests;
