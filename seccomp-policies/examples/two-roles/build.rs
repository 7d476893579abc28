//! Compiles and proves `policies/acceptor.policy` and `policies/worker.policy`.

use std::process::ExitCode;

fn main() -> ExitCode {
    seccomp_policies::build("policies")
}
