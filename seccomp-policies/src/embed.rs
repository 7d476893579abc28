//! Policies inside a binary: what a build script generates and what the program finds at run time.

use crate::bpf::Instruction;
use crate::language::Tier;

/// One policy's programs for each `--on-violation`.
#[derive(Debug)]
pub struct Variants {
    /// `otherwise trap`
    pub trap: &'static [Instruction],
    /// `otherwise kill`
    pub kill: &'static [Instruction],
    /// `otherwise errno EPERM`
    pub errno: &'static [Instruction],
    /// `otherwise log`
    pub log: &'static [Instruction],
}

/// A role's policy as the build embedded it.
#[derive(Debug)]
pub struct Embedded {
    /// The role's name.
    pub role: &'static str,
    /// The tier that the text asks for.
    pub tier: Tier,
    /// Every source file, the policy itself first: name and text.
    pub sources: &'static [(&'static str, &'static str)],
    /// Programs of the filter tier; empty slices for a policy of the strict tier.
    pub filter: Variants,
    /// Programs of the bitmask tier; empty slices for a policy of the strict tier.
    pub bitmask: Variants,
    /// Distinct calls that the policy allows: number and name, ascending.
    pub calls: &'static [(u32, &'static str)],
}
