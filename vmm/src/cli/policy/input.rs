//! What the commands read: policies of any format, and texts that other tools wrote.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use seccomp_policies::import::{self, Dialect, Format, Imported, KernelVersion, Options, raw};
use seccomp_policies::language::{Diagnostics, Policy};
use seccomp_policies::profile::Profile;
use seccomp_policies::syscalls::Arch;

use super::{Error, target_parser};
use crate::cli::output;

/// How files are read that may be of other programs: the same for every command.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Reading policies")]
pub(super) struct Reading {
    /// The architecture that policies are for [default: 64-bit x86]
    #[arg(long, visible_alias = "arch", value_name = "ARCH", value_parser = target_parser())]
    target: Option<Arch>,
    /// What a policy file is [default: what its name and first lines say]
    #[arg(long, value_name = "FORMAT", value_parser = format_parser())]
    from: Option<Format>,
    /// Of a file with several threads, the one that is meant; else the role's name
    #[arg(long, value_name = "NAME")]
    role: Option<String>,
    /// Take what cannot be expressed as lost, with a warning for each, instead of refusing the file
    #[arg(long)]
    lossy: bool,
    /// Compare only the bits of an argument that the kernel reads, where a file compares 64
    #[arg(long)]
    kernel_widths: bool,
    /// A capability that the process has, for OCI profiles; may be given several times
    #[arg(long, value_name = "CAP_NAME", value_parser = capability)]
    cap: Vec<String>,
    /// The kernel that an OCI profile is for [default: newer than any that it asks for]
    #[arg(long, value_name = "VERSION")]
    kernel: Option<KernelVersion>,
    /// A folder that files named by policies may be in; may be given several times
    #[arg(long, value_name = "DIR")]
    root: Vec<PathBuf>,
    /// A constants.json with names that minijail's policies may use besides those of the headers
    #[arg(long, value_name = "FILE")]
    constants: Option<PathBuf>,
    /// Which of minijail's two readers a policy is for, where they differ
    #[arg(long, value_name = "READER", value_enum)]
    dialect: Option<Reader>,
}

/// minijail's readers.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Reader {
    /// The compiler, which crosvm's build uses
    Compiler,
    /// The C library, which minijail0 -S uses
    Library,
}

impl From<Reader> for Dialect {
    fn from(reader: Reader) -> Self {
        match reader {
            Reader::Compiler => Self::Compiler,
            Reader::Library => Self::Library,
        }
    }
}

impl Reading {
    /// The architecture that policies are for.
    pub(super) fn target(&self) -> Arch {
        self.target.unwrap_or(Arch::X86_64)
    }

    /// Reads a file of one policy that is asked about. What is wrong with it is shown.
    pub(super) fn policy(&self, path: &Path) -> Result<Policy, Error> {
        one(path, self.file(path)?.policies)
    }

    /// Reads a file that is asked about. What is wrong with it, and what of it was lost, is shown.
    ///
    /// A question is about one architecture, so that what the file is for besides is nothing lost.
    pub(super) fn file(&self, path: &Path) -> Result<Imported, Error> {
        let options = Options { arch: Some(self.target()), ..self.options() };
        let imported = self.read_with(path, &options)?.map_err(|findings| {
            output::show(&findings);
            Error::Refused { path: path.to_owned() }
        })?;
        output::show_losses(&imported.notes);
        Ok(imported)
    }

    /// Reads a file that a policy or a program is made of: the policies, or what is wrong. Nothing is shown.
    ///
    /// # Errors
    /// [`Error::Read`] where standard input cannot be read.
    pub(super) fn read(&self, path: &Path) -> Result<Result<Imported, Diagnostics>, Error> {
        self.read_with(path, &self.options())
    }

    fn read_with(&self, path: &Path, options: &Options) -> Result<Result<Imported, Diagnostics>, Error> {
        if !is_standard_input(path) {
            return Ok(import::read(path, self.from, options));
        }
        let bytes = policy_from_standard_input()?;
        Ok(import::read_bytes(STANDARD_INPUT, &bytes, self.from, options))
    }

    /// Reads a program as the table of what it decides, or says what is wrong. Nothing is shown.
    ///
    /// # Errors
    /// [`Error::NoTable`] for another format, [`Error::Read`] where standard input cannot be read.
    pub(super) fn table(&self, path: &Path) -> Result<Result<raw::Table, Diagnostics>, Error> {
        if let Some(format) = self.from.filter(|format| *format != Format::Raw) {
            return Err(Error::NoTable { format });
        }
        if !is_standard_input(path) {
            return Ok(raw::read_table(path, &self.options()));
        }
        let bytes = policy_from_standard_input()?;
        Ok(raw::table(STANDARD_INPUT, &bytes, &self.options()))
    }

    fn options(&self) -> Options {
        Options {
            arch: self.target,
            capabilities: self.cap.clone(),
            kernel: self.kernel,
            constants: self.constants.clone(),
            dialect: self.dialect.map(Dialect::from),
            roots: self.root.clone(),
            role: self.role.clone(),
            lossy: self.lossy,
            kernel_widths: self.kernel_widths,
        }
    }
}

/// The one policy of a file.
///
/// # Errors
/// [`Error::SeveralRoles`], where there are several to choose from.
pub(super) fn one(path: &Path, mut policies: Vec<Policy>) -> Result<Policy, Error> {
    if policies.len() > 1 {
        let roles = policies.into_iter().map(|policy| policy.role).collect();
        return Err(Error::SeveralRoles { path: path.to_owned(), roles });
    }
    policies.pop().ok_or_else(|| Error::Refused { path: path.to_owned() })
}

/// Reads the name of a format.
pub(super) fn format_parser() -> impl TypedValueParser<Value = Format> {
    PossibleValuesParser::new(Format::ALL.map(Format::name))
        .map(|name| Format::from_name(&name).expect("the parser lets no other name through"))
}

/// The name of a capability, with `CAP_` before it or not, in any case.
#[expect(clippy::unnecessary_wraps, reason = "the form of clap's parsers")]
pub(super) fn capability(text: &str) -> Result<String, String> {
    let name = text.to_uppercase();
    Ok(if name.starts_with("CAP_") { name } else { format!("CAP_{name}") })
}

/// Reads a profile. What is wrong with it is shown.
pub(super) fn profile(path: &Path) -> Result<Profile, Error> {
    Profile::load(path).map_err(|findings| {
        output::show(&findings);
        Error::Profile { path: path.to_owned() }
    })
}

/// Reads what another tool wrote; `-` is standard input. Bytes that are no UTF-8 are replaced, since `strace` shows
/// names of files as they are.
pub(super) fn trace(path: &Path) -> Result<String, Error> {
    let bytes = if is_standard_input(path) { standard_input(u64::MAX) } else { fs::read(path) };
    let bytes = bytes.map_err(|source| Error::ReadTrace { path: path.to_owned(), source })?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// What findings call standard input.
const STANDARD_INPUT: &str = "standard input";

/// Bytes that are read of a policy: one more than it may have, so that one that is too large is known as such.
pub(super) const MOST: u64 = import::MAX_BYTES as u64 + 1;

/// Whether a path stands for standard input.
pub(super) fn is_standard_input(path: &Path) -> bool {
    path == Path::new("-")
}

/// A file's name as findings have it.
pub(super) fn shown(path: &Path) -> String {
    if is_standard_input(path) { STANDARD_INPUT.to_owned() } else { path.display().to_string() }
}

fn policy_from_standard_input() -> Result<Vec<u8>, Error> {
    standard_input(MOST).map_err(|source| Error::Read { path: STANDARD_INPUT.into(), source })
}

/// At most so many bytes of standard input. It ends but once: who reads it again would find nothing in it.
pub(super) fn standard_input(limit: u64) -> io::Result<Vec<u8>> {
    static WAS_READ: AtomicBool = AtomicBool::new(false);
    if WAS_READ.swap(true, Ordering::Relaxed) {
        return Err(io::Error::other("it can be read once, and was"));
    }
    let mut bytes = Vec::new();
    io::stdin().lock().take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}
