//! `includes` and `excludes`: what a rule depends on.

use crate::import::json::{Reader, Value, place};
use crate::import::{KernelVersion, Options};
use crate::language::Diagnostic;
use crate::syscalls::Arch;

/// Whether a rule with these counts. `includes` asks for every capability that it names, `excludes` for none.
pub(super) fn are_met(
    reader: &mut Reader,
    includes: Option<&Value>,
    excludes: Option<&Value>,
    options: &Options,
) -> Option<bool> {
    let includes = match includes {
        Some(value) => Some(Requirements::read(reader, value, "`includes`", options)?),
        None => None,
    };
    let excludes = match excludes {
        Some(value) => Some(Requirements::read(reader, value, "`excludes`", options)?),
        None => None,
    };
    let wanted = includes.is_none_or(|includes| includes.all());
    Some(wanted && !excludes.is_some_and(|excludes| excludes.any()))
}

/// What is said of a process, each with whether it is so; none where nothing is said.
struct Requirements {
    capabilities: Vec<bool>,
    arch: Option<bool>,
    kernel: Option<bool>,
}

impl Requirements {
    fn read(reader: &mut Reader, value: &Value, what: &str, options: &Options) -> Option<Self> {
        let fields = reader.fields(value, what, &["caps", "arches", "minKernel"])?;
        let capabilities = match fields.get("caps") {
            Some(value) => names(reader, value, "`caps`")?
                .iter()
                .map(|name| options.capabilities.iter().any(|has| has == name))
                .collect(),
            None => Vec::new(),
        };
        let arches = match fields.get("arches") {
            Some(value) => names(reader, value, "`arches`")?,
            None => Vec::new(),
        };
        let arch = (!arches.is_empty()).then(|| arches.contains(&goarch(options.target())));
        let kernel = match fields.get("minKernel") {
            Some(value) => Some(is_new_enough(reader, value, options)?),
            None => None,
        };
        Some(Self { capabilities, arch, kernel })
    }

    fn all(&self) -> bool {
        self.capabilities.iter().all(|has| *has) && self.arch != Some(false) && self.kernel != Some(false)
    }

    fn any(&self) -> bool {
        self.capabilities.contains(&true) || self.arch == Some(true) || self.kernel == Some(true)
    }
}

/// Go's name of an architecture, which profiles use here.
const fn goarch(arch: Arch) -> &'static str {
    match arch {
        Arch::X86_64 => "amd64",
        Arch::Aarch64 => "arm64",
    }
}

fn names<'v>(reader: &mut Reader, value: &'v Value, what: &str) -> Option<Vec<&'v str>> {
    let list = reader.array(value, what)?;
    list.elements.iter().map(|name| reader.text(name, "a name").map(|name| name.text)).collect()
}

fn is_new_enough(reader: &mut Reader, value: &Value, options: &Options) -> Option<bool> {
    let text = reader.text(value, "`minKernel`")?;
    let wanted: KernelVersion = match text.text.parse() {
        Ok(wanted) => wanted,
        Err(why) => {
            reader.error(why, value, "not a kernel's version");
            return None;
        }
    };
    if options.kernel.is_none() {
        let title = format!("a rule depends on the kernel being {} or newer", text.text);
        reader.findings.note(
            Diagnostic::error(title, 0, place(value), "taken as met")
                .help("name the kernel's version if it may be older"),
        );
    }
    Some(options.kernel.is_none_or(|kernel| kernel >= wanted))
}
