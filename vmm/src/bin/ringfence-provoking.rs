//! The same command for the project's own tests, where a fenced thread can be told to make a call that it may not make
//! (`--provoke`). By another name, so that it never takes the place of what users run.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    ringfence::cli::main()
}
