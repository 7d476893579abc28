//! Other programs' policies from outside: what they mean here, and what the messages about them say.

#[path = "../support/mod.rs"]
mod support;

mod firecracker;
mod large;
mod oci;

use std::path::Path;

use seccomp_policies::import::{Format, Imported, Options, read_bytes};
use seccomp_policies::language::{Policy, check_sources, format, write};
use seccomp_policies::syscalls::Arch;

/// A file of the corpora; none in a tree that stands alone, which is said.
fn corpus(name: &str) -> Option<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpora").join(name);
    let text = std::fs::read_to_string(&path).ok();
    if text.is_none() {
        println!("{} is not there: tested with the policies of this file alone", path.display());
    }
    text
}

/// A text that is read.
fn good(text: &str, format: Format, options: &Options) -> Imported {
    match read_bytes("policy.json", text.as_bytes(), Some(format), options) {
        Ok(imported) => imported,
        Err(errors) => panic!("{text}\n{errors}"),
    }
}

/// What there is to say about a text: its errors, or its notes.
fn said(text: &str, format: Format, options: &Options) -> String {
    match read_bytes("policy.json", text.as_bytes(), Some(format), options) {
        Ok(imported) => imported.notes.render(false),
        Err(errors) => errors.render(false),
    }
}

/// The policies of a file as text, which must be in canonical layout and hold.
fn written(policies: &[Policy]) -> String {
    let texts = policies.iter().map(|policy| {
        let text = write(policy);
        assert_eq!(format("policy", &text).unwrap(), text);
        let checked = check_sources("p.policy", &[("p.policy", &text)], policy.arch);
        checked.unwrap_or_else(|errors| panic!("{text}\n{errors}"));
        text
    });
    texts.collect::<Vec<_>>().join("\n")
}

/// Options for `x86_64`, asked for.
fn x86_64() -> Options {
    Options { arch: Some(Arch::X86_64), ..Options::default() }
}
