//! The questions that `ringfence policy` answers, as its user has them.

mod diff;
mod document;
mod exec;
mod explain;
mod help;
mod lint;
mod profile;
mod simulate;
mod stats;

use std::fs;

use tempfile::TempDir;

/// A policy of two descriptors and a few calls.
const POLICY: &str = "\
role r
tier filter
otherwise trap

fd input = 3  -- what is read

read: fd == @input && count <= 64  -- input
openat: dfd == AT_FDCWD && (flags & O_ACCMODE) == O_RDONLY  -- files
close:  -- done
exit_group:  -- end
";

/// A folder with these files in it, and the policy as `r.policy`.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = TempDir::new().expect("a temporary folder");
    for (name, text) in files.iter().chain(&[("r.policy", POLICY)]) {
        fs::write(folder.path().join(name), text).expect("the folder takes a file");
    }
    folder
}
