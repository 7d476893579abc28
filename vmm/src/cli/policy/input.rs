//! What the commands read: policies of any format, and texts that other tools wrote.

use std::fs;
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use seccomp_policies::import::{self, Format, Imported, Options, raw};
use seccomp_policies::language::{Diagnostics, Policy};
use seccomp_policies::profile::Profile;
use seccomp_policies::syscalls::Arch;

use super::{Error, target_parser};
use crate::cli::{output, reading};

/// How files are read that may be of other programs: the same for every command.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Reading policies")]
pub(super) struct Reading {
    /// The architecture that policies are for [default: 64-bit x86]
    #[arg(long, visible_alias = "arch", value_name = "ARCH", value_parser = target_parser())]
    target: Option<Arch>,
    /// Of a file with several threads, the one that is meant; else the role's name
    #[arg(long, value_name = "NAME")]
    role: Option<String>,
    #[command(flatten)]
    files: reading::Reading,
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
            return Ok(import::read(path, self.files.from, options));
        }
        let bytes = policy_from_standard_input()?;
        Ok(import::read_bytes(STANDARD_INPUT, &bytes, self.files.from, options))
    }

    /// Reads a program as the table of what it decides, or says what is wrong. Nothing is shown.
    ///
    /// # Errors
    /// [`Error::NoTable`] for another format, [`Error::Read`] where standard input cannot be read.
    pub(super) fn table(&self, path: &Path) -> Result<Result<raw::Table, Diagnostics>, Error> {
        if let Some(format) = self.files.from.filter(|format| *format != Format::Raw) {
            return Err(Error::NoTable { format });
        }
        if !is_standard_input(path) {
            return Ok(raw::read_table(path, &self.options()));
        }
        let bytes = policy_from_standard_input()?;
        Ok(raw::table(STANDARD_INPUT, &bytes, &self.options()))
    }

    fn options(&self) -> Options {
        self.files.options(self.target, self.role.clone())
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
