//! Rust source for proved policies.

use std::fmt::{self, Display, Formatter};

use super::prove::{ByViolation, Compiled, Proved};
use crate::bpf::Program;
use crate::language::Slot;

/// Lints of the program that includes the source: what they say of handwritten code they must not say of this.
const ALLOW: &str = "#[allow(dead_code, unreachable_pub, clippy::doc_markdown, clippy::unreadable_literal, reason = \
                     \"generated: plain text in the documentation, programs as the kernel has them\")]";

/// Rust source that holds the policies: for each role a module of its name with
/// `pub static POLICY: Embedded` and `pub mod slot`, the constants of its descriptor slots (a `RawFd`, or a
/// `RangeInclusive<RawFd>` for a range); and `pub static ALL: &[&Embedded]`.
///
/// The file that includes it needs the crates `std` and `seccomp_policies`. The roles' names differ.
pub fn generate(policies: &[Proved]) -> String {
    let modules = policies.iter().map(|proved| RoleModule(proved).to_string());
    let all: Vec<_> =
        policies.iter().map(|proved| format!("&{}::POLICY", identifier(proved.role()))).collect();
    let all = format!(
        "/// Every embedded policy.\n{ALLOW}\npub static ALL: &[&::seccomp_policies::embed::Embedded] = &[{}];\n",
        all.join(", ")
    );
    modules.chain([all]).collect()
}

/// A name of the policy language as a Rust identifier.
fn identifier(name: &str) -> String {
    name.replace(['-', '.'], "_")
}

struct RoleModule<'a>(&'a Proved);

impl Display for RoleModule<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Proved { policy, sources, compiled } = self.0;
        writeln!(f, "#[doc = {:?}]", format!("The policy of role `{}`.", policy.role))?;
        writeln!(f, "{ALLOW}")?;
        writeln!(f, "pub mod {} {{", identifier(&policy.role))?;
        writeln!(f, "    #[allow(unused_imports, reason = \"strict mode has no programs\")]")?;
        writeln!(
            f,
            "    use ::seccomp_policies::embed::{{Embedded, EmbeddedSlot, Instruction, Programs, Variants}};"
        )?;
        writeln!(f, "    /// The policy and its programs.")?;
        writeln!(f, "    pub static POLICY: Embedded = Embedded {{")?;
        writeln!(f, "        role: {:?},", policy.role)?;
        writeln!(f, "        sources: &{sources:?},")?;
        writeln!(f, "        programs: {},", ProgramsExpression(compiled))?;
        writeln!(f, "        slots: &[")?;
        for Slot { name, first, last, reason } in &policy.slots {
            writeln!(
                f,
                "            EmbeddedSlot \
                 {{ name: {name:?}, first: {first}, last: {last}, reason: {reason:?} }},"
            )?;
        }
        writeln!(f, "        ],")?;
        writeln!(f, "        calls: &{:?},", self.0.allowed_calls().into_iter().collect::<Vec<_>>())?;
        writeln!(f, "    }};")?;
        writeln!(f, "    /// The role's descriptor slots.")?;
        writeln!(f, "    pub mod slot {{")?;
        policy.slots.iter().try_for_each(|slot| write_slot(f, slot))?;
        writeln!(f, "    }}")?;
        writeln!(f, "}}")
    }
}

fn write_slot(f: &mut Formatter<'_>, slot: &Slot) -> fmt::Result {
    let name = identifier(&slot.name).to_uppercase();
    let Slot { first, last, .. } = slot;
    writeln!(f, "        #[doc = {:?}]", slot.reason)?;
    if first == last {
        writeln!(f, "        pub const {name}: ::std::os::fd::RawFd = {first};")
    } else {
        let range = "::std::ops::RangeInclusive<::std::os::fd::RawFd>";
        writeln!(f, "        pub const {name}: {range} = {first}..={last};")
    }
}

struct ProgramsExpression<'a>(&'a Compiled);

impl Display for ProgramsExpression<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("Programs::")?;
        match self.0 {
            Compiled::Strict => f.write_str("Strict"),
            Compiled::Bitmask(bitmask) => write!(f, "Bitmask({})", VariantsExpression(bitmask)),
            Compiled::Filter { filter, bitmask } => {
                let (filter, bitmask) = (VariantsExpression(filter), VariantsExpression(bitmask));
                write!(f, "Filter {{ filter: {filter}, bitmask: {bitmask} }}")
            }
        }
    }
}

struct VariantsExpression<'a>(&'a ByViolation);

impl Display for VariantsExpression<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let [trap, kill, errno, log] = self.0;
        f.write_str("Variants {\n")?;
        for (name, program) in [("trap", trap), ("kill", kill), ("errno", errno), ("log", log)] {
            writeln!(f, "            {name}: &[")?;
            write_instructions(f, program)?;
            writeln!(f, "            ],")?;
        }
        f.write_str("        }")
    }
}

fn write_instructions(f: &mut Formatter<'_>, program: &Program) -> fmt::Result {
    program.instructions().iter().try_for_each(|instruction| {
        let crate::bpf::Instruction { code, jt, jf, k } = instruction;
        writeln!(
            f,
            "                Instruction \
             {{ code: {code:#04x}, jt: {jt}, jf: {jf}, k: {k:#x} }},"
        )
    })
}
