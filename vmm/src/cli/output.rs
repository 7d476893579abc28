//! Where the commands' words go: results to standard output, findings to standard error.

use std::env;
use std::fs::{self, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};
use seccomp_policies::language::{Diagnostics, Severity};
use serde::Serialize;

/// Why a result is not where it was to go.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be written. What was there before is still there.
    #[error("cannot write {}: {source}; what was there is unchanged", path.display())]
    Write {
        /// The path given.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Standard output takes nothing.
    #[error("cannot write to standard output: {0}")]
    Output(#[source] io::Error),
}

/// Writes a result. A reader that has seen enough is no error.
pub(super) fn print(bytes: &[u8]) -> Result<(), Error> {
    let mut output = io::stdout().lock();
    match output.write_all(bytes).and_then(|()| output.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Error::Output(error)),
        _ => Ok(()),
    }
}

/// Writes a result to standard output, or as a file's new contents.
pub(super) fn deliver(path: Option<&Path>, bytes: &[u8]) -> Result<(), Error> {
    path.map_or_else(|| print(bytes), |path| replace(path, bytes))
}

/// Writes a result for programs.
pub(super) fn json(value: &impl Serialize) -> Result<(), Error> {
    print(json_text(value).as_bytes())
}

/// A result for programs that says which one it is, and the version of its shape unless the value does.
#[derive(Serialize)]
pub(super) struct Reported<'a, T: Serialize> {
    report: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    schema: Option<u32>,
    #[serde(flatten)]
    content: &'a T,
}

impl<'a, T: Serialize> Reported<'a, T> {
    /// Of a value that says its version itself.
    pub(super) fn named(report: &'static str, content: &'a T) -> Self {
        Self { report, schema: None, content }
    }

    /// Of a value of this version.
    pub(super) fn versioned(report: &'static str, schema: u32, content: &'a T) -> Self {
        Self { report, schema: Some(schema), content }
    }
}

/// A result for programs.
pub(super) fn json_text(value: &impl Serialize) -> String {
    let mut text = serde_json::to_string_pretty(value).expect("plain data");
    text.push('\n');
    text
}

/// Shows findings, in colour on a terminal unless `NO_COLOR` is set.
pub(super) fn show(findings: &Diagnostics) {
    say(&findings.render(has_colour(&io::stderr())));
}

/// Shows the warnings among notes: what of a file was lost.
pub(super) fn show_losses(notes: &Diagnostics) {
    let losses = notes.only(Severity::Warning);
    if !losses.is_empty() {
        show(&losses);
    }
}

/// Writes findings that are the result.
pub(super) fn print_findings(findings: &Diagnostics) -> Result<(), Error> {
    print(findings.render(has_colour(&io::stdout())).as_bytes())
}

fn has_colour(output: &impl IsTerminal) -> bool {
    output.is_terminal() && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Writes words for a person. Standard error may be closed, and nothing else could be told that.
pub(super) fn say(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// Replaces a file's contents as one step, so that a reader or a crash finds the old text or the new one. Its
/// permissions stay, and a symbolic link stays one.
pub(super) fn replace(path: &Path, contents: &[u8]) -> Result<(), Error> {
    write_beside_and_rename(path, contents).map_err(|source| Error::Write { path: path.to_owned(), source })
}

/// Finds out whether a result can be written here, before something is done that could not be done again for it.
pub(super) fn ensure_writable(path: &Path) -> Result<(), Error> {
    let ensure = || {
        let target = resolved(path)?;
        if is_replaceable(&target) {
            let beside = beside(&target);
            write_new(&beside, &[])?;
            fs::remove_file(&beside)
        } else if target.is_dir() {
            Err(io::ErrorKind::IsADirectory.into())
        } else {
            // To open a pipe would be to wait for its reader.
            Ok(access(&target, Access::WRITE_OK)?)
        }
    };
    ensure().map_err(|source| Error::Write { path: path.to_owned(), source })
}

/// What a path leads to, be it there or not.
fn resolved(path: &Path) -> io::Result<PathBuf> {
    match fs::canonicalize(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(path.to_owned()),
        resolved => resolved,
    }
}

/// A device or a pipe cannot be replaced by a file, and is not meant to be.
fn is_replaceable(target: &Path) -> bool {
    fs::metadata(target).map_or(true, |metadata| metadata.is_file())
}

fn write_beside_and_rename(path: &Path, contents: &[u8]) -> io::Result<()> {
    let target = resolved(path)?;
    if !is_replaceable(&target) {
        return OpenOptions::new().write(true).open(&target)?.write_all(contents);
    }
    let beside = beside(&target);
    let outcome = write_new(&beside, contents)
        .and_then(|()| match fs::metadata(&target) {
            Ok(metadata) => fs::set_permissions(&beside, metadata.permissions()),
            Err(_) => Ok(()),
        })
        .and_then(|()| fs::rename(&beside, &target));
    if outcome.is_err() {
        // The first error is the one to tell; this file may not even exist.
        let _ = fs::remove_file(&beside);
    }
    outcome
}

/// A name in the same folder, so that a rename stays within one file system.
fn beside(target: &Path) -> PathBuf {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    target.with_file_name(format!(".{name}.{}.new", std::process::id()))
}

fn write_new(path: &Path, contents: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(contents)?;
    file.sync_all()
}
