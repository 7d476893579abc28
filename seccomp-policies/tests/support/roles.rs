//! The project's own roles, as the folder of its policies has them, so that no test forgets one.

use std::fs;
use std::path::{Path, PathBuf};

use seccomp_policies::language::{Policy, Tier, load};
use seccomp_policies::syscalls::Arch;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("policies")
}

/// The names of all roles, in order.
pub fn all() -> Vec<String> {
    let folder = fs::read_dir(folder()).expect("the folder of policies can be read");
    let files = folder.map(|entry| entry.expect("the folder can be read").path());
    let policies = files.filter(|path| path.extension().is_some_and(|extension| extension == "policy"));
    let name = |path: PathBuf| path.file_stem().expect("a name").to_str().expect("UTF-8").to_owned();
    let mut names: Vec<_> = policies.map(name).collect();
    names.sort();
    assert!(names.iter().any(|name| name == "vcpu"), "{names:?}");
    names
}

/// Those that have a program: all but those of strict mode.
pub fn filtered() -> Vec<String> {
    all().into_iter().filter(|name| policy(name, Arch::X86_64).tier == Tier::Filter).collect()
}

/// A role's policy for a target.
pub fn policy(name: &str, arch: Arch) -> Policy {
    let path = folder().join(name).with_extension("policy");
    load(&path, arch).unwrap_or_else(|findings| panic!("{name} for {arch}: {findings}")).policy
}
