//! Policies of other programs.

use seccomp_policies::import::{self, Dialect, Format, KernelVersion, Options, read_bytes};
use seccomp_policies::language::Severity;
use seccomp_policies::syscalls::Arch;

use super::languages::assert_written_is_read_back;

/// Firecracker's and seccompiler's JSON.
pub fn firecracker(bytes: &[u8]) -> bool {
    imported(bytes, Format::Firecracker)
}

/// Docker's and the OCI's JSON.
pub fn oci(bytes: &[u8]) -> bool {
    imported(bytes, Format::Oci)
}

/// minijail's text. From memory it includes nothing.
pub fn minijail(bytes: &[u8]) -> bool {
    imported(bytes, Format::Minijail)
}

/// LXC's text.
pub fn lxc(bytes: &[u8]) -> bool {
    imported(bytes, Format::Lxc)
}

/// Programs, as bytes or as a listing. A policy may have a rule for every call there is, which takes long to find, so that
/// one architecture is asked for.
pub fn raw(bytes: &[u8]) -> bool {
    let [_, x86_64, _] = readings();
    if let Ok(table) = import::raw::table("r", bytes, &x86_64) {
        assert!(!table.rows.is_empty(), "every call has an answer");
        assert!(!table.to_string().is_empty());
    }
    read_both_ways(bytes, Format::Raw, x86_64)
}

/// Reads a file in every way.
fn imported(bytes: &[u8], format: Format) -> bool {
    let _ = Format::detect("r", bytes);
    readings().into_iter().fold(false, |taken, options| read_both_ways(bytes, format, options) | taken)
}

/// Reads a file with and without losses; whether either gives policies.
///
/// What is read can be written in the language and read back. What can be read without losses is the same where losses
/// are taken, and nothing is lost then.
fn read_both_ways(bytes: &[u8], format: Format, strict: Options) -> bool {
    let strict_read = read(bytes, format, &strict);
    let lossy_read = read(bytes, format, &Options { lossy: true, ..strict });
    match (strict_read, lossy_read) {
        (Some(strict), Some(lossy)) => {
            assert_eq!(strict.policies, lossy.policies);
            assert!(lossy.notes.only(Severity::Warning).is_empty(), "nothing is lost: {}", lossy.notes);
            true
        }
        (Some(_), None) => panic!("refused where losses are taken, and not where none are"),
        (None, Some(lossy)) => {
            assert!(!lossy.notes.only(Severity::Warning).is_empty(), "a loss has a warning");
            true
        }
        (None, None) => false,
    }
}

/// Ways to read a file: for each architecture, and for none that is asked for.
fn readings() -> [Options; 3] {
    [
        Options::default(),
        Options {
            arch: Some(Arch::X86_64),
            dialect: Some(Dialect::Compiler),
            kernel_widths: true,
            ..Options::default()
        },
        Options {
            arch: Some(Arch::Aarch64),
            dialect: Some(Dialect::Library),
            capabilities: vec!["CAP_SYS_ADMIN".to_owned()],
            kernel: Some(KernelVersion { major: 5, minor: 4 }),
            ..Options::default()
        },
    ]
}

fn read(bytes: &[u8], format: Format, options: &Options) -> Option<import::Imported> {
    match read_bytes("r", bytes, Some(format), options) {
        Ok(imported) => {
            assert_eq!(imported.notes.render(true).is_empty(), imported.notes.is_empty());
            assert!(!imported.policies.is_empty(), "a file is a policy at least");
            imported.policies.iter().for_each(assert_written_is_read_back);
            Some(imported)
        }
        Err(errors) => {
            assert!(errors.render(true).contains("error"), "{errors:?}");
            None
        }
    }
}
