//! Profiles of Docker and Podman, and the `seccomp` part of an OCI runtime's `config.json`.
//!
//! The forms are those of the OCI runtime specification (`config-linux.md`, "Seccomp") and of Docker's profiles, which
//! add `archMap`, `includes` and `excludes`. The meaning is what runc hands to libseccomp
//! (`libcontainer/seccomp/seccomp_linux.go`).

mod action;
mod architecture;
mod condition;
mod requirements;
mod rule;

use super::draft::Draft;
use super::input::Input;
use super::json::{self, Fields, Reader, Unknown, Value};
use super::{Findings, Format, Imported, Options, libseccomp, role_of, word};
use crate::action::Action;
use crate::language::{Diagnostic, Diagnostics};

const WHAT: &str = "a profile";

const FIELDS: [&str; 9] = [
    "defaultAction",
    "defaultErrnoRet",
    "architectures",
    "archMap",
    "flags",
    "listenerPath",
    "listenerMetadata",
    "syscalls",
    "comment",
];

/// Reads a profile.
pub(crate) fn read(input: &Input, options: &Options) -> Result<Imported, Diagnostics> {
    let source = input.source()?;
    let mut findings = Findings::new(options.lossy);
    let draft = match json::parse(&source.text) {
        Ok(value) => {
            let mut reader = Reader { findings: &mut findings, unknown: Unknown::Ignored };
            profile_of(&mut reader, &value).and_then(|value| profile(&mut reader, value, options))
        }
        Err(error) => {
            findings.error(error);
            None
        }
    };
    let role = options.role.as_deref().map_or_else(|| role_of(input.name), word);
    // A profile that could not be read left an error, which is all that is given back.
    let draft = draft.unwrap_or(Draft { otherwise: Action::KillProcess, rules: Vec::new() });
    draft.finish(Format::Oci, role, options, vec![source], findings)
}

/// The profile in a file: the whole, or the part of a runtime's configuration.
fn profile_of<'v, 'a>(reader: &mut Reader, value: &'v Value<'a>) -> Option<&'v Value<'a>> {
    let object = reader.object(value, WHAT)?;
    let Some(linux) = object.get("linux").filter(|_| object.get("defaultAction").is_none()) else {
        return Some(value);
    };
    let seccomp = linux.value.as_object().and_then(|linux| linux.get("seccomp"));
    if seccomp.is_none() {
        reader.error("the configuration has no seccomp profile", &linux.value, "`seccomp` is not in here");
    }
    seccomp.map(|seccomp| &seccomp.value)
}

fn profile(reader: &mut Reader, value: &Value, options: &Options) -> Option<Draft> {
    let fields = reader.fields(value, WHAT, &FIELDS)?;
    let otherwise = otherwise(reader, &fields);
    architecture::check(reader, &fields, options, otherwise);
    without_effect(reader, &fields);
    let rules = match fields.get("syscalls") {
        Some(value) => rule::rules(reader, value, options, otherwise),
        None => Some(Vec::new()),
    };
    let otherwise = otherwise?;
    let rules = libseccomp::combined(rules?, otherwise, reader.findings);
    Some(Draft { otherwise, rules })
}

fn otherwise(reader: &mut Reader, fields: &Fields) -> Option<Action> {
    let action = reader.required(fields, WHAT, "defaultAction");
    action::read(reader, action?, fields.get("defaultErrnoRet"), "defaultErrnoRet")
}

/// What says how a filter is installed, and nothing about what it allows.
fn without_effect(reader: &mut Reader, fields: &Fields) {
    for name in ["flags", "listenerPath", "listenerMetadata"] {
        let Some(value) = fields.get(name) else { continue };
        if value.as_array().is_some_and(|array| array.elements.is_empty()) {
            continue;
        }
        let title = format!("`{name}` is for whoever installs the filter");
        reader.findings.note(Diagnostic::error(title, 0, json::place(value), "not part of a policy"));
    }
}
