//! `ringfence policy`: policy files checked, formatted and compiled, and the questions that a person asks of them, with
//! the library that the build uses.

mod check;
mod compile;
mod diff;
mod events;
mod exec;
mod exit_code;
mod explain;
mod fmt;
mod import;
mod input;
mod lint;
mod profile;
mod simulate;
mod stats;

use std::io;
use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use seccomp_policies::syscalls::Arch;

use super::{Outcome, output};

/// Arguments of `policy`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Say what is wrong with policies, or what they come to
    Check(check::Args),
    /// Bring policies into the one layout
    Fmt(fmt::Args),
    /// Compile a policy to the program that the kernel runs
    Compile(compile::Args),
    /// Say what one policy allows and another does not
    Diff(diff::Args),
    /// Read a policy of Firecracker, minijail, Docker, LXC, or a program, and write it as text
    Import(import::Args),
    /// Say whether a call is allowed, by which rule, or what keeps it from being
    Explain(explain::Args),
    /// Say what a policy would have answered to the calls of a trace
    Simulate(simulate::Args),
    /// Say what policies come to, by each backend
    Stats(stats::Args),
    /// Say what a policy allows and probably should not
    Lint(lint::Args),
    /// Count calls from what strace, perf or a run wrote, as a profile for the compiler
    Profile(profile::Args),
    /// Run any program under policies
    Exec(exec::Args),
}

/// Why `policy` could not do what was asked. What is wrong with a policy's text is no error of the command; it
/// is shown, and the outcome says so.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A policy cannot be read.
    #[error("cannot read the policy {}: {source}; give the path of a policy file, or - for standard input", path.display())]
    Read {
        /// The path given.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A result cannot be written.
    #[error(transparent)]
    Output(#[from] output::Error),
    /// A terminal is no place for a program's bytes.
    #[error(
        "a program's bytes would garble the terminal; write them to a file with -o FILE, or pipe them on, or \
         take --format disassembly"
    )]
    Terminal,
    /// Event filters have no instructions to write down.
    #[error(
        "event filters are text and not a program: leave --format out, or take --format json; for bytes or C \
         choose another --backend"
    )]
    NoInstructions,
    /// The policy holds, but no program can be made of it.
    #[error("cannot compile {}: {source}", path.display())]
    Compile {
        /// The path given.
        path: PathBuf,
        /// What the backend said.
        source: seccomp_policies::compile::Error,
    },
    /// Weights of a profile that the policy does not name.
    #[error(
        "{} names no profile to take weights from, as policies of ringfence's own can; add a line \
         `frequency \"NAME.profile\"`, or choose --weights uniform", path.display()
    )]
    NoProfile {
        /// The path given.
        path: PathBuf,
    },
    /// A program was made that was not proved to mean the policy.
    #[error(
        "the program that the {backend} backend made of {} is not written, since it was not proved to mean the \
         policy: {source}; please report it with the policy, and choose another --backend meanwhile", path.display()
    )]
    Unproved {
        /// The path given.
        path: PathBuf,
        /// The backend.
        backend: &'static str,
        /// What the proof said.
        source: seccomp_policies::prove::Unproved,
    },
    /// A decision table of something that is no program.
    #[error(
        "a decision table is made of a program, and --from says that the file is {format}; leave one of the two out"
    )]
    NoTable {
        /// The format given.
        format: seccomp_policies::import::Format,
    },
    /// The policy holds, but the form that is asked for cannot say it.
    #[error(transparent)]
    Export(#[from] seccomp_policies::export::Error),
    /// Several policies for one file.
    #[error(
        "{} can hold one policy, and there are {}: {}; choose one with --role NAME", path.display(), roles.len(),
        roles.join(", ")
    )]
    OneFile {
        /// The path given.
        path: PathBuf,
        /// The policies' roles.
        roles: Vec<String>,
    },
    /// A policy cannot be read, or does not hold; what is wrong with it has been shown.
    #[error("{} does not hold or cannot be read, so that nothing can be said of it", path.display())]
    Refused {
        /// The path given.
        path: PathBuf,
    },
    /// A file of several threads' policies, where one is needed.
    #[error(
        "{} has policies of several threads: {}; choose one with --role NAME", path.display(), roles.join(", ")
    )]
    SeveralRoles {
        /// The path given.
        path: PathBuf,
        /// The threads' names.
        roles: Vec<String>,
    },
    /// A profile cannot be used; why has been shown.
    #[error("{} is no profile; `ringfence policy profile` makes one", path.display())]
    Profile {
        /// The path given.
        path: PathBuf,
    },
    /// A text has no counts of calls.
    #[error("cannot make a profile of {}: {source}", path.display())]
    Counts {
        /// The path given.
        path: PathBuf,
        /// What is wrong with it.
        source: seccomp_policies::trace::Error,
    },
    /// A program of another architecture does not run here.
    #[error("programs of {target} do not run on this machine; leave --target out")]
    ForeignTarget {
        /// The architecture given.
        target: Arch,
    },
    /// The command could not be run.
    #[error(transparent)]
    Exec(#[from] crate::exec::Error),
    /// The call that is asked about is none; why has been shown.
    #[error("the call cannot be understood")]
    Question,
    /// A trace cannot be read.
    #[error("cannot read the trace {}: {source}; give the path of a log, or - for standard input", path.display())]
    ReadTrace {
        /// The path given.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A trace without a call.
    #[error(
        "there is no call in {}; give what strace wrote, or a list with a call on each line, as in \
         `openat(AT_FDCWD, ?, O_RDONLY)`", path.display()
    )]
    EmptyTrace {
        /// The path given.
        path: PathBuf,
    },
}

/// Runs the command.
///
/// # Errors
/// See [`Error`].
pub fn run(args: &Args) -> Result<Outcome, Error> {
    match &args.command {
        Command::Check(args) => check::run(args),
        Command::Fmt(args) => fmt::run(args),
        Command::Compile(args) => compile::run(args),
        Command::Diff(args) => answered(diff::run(args)),
        Command::Import(args) => import::run(args),
        Command::Explain(args) => answered(explain::run(args)),
        Command::Simulate(args) => answered(simulate::run(args)),
        Command::Stats(args) => answered(stats::run(args)),
        Command::Lint(args) => answered(lint::run(args)),
        Command::Profile(args) => answered(profile::run(args)),
        Command::Exec(args) => answered(exec::run(args)),
    }
}

/// A question that cannot be answered has an exit code of its own, so that it is not taken for a "no".
fn answered(outcome: Result<Outcome, Error>) -> Result<Outcome, Error> {
    outcome.or_else(|error| {
        output::say(&format!("ringfence: {error}\n"));
        Ok(Outcome::Ended(exit_code::NO_ANSWER))
    })
}

/// Reads the name of an architecture.
fn target_parser() -> impl TypedValueParser<Value = Arch> {
    let names = [Arch::X86_64, Arch::Aarch64].map(Arch::name);
    PossibleValuesParser::new(names)
        .map(|name| Arch::from_name(&name).expect("the parser lets no other name through"))
}
