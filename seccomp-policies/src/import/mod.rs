//! Policies of other programs as policies of this language.
//!
//! What a format can say and this language cannot is an error that names it, or, where losses are taken, a warning
//! for each. `docs/importing.md` has what each format comes to.

mod action;
mod draft;
mod findings;
mod firecracker;
mod format;
mod input;
mod json;
mod libseccomp;
mod limits;
mod lxc;
mod minijail;
mod oci;
mod options;
pub mod raw;

pub use format::Format;
pub use minijail::Dialect;
pub use options::{KernelVersion, Options};

use std::path::Path;

use crate::language::{self, Checked, Diagnostic, Diagnostics, Policy};
use crate::profile::Profile;
use findings::Findings;
use input::Input;

/// The largest file that is read: more than ten times any policy known.
pub const MAX_BYTES: usize = language::MAX_BYTES;

/// What a file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// What the file was read as.
    pub format: Format,
    /// The policies: one, or for Firecracker one for each thread, in the order of the file.
    pub policies: Vec<Policy>,
    /// Counts of calls that the file names; only our own language has them.
    pub profile: Option<Profile>,
    /// What there is to know about them: notes, and a warning for each thing that was lost.
    pub notes: Diagnostics,
}

/// Reads a file of any format; `format` says which it is, or the name and the first lines do.
///
/// # Errors
/// Everything that is wrong with the text, what the language cannot express unless losses are taken, and files that
/// cannot be read.
pub fn read(path: &Path, format: Option<Format>, options: &Options) -> Result<Imported, Diagnostics> {
    let bytes = input::read(path)?;
    let shown = path.display().to_string();
    let format = known(format, &shown, &bytes)?;
    let input = Input { name: &shown, bytes: &bytes, folder: path.parent() };
    if format == Format::Ringfence {
        return ringfence(language::load_text(&options.roots, path, input.text()?, options.target()));
    }
    dispatch(&input, format, options)
}

/// The same from memory. Nothing is read from disk: a file that includes others is an error that says so, and that a
/// profile was left out is a warning.
///
/// # Errors
/// As for [`read`].
pub fn read_bytes(
    name: &str,
    bytes: &[u8],
    format: Option<Format>,
    options: &Options,
) -> Result<Imported, Diagnostics> {
    let format = known(format, name, bytes)?;
    let input = Input { name, bytes, folder: None };
    if format == Format::Ringfence {
        let text = input.text()?;
        return ringfence(language::check_sources(name, &[(name, text)], options.target()));
    }
    dispatch(&input, format, options)
}

/// The format that was given, or the one that a file seems to have. Nothing is taken for nobody's.
fn known(format: Option<Format>, name: &str, bytes: &[u8]) -> Result<Format, Diagnostics> {
    match format {
        Some(format) => Ok(format),
        None if Format::is_nothing(bytes) => {
            Err(findings::unreadable(format!("there is no policy in {name}")))
        }
        None => Ok(Format::detect(name, bytes)),
    }
}

fn ringfence(outcome: Result<Checked, Diagnostics>) -> Result<Imported, Diagnostics> {
    let checked = outcome?;
    let Checked { policy, profile, mut notes, frequency, .. } = checked;
    if let (Some(path), None) = (frequency, &profile) {
        let title = format!("the counts of {} are left out", path.display());
        let help = "a text that is in no file names none: give the policy as a file";
        notes.add(Diagnostic::unplaced(title).help(help).into_warning());
    }
    Ok(Imported { format: Format::Ringfence, policies: vec![policy], profile, notes })
}

fn dispatch(input: &Input, format: Format, options: &Options) -> Result<Imported, Diagnostics> {
    if input.bytes.len() > MAX_BYTES {
        return Err(input::too_large(input.name));
    }
    match format {
        Format::Ringfence => unreachable!("read by the language itself"),
        Format::Firecracker => firecracker::read(input, options),
        Format::Oci => oci::read(input, options),
        Format::Minijail => minijail::read(input, options),
        Format::Lxc => lxc::read(input, options),
        Format::Raw => raw::read(input, options),
    }
}

/// A role's name from a file's: its stem, as far as the language takes it.
fn role_of(name: &str) -> String {
    let stem = Path::new(name).file_stem().map(|stem| stem.to_string_lossy()).unwrap_or_default();
    word(&stem)
}

/// Text as a word of the language, which has letters, digits and `_` and begins with no digit.
fn word(text: &str) -> String {
    let kept = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let word: String = text.chars().map(kept).collect();
    if word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
        word
    } else {
        format!("role_{word}")
    }
}
