//! The kernel's mechanisms, by age.

/// Which of the kernel's mechanisms holds the thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tier {
    /// Seccomp mode 1 (2005): read, write, exit and sigreturn, whatever their arguments.
    Strict,
    /// A set of allowed numbers (the patches of 2009), arguments not looked at.
    Bitmask,
    /// Expressions over arguments (2010), compiled to BPF.
    Filter,
}

impl Tier {
    /// As a policy spells it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::Bitmask => "bitmask",
            Self::Filter => "filter",
        }
    }
}
