//! The formats, and how to tell them apart.

use std::fmt;
use std::path::Path;

/// Who writes policies in this form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// This project's own language.
    Ringfence,
    /// JSON of Firecracker and seccompiler: a filter for each thread.
    Firecracker,
    /// Text of minijail and crosvm.
    Minijail,
    /// JSON of Docker, Podman and the OCI runtime specification.
    Oci,
    /// Text of LXC.
    Lxc,
    /// A program: `struct sock_filter`, 8 bytes an instruction.
    Raw,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 6] =
        [Self::Ringfence, Self::Firecracker, Self::Minijail, Self::Oci, Self::Lxc, Self::Raw];

    /// The name that the command line has for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ringfence => "ringfence",
            Self::Firecracker => "firecracker",
            Self::Minijail => "minijail",
            Self::Oci => "oci",
            Self::Lxc => "lxc",
            Self::Raw => "raw",
        }
    }

    /// The format of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }

    /// Whether a file has nothing in it but comments, so that it could be anybody's, and most likely is a mistake.
    pub(super) fn is_nothing(bytes: &[u8]) -> bool {
        let text = std::str::from_utf8(bytes).ok().map(|text| text.trim_start_matches('\u{feff}'));
        text.is_some_and(|text| {
            text.lines().map(str::trim).all(|line| line.is_empty() || line.starts_with('#'))
        })
    }

    /// What a file most likely is, by its name and its first lines. What is nothing else is minijail's: a line of it
    /// is a call and a colon.
    pub fn detect(name: &str, bytes: &[u8]) -> Self {
        let text = match std::str::from_utf8(bytes) {
            Ok(text) if !text.contains('\0') && !is_program(name) => text,
            _ => return Self::Raw,
        };
        let text = text.trim_start_matches('\u{feff}').trim_start();
        if text.starts_with('{') {
            return json(text);
        }
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        if matches!(text.lines().next().map(str::trim), Some("1" | "2")) {
            return Self::Lxc;
        }
        if lines.any(|line| is_directive(line) || has_reason(line)) {
            Self::Ringfence
        } else {
            Self::Minijail
        }
    }
}

fn is_program(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension == "bpf")
}

/// Both kinds of JSON have their own word at the top.
fn json(text: &str) -> Format {
    let is_oci = ["\"defaultAction\"", "\"ociVersion\"", "\"linux\""].iter().any(|word| text.contains(word));
    if is_oci { Format::Oci } else { Format::Firecracker }
}

/// A line that every policy of the language has, and no policy of minijail's.
fn is_directive(line: &str) -> bool {
    let mut words = line.split_whitespace();
    match (words.next(), words.next()) {
        (Some("tier"), Some(word)) => matches!(word, "strict" | "bitmask" | "filter"),
        (Some("role" | "otherwise"), Some(word)) => !word.starts_with(':'),
        _ => false,
    }
}

/// A rule with its reason: the language's, were its directives forgotten.
fn has_reason(line: &str) -> bool {
    let line = line.split('#').next().unwrap_or_default();
    line.split_once(':').is_some_and(|(_, rule)| rule.split_whitespace().any(|word| word == "--"))
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_told_by_the_name_and_the_first_lines() {
        for (name, text, format) in [
            ("vcpu.policy", "# why\nrole vcpu\ntier filter\notherwise trap\n", Format::Ringfence),
            ("forgotten.policy", "read: fd == 3  -- input\n", Format::Ringfence),
            ("block.policy", "# why: a -- b\nread: 1 # a: -- b\nioctl: arg1 == 5\n", Format::Minijail),
            ("x.json", "\n{\"vmm\": {\"default_action\": \"trap\"}}", Format::Firecracker),
            ("x.json", "{\"defaultAction\": \"SCMP_ACT_ERRNO\"}", Format::Oci),
            ("config.json", "{\"ociVersion\": \"1.0\", \"linux\": {}}", Format::Oci),
            ("x.conf", "2\nallowlist errno 5\n", Format::Lxc),
            ("x.conf", "1\nwhitelist\n0\n", Format::Lxc),
            ("x.bpf", " \0\0\0\u{4}\0\0\0", Format::Raw),
            ("x.bpf", "        ", Format::Raw),
            ("empty", "", Format::Minijail),
        ] {
            assert_eq!(Format::detect(name, text.as_bytes()), format, "{name} {text:?}");
        }
        assert_eq!(Format::detect("x", &[0x20, 0xff, 0, 0]), Format::Raw);
    }

    #[test]
    fn what_has_comments_alone_is_nothing() {
        for (text, is_nothing) in [
            ("", true),
            (" \n\t\n", true),
            ("\u{feff}# a\n  # b\n", true),
            ("# a\nread: 1\n", false),
            ("\0", false),
        ] {
            assert_eq!(Format::is_nothing(text.as_bytes()), is_nothing, "{text:?}");
        }
    }

    #[test]
    fn a_name_is_read_back() {
        for format in Format::ALL {
            assert_eq!(Format::from_name(format.name()), Some(format));
        }
    }
}
