//! Policies inside a binary: what a build script proves and generates, and what the program finds at run time.
//!
//! A build script ([`crate::build()`]) proves each policy and writes Rust source, which the program includes. The bytes
//! that were held against the policy's meaning are the bytes that it installs.

#[cfg(feature = "toolchain")]
mod generate;
#[cfg(feature = "toolchain")]
mod name;
#[cfg(feature = "toolchain")]
mod prove;

#[cfg(feature = "toolchain")]
pub use generate::generate;
#[cfg(feature = "toolchain")]
pub use name::Nameless;
#[cfg(feature = "toolchain")]
pub use prove::{Error, Proved, prove};
/// One instruction, `struct sock_filter` (Linux `include/uapi/linux/filter.h`).
pub use seccompiler::sock_filter as Instruction;

use crate::action::Action;
use crate::tier::Tier;

/// The most instructions that the kernel takes in one program: `BPF_MAXINSNS`, Linux
/// `include/uapi/linux/bpf_common.h`.
pub const MAX_INSTRUCTIONS: usize = 4096;

/// What a program does with a call that no rule speaks of: what its policy says, or one of the choices that are
/// compiled in to take the place of that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OnViolation {
    /// What `otherwise` says in the policy.
    #[default]
    AsWritten,
    /// SIGSYS, so that the program can report it.
    Trap,
    /// The kernel ends the process.
    Kill,
    /// The call fails with `EPERM`.
    Errno,
    /// The call is carried out and logged.
    Log,
}

impl OnViolation {
    /// Each of them.
    pub const ALL: [Self; 5] = [Self::AsWritten, Self::Trap, Self::Kill, Self::Errno, Self::Log];

    /// The `otherwise` that it stands for, in a policy that says `written`.
    pub fn otherwise(self, written: Action) -> Action {
        match self {
            Self::AsWritten => written,
            Self::Trap => Action::Trap,
            Self::Kill => Action::KillProcess,
            Self::Errno => Action::Errno(u16::try_from(libc::EPERM).expect("error numbers are small")),
            Self::Log => Action::Log,
        }
    }
}

/// One policy's programs, one for each [`OnViolation`]. None is empty: the build checked each.
#[derive(Debug)]
pub struct Variants {
    /// The policy's own `otherwise`
    pub as_written: &'static [Instruction],
    /// `otherwise trap`
    pub trap: &'static [Instruction],
    /// `otherwise kill`
    pub kill: &'static [Instruction],
    /// `otherwise errno EPERM`
    pub errno: &'static [Instruction],
    /// `otherwise log`
    pub log: &'static [Instruction],
}

impl Variants {
    /// The program of this choice.
    pub const fn get(&self, on_violation: OnViolation) -> &'static [Instruction] {
        match on_violation {
            OnViolation::AsWritten => self.as_written,
            OnViolation::Trap => self.trap,
            OnViolation::Kill => self.kill,
            OnViolation::Errno => self.errno,
            OnViolation::Log => self.log,
        }
    }
}

/// What holds a thread to its policy.
#[derive(Debug)]
pub enum Programs {
    /// Seccomp's mode 1. There is no program.
    Strict,
    /// Programs that look at call numbers alone, since the policy does.
    Bitmask(Variants),
    /// Programs for the policy as it stands, and for what is left of it without arguments.
    Filter {
        /// Arguments looked at.
        filter: Variants,
        /// Call numbers alone.
        bitmask: Variants,
    },
}

/// A range of descriptors that a policy names.
#[derive(Debug)]
pub struct EmbeddedSlot {
    /// The name after `fd`.
    pub name: &'static str,
    /// Lowest descriptor.
    pub first: u32,
    /// Highest descriptor; equal to `first` for a single slot.
    pub last: u32,
    /// What the descriptor is.
    pub reason: &'static str,
}

/// A role's policy as the build embedded it.
#[derive(Debug)]
pub struct Embedded {
    /// The role's name.
    pub role: &'static str,
    /// Every source file, the policy itself first: name and text, as [`crate::language::check_sources`] takes them.
    pub sources: &'static [(&'static str, &'static str)],
    /// What holds the thread.
    pub programs: Programs,
    /// Descriptor slots, ascending.
    pub slots: &'static [EmbeddedSlot],
    /// Distinct calls that the policy allows: number and name, ascending.
    pub calls: &'static [(u32, &'static str)],
}

impl Embedded {
    /// The tier that the text asks for.
    pub const fn tier(&self) -> Tier {
        match self.programs {
            Programs::Strict => Tier::Strict,
            Programs::Bitmask(_) => Tier::Bitmask,
            Programs::Filter { .. } => Tier::Filter,
        }
    }

    /// The programs for the tier that a user asks for; `None` where the thread goes into strict mode, as it does
    /// whatever is asked where its policy says so, and under a `tier` of strict.
    pub const fn variants(&self, tier: Tier) -> Option<&Variants> {
        match (&self.programs, tier) {
            (Programs::Strict, _) | (_, Tier::Strict) => None,
            (Programs::Filter { filter, .. }, Tier::Filter) => Some(filter),
            (Programs::Filter { bitmask, .. } | Programs::Bitmask(bitmask), _) => Some(bitmask),
        }
    }
}
