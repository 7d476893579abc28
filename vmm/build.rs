//! Compiles and proves the role policies and embeds their programs: `$OUT_DIR/policies.rs`.

use std::path::{Path, PathBuf};
use std::process::exit;
use std::{env, fs};

use seccomp_policies::embed::{self, Proved};
use seccomp_policies::language;
use seccomp_policies::syscalls::Arch;

/// From this package's folder.
const POLICIES: &str = "../seccomp-policies/policies";

fn main() {
    println!("cargo::rerun-if-changed={POLICIES}");
    let mut files: Vec<PathBuf> = entries(Path::new(POLICIES));
    files.sort();
    let mut proved = Vec::new();
    for file in &files {
        proved.push(prove(file, Arch::X86_64));
        // Compiled for the other target too, so that the text stays good for both; not embedded.
        prove(file, Arch::Aarch64);
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join("policies.rs");
    fs::write(&out, embed::generate(&proved))
        .unwrap_or_else(|error| fail(&format!("{}: {error}", out.display())));
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries =
        fs::read_dir(folder).unwrap_or_else(|error| fail(&format!("{}: {error}", folder.display())));
    let paths = entries.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "policy")).collect()
}

fn prove(file: &Path, arch: Arch) -> Proved {
    let checked = language::load(file, arch).unwrap_or_else(|diagnostics| fail(&diagnostics.render(false)));
    embed::prove(&checked.policy, checked.sources)
        .unwrap_or_else(|error| fail(&format!("{}: {error}", file.display())))
}

fn fail(message: &str) -> ! {
    eprintln!("{message}");
    exit(1)
}
