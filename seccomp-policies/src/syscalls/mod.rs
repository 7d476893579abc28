//! System calls: names, numbers, argument names and the widths that the kernel reads.

use crate::language::Width;

/// An architecture that policies are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Arch {
    /// 64-bit x86.
    X86_64,
    /// 64-bit Arm.
    Aarch64,
}

impl Arch {
    /// `AUDIT_ARCH_*`, Linux `include/uapi/linux/audit.h`.
    pub const fn audit_value(self) -> u32 {
        match self {
            Self::X86_64 => 0xc000_003e,
            Self::Aarch64 => 0xc000_00b7,
        }
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
