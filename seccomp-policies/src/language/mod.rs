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
pub(crate) mod roots;
pub(crate) mod suggest;
mod syntax;
mod write;

use std::path::{Path, PathBuf};

pub use check::Checked;
pub(crate) use check::{PlacedRule, undecided_rules};
pub use diagnostics::{Diagnostic, Diagnostics, Label, Severity, Source};
pub(crate) use diagnostics::{LineStarts, SHOWN};
pub use format::format;
pub(crate) use limits::{CallRules, Limits, MAX_BYTES, MAX_FINDINGS};
pub use policy::{Condition, Policy, Relation, Rule, Slot, Test, Tier, Width};
pub use refusal::Refusal;
pub(crate) use roots::Roots;
pub(crate) use suggest::closest;
pub(crate) use syntax::{Comparator, Name, Span};
pub(crate) use write::{one_line, verdict};
pub use write::{write, write_condition};

use crate::syscalls::Arch;

/// Reads and checks a policy file and everything that it includes. What it names lies in its folder or below: nothing
/// else is read, links followed.
///
/// # Errors
/// Everything that is wrong with the text, and files that cannot be read.
pub fn load(path: &Path, arch: Arch) -> Result<Checked, Diagnostics> {
    load_under(&[], path, arch)
}

/// As [`load`], for a policy that may name files below these folders as well.
///
/// # Errors
/// Everything that is wrong with the text, and files that cannot be read.
pub fn load_under(roots: &[PathBuf], path: &Path, arch: Arch) -> Result<Checked, Diagnostics> {
    check::check(load::load(&load::file_name(path), &load::Files::of(path, roots)), arch)
}

/// As [`load_under`], of a policy whose text has been read.
pub(crate) fn load_text(
    roots: &[PathBuf],
    path: &Path,
    text: &str,
    arch: Arch,
) -> Result<Checked, Diagnostics> {
    let files = load::Files::of(path, roots);
    check::check(load::load(&load::file_name(path), &load::Opened { files, text }), arch)
}

/// Checks a policy from memory: `sources` holds the text of `root` and of every file that it includes, by the names
/// that [`Checked::sources`] gives. Nothing is read from disk; a profile that is not among them is left out.
///
/// # Errors
/// Everything that is wrong with the texts.
pub fn check_sources(root: &str, sources: &[(&str, &str)], arch: Arch) -> Result<Checked, Diagnostics> {
    check::check(load::load(root, &load::Memory { sources }), arch)
}
