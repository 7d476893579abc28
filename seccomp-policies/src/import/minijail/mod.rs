//! Policies of minijail and crosvm.
//!
//! Two programs read this language and differ. The compiler (`tools/compile_seccomp_policy.py`), which crosvm's build
//! uses, joins several lines for a call in their order, includes up to ten levels deep and knows `{ }`, `@default` and
//! every action. The C library (`syscall_filter.c`), which `minijail0 -S` uses, refuses a second line for a call, includes
//! one level deep and knows of actions `return` alone. What both take means the same in both, with one exception, which is an
//! error here until a [`Dialect`] is chosen.

mod check;
mod condition;
mod constants;
mod frequency;
mod lexer;
mod load;
mod parser;
mod syntax;
mod value;

use std::path::Path;

use super::input::{self, Input};
use super::{Findings, Format, Imported, Options, role_of};
use crate::language::{Diagnostic, Diagnostics, Roots};
use constants::Names;

/// Which of minijail's two readers a policy is for: `EXPRESSION; return N` means opposite things to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// The compiler: the call fails with the error where the expression holds.
    Compiler,
    /// The C library: the call fails with the error where the expression does not hold.
    Library,
}

/// Reads a policy and what it includes.
pub(crate) fn read(input: &Input, options: &Options) -> Result<Imported, Diagnostics> {
    let names = names(options)?;
    let policy = input.source()?;
    let path = input.folder.and_then(|folder| Some(folder.join(Path::new(input.name).file_name()?)));
    let roots = Roots::new(input.folder, &options.roots);
    let loaded = load::load(policy, path.as_deref(), &roots, &names);
    let sources = loaded.sources.clone();
    let mut findings = Findings::new(options.lossy);
    if let Some((source, span)) = loaded.frequency.clone() {
        findings.note(counts_are_not_kept(source, span, loaded.counts.len()));
    }
    let draft = check::check(loaded, &names, options.dialect, &mut findings);
    let role = options.role.clone().unwrap_or_else(|| role_of(input.name));
    draft.finish(Format::Minijail, role, options, sources, findings)
}

/// The constants that the policy may name.
fn names(options: &Options) -> Result<Names, Diagnostics> {
    let Some(path) = &options.constants else { return Ok(Names::new(options.target())) };
    let bytes = input::read(path)?;
    let shown = path.display().to_string();
    let text = Input { name: &shown, bytes: &bytes, folder: None }.source()?;
    let names = Names::with_file(options.target(), &text.text, 0);
    names.map_err(|error| Diagnostics::new(vec![error], vec![text]))
}

fn counts_are_not_kept(source: usize, span: std::ops::Range<usize>, calls: usize) -> Diagnostic {
    let title = format!("the counts of {calls} calls are not part of the policy");
    Diagnostic::error(title, source, span, "measured counts")
        .help("they say how often a call is made, not whether it may be")
}
