//! System calls: names, numbers, argument names and the widths that the kernel reads.

use std::fmt;
use std::ops::RangeInclusive;

use crate::language::Width;

pub mod decode;
mod table;

pub use table::{all, by_name, by_number, name_of};

/// Marks a call of the x32 ABI: `__X32_SYSCALL_BIT`, Linux `arch/x86/include/uapi/asm/unistd.h`.
pub const X32_BIT: u32 = 0x4000_0000;

/// Numbers that come with the architecture of `x86_64` and are none of its calls: those of the x32 ABI, and what is above
/// them. A filter sees -1, the highest, where a tracer has the kernel skip a call; that is no call by any ABI.
pub const X32_NUMBERS: RangeInclusive<u32> = X32_BIT..=u32::MAX - 1;

/// An architecture that policies are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Arch {
    /// 64-bit x86.
    X86_64,
    /// 64-bit Arm.
    Aarch64,
}

impl Arch {
    /// Each of them.
    pub const ALL: [Self; 2] = [Self::X86_64, Self::Aarch64];

    /// `AUDIT_ARCH_*`, Linux `include/uapi/linux/audit.h`.
    pub const fn audit_value(self) -> u32 {
        match self {
            Self::X86_64 => 0xc000_003e,
            Self::Aarch64 => 0xc000_00b7,
        }
    }

    /// The architecture of this name, as a policy's `on` spells it.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|arch| arch.name() == name)
    }

    /// The name that a policy uses.
    pub const fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
        }
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One argument of a system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Argument {
    /// The kernel's name of it.
    pub name: &'static str,
    /// How much of the register the kernel reads.
    pub width: Width,
    /// The C type, words joined by `_` as in the table.
    pub c_type: &'static str,
}

impl Argument {
    /// Whether the argument is a file descriptor that the call works on.
    ///
    /// The kernel has no type for one; its names for them are regular.
    pub fn is_descriptor(&self) -> bool {
        let named = matches!(self.name, "fildes" | "mqdes" | "fd_in" | "fd_out" | "fdin" | "fdout");
        (named || self.name.ends_with("fd")) && self.name != "max_fd" && !self.is_pointer()
    }

    /// Whether the argument is an address.
    pub fn is_pointer(&self) -> bool {
        self.c_type.contains('*')
    }
}

/// Argument registers that a call does not read. The kernel itself names arguments `arg2` to `arg5` in some calls, so
/// that these have other names.
pub static REGISTERS: [Argument; 6] = {
    const fn register(name: &'static str) -> Argument {
        Argument { name, width: Width::Bits64, c_type: "unsigned_long" }
    }
    [
        register("register0"),
        register("register1"),
        register("register2"),
        register("register3"),
        register("register4"),
        register("register5"),
    ]
};

/// One system call of an architecture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Syscall {
    /// The number that a filter sees.
    pub number: u32,
    /// The kernel's name.
    pub name: &'static str,
    /// Arguments in the order of their registers.
    pub arguments: &'static [Argument],
}

impl Syscall {
    /// The argument of this name and its register's index.
    pub fn argument(&self, name: &str) -> Option<(u8, &'static Argument)> {
        (0..).zip(self.arguments).find(|(_, argument)| argument.name == name)
    }

    /// The argument in a register, 0 to 5; a plain register where the call has none there.
    pub fn argument_at(&self, register: u8) -> &'static Argument {
        let register = usize::from(register);
        self.arguments.get(register).unwrap_or(&REGISTERS[register])
    }

    /// Every argument that is a file descriptor, with its register's index.
    pub fn descriptors(&self) -> impl Iterator<Item = (u8, &'static Argument)> {
        (0..).zip(self.arguments).filter(|(_, argument)| argument.is_descriptor())
    }
}
