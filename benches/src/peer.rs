//! Firecracker's filter for its vCPU threads, as seccompiler makes it of Firecracker's own policy file: the same call
//! under the policy of another monitor, measured in the same run as ours.
#![forbid(unsafe_code)]

use std::env;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use ringfence::confine::install::Hold;
use seccompiler::TargetArch;

use crate::variant::Variant;

/// Names the file: `resources/seccomp/x86_64-unknown-linux-musl.json` of Firecracker's sources.
pub const VARIABLE: &str = "FIRECRACKER_POLICY";

/// Where a copy of the file is looked for where the variable is not set, from the package's folder.
const BESIDE_THE_PROJECT: &str = "../../shared/corpora/firecracker-x86_64.json";

/// The role of Firecracker's vCPU threads.
const ROLE: &str = "vcpu";

/// Why the policy could not be made a variant.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such file, or not to be read.
    #[error("cannot read Firecracker's policy {}, which {VARIABLE} may name: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Seccompiler does not take it.
    #[error("seccompiler cannot compile {}: {source}", path.display())]
    Compile {
        /// The file.
        path: PathBuf,
        /// What it said.
        source: Box<seccompiler::Error>,
    },
    /// The file is about other threads.
    #[error("{} has no role `{ROLE}`", path.display())]
    NoRole {
        /// The file.
        path: PathBuf,
    },
}

/// The file that is to be measured: the one that [`VARIABLE`] names, or else the copy beside the project if there is
/// one.
pub fn policy_file() -> Option<PathBuf> {
    let beside =
        || Some(Path::new(env!("CARGO_MANIFEST_DIR")).join(BESIDE_THE_PROJECT)).filter(|path| path.exists());
    env::var_os(VARIABLE).map(PathBuf::from).or_else(beside)
}

/// The filter of Firecracker's vCPU threads.
///
/// # Errors
/// See [`Error`].
pub fn variant(path: &Path) -> Result<Variant, Error> {
    let file = File::open(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
    let mut programs = seccompiler::compile_from_json(file, TargetArch::x86_64)
        .map_err(|source| Error::Compile { path: path.to_owned(), source: Box::new(source) })?;
    let program = programs.remove(ROLE).ok_or_else(|| Error::NoRole { path: path.to_owned() })?;
    // A thread keeps its filter for life, and so does the benchmark.
    Ok(Variant { name: "Firecracker's vCPU filter", hold: Hold::Program(program.leak()) })
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::vcpu::{Guest, Kind, VcpuThread};

    /// A policy in Firecracker's format, with what a measuring thread needs.
    const SMALL: &str = r#"{ "vcpu": { "default_action": "trap", "filter_action": "allow", "filter": [
        { "syscall": "futex" },
        { "syscall": "ioctl", "args": [{ "index": 1, "type": "dword", "op": "eq", "val": 44672 }] }
    ] } }"#;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    fn run_blocks(variant: &Variant) {
        let thread = VcpuThread::start(Guest::new().unwrap(), variant.hold).unwrap();
        for kind in [Kind::Refused, Kind::PortExit] {
            assert!(thread.block(kind, 3).unwrap() > std::time::Duration::ZERO);
        }
    }

    #[test]
    fn a_thread_under_a_policy_in_firecrackers_format_does_blocks() {
        let variant = variant(file(SMALL).path()).unwrap();
        assert!(
            variant
                .executed(&crate::variant::kvm_run())
                .unwrap()
                .is_some_and(|executed| executed < variant.length().unwrap())
        );
        run_blocks(&variant);
    }

    #[test]
    fn a_thread_under_firecrackers_own_policy_does_blocks() {
        let Some(path) = policy_file() else {
            println!("not run: Firecracker's policy is not here; {VARIABLE} may name it");
            return;
        };
        run_blocks(&variant(&path).unwrap());
    }

    #[test]
    fn a_file_that_cannot_be_used_is_named_with_the_reason() {
        let missing = variant(Path::new("/nonexistent/policy.json")).unwrap_err().to_string();
        assert!(
            missing.contains("/nonexistent/policy.json") && missing.contains("No such file"),
            "{missing}"
        );
        let other = variant(file(&SMALL.replace("vcpu", "api")).path()).unwrap_err().to_string();
        assert!(other.ends_with("has no role `vcpu`"), "{other}");
        let broken = variant(file("{").path()).unwrap_err().to_string();
        assert!(broken.starts_with("seccompiler cannot compile"), "{broken}");
    }
}
