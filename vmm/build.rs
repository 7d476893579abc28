//! Compiles the policies of the thread roles, holds every program against its policy, and writes the Rust source that
//! `src/role/policies.rs` includes. A policy that does not hold stops the build with the words of
//! `ringfence policy check`.

use std::env;
use std::process::ExitCode;

use seccomp_policies::build::Build;
use seccomp_policies::syscalls::Arch;

fn main() -> ExitCode {
    // From the workspace's folder, so that messages name files as people in it do.
    env::set_current_dir("..").expect("the package lies in the workspace's folder");
    // The monitor runs on x86_64, and its policies hold on the other architecture too.
    Build::new("seccomp-policies/policies").also(Arch::Aarch64).run()
}
