//! The names that a policy's values may have: the kernel's headers', and those of minijail's `constants.json`.

use std::cell::Cell;
use std::collections::BTreeMap;

use serde::Deserialize;

use crate::constants;
use crate::language::{Diagnostic, closest};
use crate::syscalls::Arch;

/// What a constants file defines, as minijail's `generate_constants_json.py` writes it. Its table of calls is not
/// used: a policy is for one of our own tables.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct File {
    #[serde(default)]
    constants: BTreeMap<String, i128>,
    /// Namespace, group, calls.
    #[serde(default)]
    syscall_groups: BTreeMap<String, BTreeMap<String, Vec<String>>>,
}

/// Names and their values on one architecture.
#[derive(Debug)]
pub(super) struct Names {
    pub(super) arch: Arch,
    file: File,
    /// How many more suggestions are made: looking for one takes time.
    suggestions: Cell<usize>,
}

/// More unknown names than that have no suggestion.
const MAX_SUGGESTIONS: usize = 100;

impl Names {
    pub(super) fn new(arch: Arch) -> Self {
        Self { arch, file: File::default(), suggestions: Cell::new(MAX_SUGGESTIONS) }
    }

    /// Takes a constants file as well; its names come before those of the headers.
    ///
    /// # Errors
    /// A text that is no such file, with its place.
    pub(super) fn with_file(arch: Arch, text: &str, source: usize) -> Result<Self, Diagnostic> {
        let file = serde_json::from_str(text).map_err(|error| not_constants(text, source, &error))?;
        Ok(Self { file, ..Self::new(arch) })
    }

    /// The value of a name, as an argument register holds it.
    pub(super) fn value(&self, name: &str) -> Option<u64> {
        let defined = self.file.constants.get(name);
        let defined = defined.and_then(|value| u64::try_from(*value).ok().or_else(|| negative(*value)));
        defined
            .or_else(|| constants::value(self.arch, name).map(i64::cast_unsigned))
            .or_else(|| constants::errno(name).map(u64::from))
    }

    /// The name nearest to an unknown one.
    pub(super) fn suggestion(&self, name: &str) -> Option<&str> {
        let left = self.suggestions.get().checked_sub(1)?;
        self.suggestions.set(left);
        closest(name, self.all())
    }

    fn all(&self) -> impl Iterator<Item = &str> {
        let headers = constants::names(self.arch).map(|name| -> &str { name });
        self.file.constants.keys().map(String::as_str).chain(headers)
    }

    /// The calls of `GROUP@NAMESPACE`.
    pub(super) fn group(&self, name: &str) -> Option<&[String]> {
        let (group, namespace) = name.split_once('@')?;
        Some(self.file.syscall_groups.get(namespace)?.get(group)?)
    }
}

fn negative(value: i128) -> Option<u64> {
    i64::try_from(value).ok().map(i64::cast_unsigned)
}

fn not_constants(text: &str, source: usize, error: &serde_json::Error) -> Diagnostic {
    let line = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum::<usize>();
    let at = (line + error.column().saturating_sub(1)).min(text.len());
    // serde_json counts bytes, and a byte in the middle of a character is no place of a text.
    let at = (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    Diagnostic::error(format!("not a constants file: {error}"), source, at..at, "here")
        .help("give the constants.json that minijail's generate_constants_json.py wrote for the target")
}
