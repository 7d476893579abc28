//! Which program a thread gets, and handing it to the kernel.

use seccomp_policies::bpf::Instruction;
use seccomp_policies::embed::{self, Embedded};
pub use seccomp_policies::install::Error;
use seccomp_policies::install::{install_program, install_strict};
use seccomp_policies::language;

/// `--tier`: which of the kernel's mechanisms holds the filter roles. The console is in strict mode in all but
/// `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Tier {
    /// Calls and their arguments.
    #[default]
    Filter,
    /// Calls by number alone.
    Bitmask,
    /// No confinement, for comparison.
    None,
}

/// `--on-violation`: what takes the place of the policies' `otherwise`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum OnViolation {
    /// The run ends with a report, exit code 148.
    #[default]
    Trap,
    /// The kernel ends the process at once, by SIGSYS.
    Kill,
    /// The call fails with EPERM and the run goes on.
    Errno,
    /// The call is carried out and the kernel logs it, rate-limited; for writing policies.
    Log,
}

/// How this run confines its threads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fencing {
    /// The mechanism.
    pub tier: Tier,
    /// What a refusal does.
    pub on_violation: OnViolation,
}

/// What holds one thread.
#[derive(Clone, Copy, Debug)]
pub enum Hold {
    /// Nothing: `--tier none`.
    Unconfined,
    /// Seccomp mode 1.
    Strict,
    /// Seccomp mode 2 with this program.
    Program(&'static [Instruction]),
}

impl Fencing {
    /// What holds a thread with this policy.
    pub fn hold(self, policy: &'static Embedded) -> Hold {
        #[cfg(feature = "provoke")]
        if let Some(program) = super::provoke::learned(policy.role) {
            return Hold::Program(program);
        }
        let tier = match self.tier {
            Tier::None => return Hold::Unconfined,
            Tier::Filter => language::Tier::Filter,
            Tier::Bitmask => language::Tier::Bitmask,
        };
        match policy.variants(tier) {
            None => Hold::Strict,
            Some(variants) => Hold::Program(variants.get(self.on_violation.into())),
        }
    }
}

impl Fencing {
    /// Whether a refused call becomes known to the monitor. Under `errno` and `log` it passes unseen, and without a
    /// tier nothing is refused.
    pub fn tells_violations(self) -> bool {
        self.tier != Tier::None && matches!(self.on_violation, OnViolation::Trap | OnViolation::Kill)
    }
}

impl From<OnViolation> for embed::OnViolation {
    fn from(on_violation: OnViolation) -> Self {
        match on_violation {
            OnViolation::Trap => Self::Trap,
            OnViolation::Kill => Self::Kill,
            OnViolation::Errno => Self::Errno,
            OnViolation::Log => Self::Log,
        }
    }
}

impl Hold {
    /// The tier as the confinement table names it.
    pub fn name(self, tier: Tier) -> &'static str {
        match (self, tier) {
            (Self::Unconfined, _) => "none",
            (Self::Strict, _) => "strict",
            (Self::Program(_), Tier::Bitmask) => "bitmask",
            (Self::Program(_), _) => "filter",
        }
    }
}

/// Confines the calling thread. From here on it may make the calls of its policy alone.
///
/// # Errors
/// See [`Error`]; the thread is not confined then and must not run its loop.
pub fn install(hold: Hold) -> Result<(), Error> {
    match hold {
        Hold::Unconfined => Ok(()),
        Hold::Strict => install_strict(),
        Hold::Program(program) => install_program(program),
    }
}
