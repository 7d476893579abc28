//! Compiles the policies of the thread roles, holds every program against its policy, and writes the Rust
//! source that `src/role/policies.rs` includes. A policy that does not hold stops the build with the words of
//! `ringfence policy check`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs, io};

use seccomp_policies::embed::{self, Proved};
use seccomp_policies::language::{self, Checked};
use seccomp_policies::syscalls::Arch;

/// From the workspace's folder, so that messages name files as people in it do.
const POLICIES: &str = "seccomp-policies/policies";

/// The architecture that the monitor runs on.
const EMBEDDED: Arch = Arch::X86_64;

/// Another one that each policy must hold for.
const ALSO_PROVED: Arch = Arch::Aarch64;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    env::set_current_dir("..").map_err(|error| format!("cannot go to the workspace's folder: {error}"))?;
    // Cargo reads the path from the package's folder, and watches all of it, included files as well.
    println!("cargo::rerun-if-changed=../{POLICIES}");
    let files = policy_files().map_err(|error| format!("cannot list {POLICIES}: {error}"))?;
    let policies = files.iter().map(|file| prove(file)).collect::<Result<Vec<_>, _>>()?;
    let out = env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR for a build script")?;
    let out = Path::new(&out).join("policies.rs");
    fs::write(&out, embed::generate(&policies))
        .map_err(|error| format!("cannot write {}: {error}", out.display()))
}

/// Every policy directly in the folder, by name; what they include lies deeper.
fn policy_files() -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(POLICIES)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "policy") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn prove(file: &Path) -> Result<Proved, String> {
    let proved = prove_for(file, EMBEDDED)?;
    prove_for(file, ALSO_PROVED)?;
    let role = proved.role();
    if file.file_stem().is_none_or(|stem| stem != role) {
        return Err(format!(
            "{} is the policy of role `{role}`; name the file {role}.policy, so that each role has one policy \
             and is found by its name",
            file.display()
        ));
    }
    Ok(proved)
}

fn prove_for(file: &Path, arch: Arch) -> Result<Proved, String> {
    let Checked { policy, sources, .. } = language::load(file, arch)
        .map_err(|findings| format!("{findings}\n{} does not hold for {arch}", file.display()))?;
    embed::prove(&policy, sources).map_err(|error| format!("{}, for {arch}: {error}", file.display()))
}
