//! The architectures of a profile: a policy is for one, and refuses the calls of every other.

use crate::action::Action;
use crate::import::Options;
use crate::import::json::{Fields, Reader, Value, place};
use crate::language::Diagnostic;
use crate::syscalls::Arch;

/// libseccomp's name of an architecture.
pub(super) const fn scmp_name(arch: Arch) -> &'static str {
    match arch {
        Arch::X86_64 => "SCMP_ARCH_X86_64",
        Arch::Aarch64 => "SCMP_ARCH_AARCH64",
    }
}

/// The others whose programs a machine of this architecture runs.
const fn also_run(arch: Arch) -> &'static [&'static str] {
    match arch {
        Arch::X86_64 => &["SCMP_ARCH_X86", "SCMP_ARCH_X32"],
        Arch::Aarch64 => &["SCMP_ARCH_ARM"],
    }
}

/// Says what is lost of a profile that is for several. Who asks for one architecture by name gets that one.
pub(super) fn check(reader: &mut Reader, fields: &Fields, options: &Options, otherwise: Option<Action>) {
    if let (Some(map), Some(_)) = (fields.get("archMap"), fields.get("architectures")) {
        reader.error("a profile has `archMap` or `architectures`, not both", map, "one too many");
    }
    let target = options.target();
    let others: Vec<&Value> = listed(reader, fields, target)
        .into_iter()
        .filter(|value| value.as_string_lit().is_some_and(|name| also_run(target).contains(&&*name.value)))
        .collect();
    let has_x32 = others.iter().any(|value| is(value, "SCMP_ARCH_X32"));
    if options.arch.is_none() {
        for other in others {
            lost(reader, other, target);
        }
    }
    if target == Arch::X86_64 && otherwise == Some(Action::Log) && !has_x32 {
        x32_is_logged(reader, fields, options);
    }
}

fn is(value: &Value, name: &str) -> bool {
    value.as_string_lit().is_some_and(|text| text.value == name)
}

/// The names of the architectures that a filter for this one is for too.
fn listed<'v, 'a>(reader: &mut Reader, fields: &Fields<'v, 'a>, target: Arch) -> Vec<&'v Value<'a>> {
    let mut names: Vec<&Value> = Vec::new();
    if let Some(list) = fields.get("architectures").and_then(|list| reader.array(list, "`architectures`")) {
        names.extend(&list.elements);
    }
    let Some(map) = fields.get("archMap").and_then(|map| reader.array(map, "`archMap`")) else {
        return names;
    };
    for entry in &map.elements {
        let what = "an entry of `archMap`";
        let Some(entry) = reader.fields(entry, what, &["architecture", "subArchitectures"]) else { continue };
        let of = reader.required(&entry, what, "architecture");
        if of.is_some_and(|of| is(of, scmp_name(target)))
            && let Some(list) = entry.get("subArchitectures")
        {
            names
                .extend(reader.array(list, "`subArchitectures`").into_iter().flat_map(|list| &list.elements));
        }
    }
    names
}

fn lost(reader: &mut Reader, other: &Value, target: Arch) {
    let name = other.as_string_lit().map(|name| name.value.to_string()).unwrap_or_default();
    let title = format!("the profile is for {name} as well, whose calls a policy for {target} refuses");
    reader.findings.loss(
        Diagnostic::error(title, 0, place(other), "programs of this kind would not run")
            .help(format!("ask for {target} by name if it alone is wanted")),
    );
}

/// libseccomp kills what enters by an architecture that the filter is not for, x32 among them, and so does a policy whose
/// `otherwise` allows; by one that logs, an x32 call is one that no rule speaks of.
fn x32_is_logged(reader: &mut Reader, fields: &Fields, options: &Options) {
    let Some(action) = fields.get("defaultAction") else { return };
    let title = "calls of the x32 ABI are carried out and logged, and libseccomp kills them";
    let finding = Diagnostic::error(title, 0, place(action), "they meet no rule")
        .help("the kernel may be built without that ABI; a policy that names what is allowed refuses it");
    if options.arch.is_none() { reader.findings.loss(finding) } else { reader.findings.note(finding) }
}
