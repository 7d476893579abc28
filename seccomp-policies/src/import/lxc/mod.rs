//! Seccomp profiles of LXC, versions 1 and 2.
//!
//! Read as LXC reads them (`src/lxc/seccomp.c`, lxc.container.conf(5)) and as libseccomp combines what LXC hands to it.

mod check;
mod parser;
mod rule;

use super::input::Input;
use super::{Findings, Format, Imported, Options, role_of};
use crate::language::Diagnostics;

/// Reads a profile.
pub(crate) fn read(input: &Input, options: &Options) -> Result<Imported, Diagnostics> {
    let source = input.source()?;
    let mut findings = Findings::new(options.lossy);
    let mut errors = Vec::new();
    let profile = parser::parse(&source.text, 0, &mut errors);
    for error in errors {
        findings.error(error);
    }
    let Some(profile) = profile else {
        return findings.finish(Format::Lxc, Vec::new(), vec![source]);
    };
    let draft = check::check(profile, options, &mut findings);
    let role = options.role.clone().unwrap_or_else(|| role_of(input.name));
    draft.finish(Format::Lxc, role, options, vec![source], findings)
}
