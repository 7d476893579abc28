//! The policy language: text in, a checked policy out.
//!
//! The reference with all rules and messages is `docs/policy-language.md`.

pub(crate) mod check;
mod diagnostics;
mod format;
mod lexer;
mod limits;
mod lines;
mod load;
mod parser;
mod policy;
mod print;
mod refusal;
pub(crate) mod suggest;
mod syntax;
mod write;

use std::path::Path;

pub use check::Checked;
pub(crate) use check::{PlacedRule, undecided_rules};
pub use diagnostics::{Diagnostic, Diagnostics, Label, Severity, Source};
pub(crate) use diagnostics::{LineStarts, SHOWN};
pub use format::format;
pub(crate) use limits::{CallRules, Limits, MAX_BYTES, MAX_FINDINGS};
pub use policy::{Condition, Policy, Relation, Rule, Slot, Test, Tier, Width};
pub use refusal::Refusal;
pub(crate) use suggest::closest;
pub(crate) use write::{one_line, verdict};
pub use write::{write, write_condition};

use crate::syscalls::Arch;

/// Reads and checks a policy file and everything that it includes.
///
/// # Errors
/// Everything that is wrong with the text, and files that cannot be read.
pub fn load(path: &Path, arch: Arch) -> Result<Checked, Diagnostics> {
    let (files, name) = place(path);
    check::check(load::load(&name, &files), arch)
}

/// The same, of a file whose text has been read.
pub(crate) fn load_text(path: &Path, text: &str, arch: Arch) -> Result<Checked, Diagnostics> {
    let (files, name) = place(path);
    check::check(load::load(&name, &load::Opened { files, name: &name, text }), arch)
}

/// The folder of a policy, and its name there.
fn place(path: &Path) -> (load::Files, String) {
    let folder = path.parent().unwrap_or(Path::new("")).to_owned();
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    (load::Files { folder }, name)
}

/// Checks a policy from memory: `sources` holds the text of `root` and of every file that it includes, by the names
/// that [`Checked::sources`] gives. Nothing is read from disk; a profile that is not among them is left out.
///
/// # Errors
/// Everything that is wrong with the texts.
pub fn check_sources(root: &str, sources: &[(&str, &str)], arch: Arch) -> Result<Checked, Diagnostics> {
    check::check(load::load(root, &load::Memory { sources }), arch)
}
