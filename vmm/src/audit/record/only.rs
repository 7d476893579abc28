//! Threads that are recorded, by name.
#![forbid(unsafe_code)]

use std::ffi::{CStr, CString};
use std::str::FromStr;

/// Threads of this name, or of names that begin so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Only {
    name: String,
    is_prefix: bool,
    filter: CString,
}

impl FromStr for Only {
    type Err = String;

    /// A name, with `*` at its end for names that begin so.
    fn from_str(text: &str) -> Result<Self, String> {
        let (name, is_prefix) = text.strip_suffix('*').map_or((text, false), |name| (name, true));
        // What means something in a filter of the kernel's (Documentation/trace/events.rst).
        let is_plain = |c: char| c.is_ascii_graphic() && !"*?[]\\\"'".contains(c) || c == ' ';
        if name.is_empty() || !name.chars().all(is_plain) {
            return Err("write the name of a thread, with * at its end for names that begin so; no other wildcards or quotes".into());
        }
        let filter = CString::new(format!("comm ~ \"{text}\"")).map_err(|error| error.to_string())?;
        Ok(Self { name: name.to_owned(), is_prefix, filter })
    }
}

impl Only {
    /// For events, in the kernel's words.
    pub(super) fn filter(&self) -> &CStr {
        &self.filter
    }

    /// Whether a thread is recorded.
    pub(super) fn is_for(&self, name: &str) -> bool {
        if self.is_prefix { name.starts_with(&self.name) } else { name == self.name }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_or_a_beginning_of_names_and_nothing_else() {
        let only: Only = "rf-*".parse().unwrap();
        assert_eq!(only.filter(), c"comm ~ \"rf-*\"");
        assert!(only.is_for("rf-vcpu0") && !only.is_for("main"));
        let only: Only = "main".parse().unwrap();
        assert!(only.is_for("main") && !only.is_for("main2"));
        for wrong in ["", "*", "a\"b", "a*b", "a\n"] {
            assert!(wrong.parse::<Only>().is_err(), "{wrong}");
        }
    }
}
