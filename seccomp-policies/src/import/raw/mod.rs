//! Programs: `struct sock_filter`, as bytes of either order and as the listings of other tools.
//!
//! A program is read as what it decides ([`Decisions`]), not as the instructions that it has: whatever compiler made
//! it, each call gets the condition under which the program gives each answer. Where that is not a policy, the
//! [`Table`] of its decisions says what it does.

mod bytes;
mod decompile;
mod program;
mod table;
mod text;

pub use table::{Row, Table};

use std::path::Path;

use program::Program;

use super::input::{self, Input};
use super::{Findings, Format, Imported, MAX_BYTES, Options, role_of};
use crate::bpf::Instruction;
use crate::language::{Diagnostics, Policy};
use crate::prove::{Decisions, Error, Space};

/// How many different answers a program may give. A program that returns what it has computed can give one for every
/// error number and every word for a tracer, and each is looked for in the arguments of each call.
const MAX_ANSWERS: usize = 256;

/// Reads a program and decompiles it.
pub(crate) fn read(input: &Input, options: &Options) -> Result<Imported, Diagnostics> {
    let mut findings = Findings::new(options.lossy);
    match decided(input, options, &mut findings) {
        Ok((program, decisions)) => decompiled(program, &decisions, options, findings),
        Err(source) => findings.finish(Format::Raw, Vec::new(), vec![source]),
    }
}

/// The policy that programs come to together, as the kernel asks them: `programs` in the order in which they were
/// installed. `name` is what findings call them.
///
/// # Errors
/// As for a file of one program; with no program at all there is nothing to read.
pub fn stack(name: &str, programs: &[Vec<Instruction>], options: &Options) -> Result<Imported, Diagnostics> {
    let mut findings = Findings::new(options.lossy);
    let mut decisions = Vec::new();
    let mut latest = None;
    for instructions in programs {
        let program = Program::of(name, instructions, options.target());
        match decisions_of(program, &mut findings) {
            Ok((program, decided)) => {
                decisions.push(decided);
                latest = Some(program);
            }
            Err(source) => return findings.finish(Format::Raw, Vec::new(), vec![source]),
        }
    }
    match latest {
        Some(program) => decompiled(program, &Decisions::combine(&decisions), options, findings),
        None => Err(super::findings::unreadable(format!("{name} has no program"))),
    }
}

fn decompiled(
    program: Program,
    decisions: &Decisions,
    options: &Options,
    mut findings: Findings,
) -> Result<Imported, Diagnostics> {
    let draft = decompile::draft(&program, decisions, options, &mut findings);
    let whole = options.kernel_widths.then(|| draft.clone());
    let role = options.role.clone().unwrap_or_else(|| role_of(program.name()));
    let sources = std::slice::from_ref(program.source());
    let policy = draft.policy(role.clone(), options, sources, &mut findings);
    if findings.is_exact() {
        // What was cut to the widths of the arguments is no longer what the program compares.
        let whole = whole.map(|draft| {
            let options = Options { kernel_widths: false, ..options.clone() };
            draft.policy(role, &options, sources, &mut Findings::new(false))
        });
        confirm(&program, decisions, whole.as_ref().unwrap_or(&policy), &mut findings);
    }
    findings.help_with_errors("a decision table says what the program does, where rules cannot");
    findings.finish(Format::Raw, vec![policy], vec![program.into_source()])
}

/// Reads a program as the table of what it decides.
///
/// # Errors
/// A file that cannot be read, bytes that are no program that the kernel would take, a program that is too complicated to
/// be described, and one of more than 256 answers.
pub fn read_table(path: &Path, options: &Options) -> Result<Table, Diagnostics> {
    table(&path.display().to_string(), &input::read(path)?, options)
}

/// The same from memory.
///
/// # Errors
/// As for [`read_table`].
pub fn table(name: &str, bytes: &[u8], options: &Options) -> Result<Table, Diagnostics> {
    if bytes.len() > MAX_BYTES {
        return Err(input::too_large(name));
    }
    let input = Input { name, bytes, folder: None };
    let mut findings = Findings::new(options.lossy);
    match decided(&input, options, &mut findings) {
        Ok((program, decisions)) => Ok(table::table(&program, &decisions, options.target())),
        Err(source) => Err(findings.finish(Format::Raw, Vec::new(), vec![source]).err().unwrap_or_default()),
    }
}

/// Reads a program's instructions as they stand, whatever they decide.
///
/// # Errors
/// A file that cannot be read, and bytes that are no program that the kernel would take.
pub fn instructions(path: &Path, options: &Options) -> Result<Vec<Instruction>, Diagnostics> {
    let (name, bytes) = (path.display().to_string(), input::read(path)?);
    let input = Input { name: &name, bytes: &bytes, folder: None };
    match Program::read(&input, options.target()) {
        Ok(program) => Ok(program.instructions().to_vec()),
        Err(refused) => {
            let (source, error) = *refused;
            let mut findings = Findings::new(false);
            findings.error(error);
            Err(findings.finish(Format::Raw, Vec::new(), vec![source]).err().unwrap_or_default())
        }
    }
}

/// A program and what it decides; where there is none, the text that the findings are about.
fn decided(
    input: &Input,
    options: &Options,
    findings: &mut Findings,
) -> Result<(Program, Decisions), crate::language::Source> {
    let program = Program::read(input, options.target()).map_err(|refused| {
        let (source, error) = *refused;
        findings.error(error);
        source
    })?;
    decisions_of(program, findings)
}

fn decisions_of(
    program: Program,
    findings: &mut Findings,
) -> Result<(Program, Decisions), crate::language::Source> {
    match Decisions::of_program(program.instructions()) {
        Ok(decisions) if decisions.iter().nth(MAX_ANSWERS).is_some() => {
            findings.error(program.too_many_answers(MAX_ANSWERS));
            Err(program.into_source())
        }
        Ok(decisions) => Ok((program, decisions)),
        Err(error) => {
            let at = match &error {
                Error::Invalid(invalid) => invalid.at,
                Error::TooComplicated { at } => *at,
            };
            findings.error(program.refused(at, &error));
            Err(program.into_source())
        }
    }
}

/// Proves that a policy decides of the calls of its architecture what the program does.
fn confirm(program: &Program, decisions: &Decisions, policy: &Policy, findings: &mut Findings) {
    let space = Space::new();
    let mut native = space.of_arch(policy.arch.audit_value());
    if let Some(numbers) = policy.beyond() {
        // These, and -1 above them, are nobody's rule; where the program answers them differently, that is noted.
        native = native.without(&space.in_numbers(&(*numbers.start()..=u32::MAX)));
    }
    let meant = Decisions::of_policy(policy);
    let differs = decisions.iter().find(|(answer, _)| {
        let of = |decisions: &Decisions| decisions.with_effect(*answer).intersection(&native);
        of(decisions) != of(&meant)
    });
    if let Some((answer, _)) = differs {
        findings.error(program.not_equal(answer));
    }
}
