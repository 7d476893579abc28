//! The `ringfence` command: parses the command line, calls one function, maps the result to an exit code.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use ringfence::cli::{self, Cli, Outcome};
use ringfence::confine;
use ringfence::report::exit_code;

fn main() -> ExitCode {
    match cli::execute(Cli::read(std::env::args_os())) {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Deficient) => ExitCode::from(exit_code::ERROR),
        Ok(Outcome::Ended(code)) => confine::end_process(code),
        Err(error) => {
            eprintln!("ringfence: {error}");
            ExitCode::from(exit_code::ERROR)
        }
    }
}
