//! What the questions are asked of: policies of any format, and texts that other tools wrote.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use seccomp_policies::import::{self, Format, Imported, KernelVersion, Options};
use seccomp_policies::language::Policy;
use seccomp_policies::profile::Profile;
use seccomp_policies::syscalls::Arch;

use super::{Error, output, target_parser};

/// How files are read that may be of other programs.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Reading policies")]
pub(super) struct Reading {
    /// The architecture that policies are for
    #[arg(long, value_name = "ARCH", default_value = "x86_64", value_parser = target_parser())]
    pub(super) target: Arch,
    /// What a policy file is, where its name and first lines do not say
    #[arg(long, value_name = "FORMAT", value_parser = format_parser())]
    from: Option<Format>,
    /// Of a file with several threads, the one that is meant
    #[arg(long, value_name = "NAME")]
    role: Option<String>,
    /// Take what cannot be expressed as lost, with a warning for each, instead of refusing the file
    #[arg(long)]
    lossy: bool,
    /// A folder that included minijail files may be in; may be given several times
    #[arg(long, value_name = "DIR")]
    root: Vec<PathBuf>,
    /// A capability that the process has, for OCI profiles; may be given several times
    #[arg(long, value_name = "CAP_NAME", value_parser = capability)]
    cap: Vec<String>,
    /// The kernel that an OCI profile is for [default: newer than any that it asks for]
    #[arg(long, value_name = "VERSION")]
    kernel: Option<KernelVersion>,
}

impl Reading {
    /// Reads a file of one policy. What is wrong with it is shown.
    pub(super) fn policy(&self, path: &Path) -> Result<Policy, Error> {
        let mut policies = self.file(path)?.policies;
        if policies.len() > 1 {
            let roles = policies.into_iter().map(|policy| policy.role).collect();
            return Err(Error::SeveralRoles { path: path.to_owned(), roles });
        }
        policies.pop().ok_or_else(|| Error::Refused { path: path.to_owned() })
    }

    /// Reads a file. What is wrong with it, and what of it was lost, is shown.
    pub(super) fn file(&self, path: &Path) -> Result<Imported, Error> {
        let read = import::read(path, self.from, &self.options());
        let imported = read.map_err(|findings| {
            output::show(&findings);
            Error::Refused { path: path.to_owned() }
        })?;
        output::show_losses(&imported.notes);
        Ok(imported)
    }

    fn options(&self) -> Options {
        Options {
            arch: Some(self.target),
            capabilities: self.cap.clone(),
            kernel: self.kernel,
            roots: self.root.clone(),
            role: self.role.clone(),
            lossy: self.lossy,
            ..Options::default()
        }
    }
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
    let bytes = if path == Path::new("-") { standard_input() } else { fs::read(path) };
    let bytes = bytes.map_err(|source| Error::ReadTrace { path: path.to_owned(), source })?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn standard_input() -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    io::stdin().lock().read_to_end(&mut bytes)?;
    Ok(bytes)
}
