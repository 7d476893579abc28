//! Rust source for proved policies.

use std::fmt::{self, Display, Formatter};

use super::name::{self, Nameless};
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
/// The file that includes it needs the crates `std` and `seccomp_policies`. A role that is named as a keyword, like
/// `loop`, has the module `r#loop`.
///
/// # Errors
/// [`Nameless`] for roles and slots whose names cannot stand in Rust, or not beside each other.
pub fn generate(policies: &[Proved]) -> Result<String, Nameless> {
    let modules = name::modules(policies)?;
    let all: Vec<_> = modules.iter().map(|(module, _)| format!("&{module}::POLICY")).collect();
    let all = format!(
        "/// Every embedded policy.\n{ALLOW}\npub static ALL: &[&::seccomp_policies::embed::Embedded] = &[{}];\n",
        all.join(", ")
    );
    let modules = modules.into_iter().map(|(module, proved)| {
        let slots = name::constants(&proved.policy)?;
        Ok(RoleModule { module, proved, slots }.to_string())
    });
    modules.chain([Ok(all)]).collect()
}

/// A role's policy and its names in Rust.
struct RoleModule<'a> {
    module: String,
    proved: &'a Proved,
    slots: Vec<(String, &'a Slot)>,
}

impl Display for RoleModule<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Proved { policy, sources, compiled } = self.proved;
        writeln!(f, "#[doc = {:?}]", format!("The policy of role `{}`.", policy.role))?;
        writeln!(f, "{ALLOW}")?;
        writeln!(f, "pub mod {} {{", self.module)?;
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
        writeln!(f, "        calls: &{:?},", self.proved.allowed_calls().into_iter().collect::<Vec<_>>())?;
        writeln!(f, "    }};")?;
        writeln!(f, "    /// The role's descriptor slots.")?;
        writeln!(f, "    pub mod slot {{")?;
        self.slots.iter().try_for_each(|(name, slot)| write_slot(f, name, slot))?;
        writeln!(f, "    }}")?;
        writeln!(f, "}}")
    }
}

fn write_slot(f: &mut Formatter<'_>, name: &str, slot: &Slot) -> fmt::Result {
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
        let [as_written, trap, kill, errno, log] = self.0;
        let chosen = [("TRAP", trap), ("KILL", kill), ("ERRNO", errno), ("LOG", log)];
        f.write_str("{\n")?;
        chosen.iter().try_for_each(|(name, program)| write_program(f, name, program))?;
        // Most policies say what is one of the choices anyway; that program is not embedded twice.
        let as_written = if let Some((name, _)) = chosen.iter().find(|(_, program)| *program == as_written) {
            name
        } else {
            write_program(f, "AS_WRITTEN", as_written)?;
            "AS_WRITTEN"
        };
        writeln!(
            f,
            "            Variants {{ as_written: {as_written}, trap: TRAP, kill: KILL, errno: ERRNO, log: LOG }}"
        )?;
        f.write_str("        }")
    }
}

fn write_program(f: &mut Formatter<'_>, name: &str, program: &Program) -> fmt::Result {
    writeln!(f, "            const {name}: &[Instruction] = &[")?;
    program.instructions().iter().try_for_each(|instruction| {
        let crate::bpf::Instruction { code, jt, jf, k } = instruction;
        writeln!(
            f,
            "                Instruction \
             {{ code: {code:#04x}, jt: {jt}, jf: {jf}, k: {k:#x} }},"
        )
    })?;
    writeln!(f, "            ];")
}
