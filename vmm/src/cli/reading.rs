//! How policy files of other programs are read: options of every command that takes a policy of any format.

use std::path::{Path, PathBuf};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use seccomp_policies::import::{self, Dialect, Format, KernelVersion, Options};
use seccomp_policies::language::Policy;
use seccomp_policies::syscalls::Arch;

use super::output;

/// What is said of files in other formats than ours. Files of ours are read alike whatever it is.
// Without a group of its name: options that hold these have that name too.
#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(next_help_heading = "Reading policies")]
pub(super) struct Reading {
    /// What a policy file is [default: what its name and first lines say]
    #[arg(long, value_name = "FORMAT", value_parser = format_parser())]
    pub(super) from: Option<Format>,
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
    /// The policies of a file, for 64-bit x86. What is wrong with it, and what of it was lost, is shown; nothing where it does
    /// not hold.
    pub(super) fn policies(&self, path: &Path, role: Option<String>) -> Option<Vec<Policy>> {
        match import::read(path, self.from, &self.options(Some(Arch::X86_64), role)) {
            Ok(imported) => {
                output::show_losses(&imported.notes);
                Some(imported.policies)
            }
            Err(findings) => {
                output::show(&findings);
                None
            }
        }
    }

    /// The importer's options. `arch`: the one that is asked about. `role`: of a file with several threads, the one
    /// that is meant.
    pub(super) fn options(&self, arch: Option<Arch>, role: Option<String>) -> Options {
        Options {
            arch,
            capabilities: self.cap.clone(),
            kernel: self.kernel,
            constants: self.constants.clone(),
            dialect: self.dialect.map(Dialect::from),
            roots: self.root.clone(),
            role,
            lossy: self.lossy,
            kernel_widths: self.kernel_widths,
        }
    }
}

/// A policy's file as the command line gives it with a name before it: `[NAME=]FILE[:ROLE]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    /// What stands before it.
    pub(super) name: Option<String>,
    /// The file.
    pub(super) path: PathBuf,
    /// Of a file with several threads, the one that is meant.
    pub(super) role: Option<String>,
}

impl Named {
    /// Takes the text apart. A file that is there by the whole of a part is that file.
    pub(super) fn of(text: &str) -> Self {
        let (name, file) = match text.split_once('=') {
            Some((name, file)) if !Path::new(text).exists() => (Some(name.to_owned()), file),
            _ => (None, text),
        };
        let (path, role) = match file.rsplit_once(':') {
            Some((path, role)) if !Path::new(file).exists() => (PathBuf::from(path), Some(role.to_owned())),
            _ => (PathBuf::from(file), None),
        };
        Self { name, path, role }
    }
}

/// Reads the name of a format.
fn format_parser() -> impl TypedValueParser<Value = Format> {
    PossibleValuesParser::new(Format::ALL.map(Format::name))
        .map(|name| Format::from_name(&name).expect("the parser lets no other name through"))
}

/// The name of a capability, with `CAP_` before it or not, in any case.
#[expect(clippy::unnecessary_wraps, reason = "the form of clap's parsers")]
fn capability(text: &str) -> Result<String, String> {
    let name = text.to_uppercase();
    Ok(if name.starts_with("CAP_") { name } else { format!("CAP_{name}") })
}
