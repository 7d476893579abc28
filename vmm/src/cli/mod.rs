//! The command line: one file per subcommand, thin.
#![forbid(unsafe_code)]

use std::env;
use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub mod api;
pub mod audit;
pub mod bench;
pub mod conduct;
mod deferred;
pub mod doctor;
pub mod firecracker;
pub mod guest;
mod observe;
mod output;
pub mod policy;
mod reading;
pub mod run;
pub mod run_config;
mod run_devices;
mod sarif;
mod socket;
mod table;

use crate::confine;
use crate::report::exit_code;
use deferred::Deferred;

/// Runs guest images on KVM with every thread of the monitor held to the few system calls its role needs.
///
/// Without a command: `run`, with the embedded tour guest.
#[derive(Debug, Parser)]
#[command(name = "ringfence", version, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a guest image confined
    Run(Box<run::Args>),
    /// Serve Firecracker's API until a client starts a machine, and to its end
    Api(Box<api::Args>),
    /// The same by Firecracker's own command line; also when called as `firecracker`
    Firecracker(Box<firecracker::Args>),
    /// Check, format and compile policies, and ask what they do
    Policy(Deferred<policy::Args>),
    /// Look at what threads may ask of the kernel, in ringfence and in any process
    Audit(Deferred<audit::Args>),
    /// Measure what confinement costs on this machine
    Bench(Deferred<bench::Args>),
    /// List the embedded guests, build a Linux guest
    Guest(Deferred<guest::Args>),
    /// Say what this host offers and lacks
    Doctor(Deferred<doctor::Args>),
}

/// How a command ended, other than by an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It did what was asked.
    Done,
    /// It looked, and what it found is not in order; it has said so.
    Deficient,
    /// It ended with this exit code, and nothing is left to do. After a run the calling thread is fenced.
    Ended(u8),
}

/// Why a command could not do what was asked; its text is for a person.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `policy`
    #[error(transparent)]
    Policy(#[from] policy::Error),
    /// `audit`
    #[error(transparent)]
    Audit(#[from] audit::Error),
    /// `bench`
    #[error(transparent)]
    Bench(#[from] bench::Error),
    /// `guest`
    #[error(transparent)]
    Guest(#[from] guest::Error),
    /// `doctor`
    #[error(transparent)]
    Doctor(#[from] doctor::Error),
    /// `run`
    #[error(transparent)]
    Run(#[from] run::Error),
    /// `api`
    #[error(transparent)]
    Api(#[from] api::Error),
    /// `firecracker`
    #[error(transparent)]
    Firecracker(#[from] firecracker::Error),
}

impl Cli {
    /// Reads a command line. Called as `firecracker`, this is Firecracker's.
    pub fn read(arguments: impl IntoIterator<Item = OsString>) -> Self {
        let arguments: Vec<OsString> = arguments.into_iter().collect();
        let program = arguments.first().and_then(|program| Path::new(program).file_name());
        if program.is_some_and(|program| program == "firecracker") {
            return Self {
                command: Some(Command::Firecracker(Box::new(firecracker::Args::read(arguments)))),
            };
        }
        Self::parse_from(arguments)
    }
}

/// The whole command: reads the process's command line, calls one function, maps its result to an exit code.
pub fn main() -> ExitCode {
    match execute(Cli::read(env::args_os())) {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Deficient) => ExitCode::from(exit_code::ERROR),
        Ok(Outcome::Ended(code)) => confine::end_process(code),
        Err(error) => {
            eprintln!("ringfence: {error}");
            ExitCode::from(exit_code::ERROR)
        }
    }
}

/// Carries out what the command line asks for.
///
/// # Errors
/// The command's own.
pub fn execute(cli: Cli) -> Result<Outcome, Error> {
    match cli.command {
        None => Ok(run::run(&run::Args::default())?),
        Some(Command::Run(args)) => Ok(run::run(&args)?),
        Some(Command::Api(args)) => Ok(api::run(&args)?),
        Some(Command::Firecracker(args)) => Ok(firecracker::run(&args)?),
        Some(Command::Policy(Deferred(args))) => Ok(policy::run(&args)?),
        Some(Command::Audit(Deferred(args))) => Ok(audit::run(&args)?),
        Some(Command::Bench(Deferred(args))) => Ok(bench::run(&args)?),
        Some(Command::Guest(Deferred(args))) => Ok(guest::run(&args)?),
        Some(Command::Doctor(Deferred(args))) => Ok(doctor::run(&args)?),
    }
}
