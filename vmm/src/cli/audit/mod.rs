//! `ringfence audit`: what threads may ask of the kernel, and whether that is what was meant.

mod costs;
mod diff;
mod learn;
mod live;
mod observe;
mod page;
mod policies;

use std::io;
use std::path::{Path, PathBuf};

use seccomp_policies::embed::Embedded;
use seccomp_policies::language::{self, Policy};
use seccomp_policies::learn::Mismatch;
use seccomp_policies::syscalls::Arch;

use super::reading::{Named, Reading};
use super::{Outcome, bench, output};
use crate::audit;
use crate::audit::live::Expected;

/// Arguments of `audit`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Put the roles' policies side by side: what each may call, under which condition, and what it can do by that
    Policies(policies::Args),
    /// Look at the threads of running processes: what holds each, by the kernel's own filters
    Live(live::Args),
    /// Record what threads ask of the kernel: the tightest policy that would have done, and how far the present one is used
    Learn(learn::Args),
    /// Hold a running process against policies that do not hold it: calls that they would refuse are told, and none is refused
    Observe(observe::Args),
    /// What two reports say differently
    Diff(diff::Args),
}

/// Why `audit` could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A process cannot be seen.
    #[error(transparent)]
    Process(#[from] audit::live::process::Error),
    /// A policy cannot be read, or does not hold; what is wrong with it has been shown.
    #[error("{} does not hold or cannot be read, so that nothing can be held against it", path.display())]
    Refused {
        /// The path given.
        path: PathBuf,
    },
    /// A report cannot be read.
    #[error("cannot read the report {}: {source}", path.display())]
    ReadReport {
        /// The path given.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Nothing could be observed.
    #[error(transparent)]
    Observe(#[from] audit::observe::Error),
    /// Nothing could be recorded.
    #[error(transparent)]
    Record(#[from] audit::record::Error),
    /// It is no JSON, or of another shape.
    #[error("{} is no recording: {source}; a recording is what `audit learn --record` writes", path.display())]
    NoRecording {
        /// The path given.
        path: PathBuf,
        /// What is wrong, and where.
        source: serde_json::Error,
    },
    /// A recording that cannot be used here.
    #[error("{} {source}", path.display())]
    Recording {
        /// The path given.
        path: PathBuf,
        /// Why.
        source: Mismatch,
    },
    /// A folder for results cannot be made.
    #[error("cannot make the folder {}: {source}", path.display())]
    MakeFolder {
        /// The path given.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// It is no JSON.
    #[error("{} is no JSON: {source}; a report is what --json prints", path.display())]
    NoJson {
        /// The path given.
        path: PathBuf,
        /// What is wrong, and where.
        source: serde_json::Error,
    },
    /// It is none, or not of this version.
    #[error("{} {source}", path.display())]
    Report {
        /// The path given.
        path: PathBuf,
        /// Why.
        source: audit::compare::Error,
    },
    /// Two reports of different kinds.
    #[error(
        "{} is of `audit {old_kind}`, and {} of `audit {new_kind}`: compare two of one kind", old.display(), new.display()
    )]
    Kinds {
        /// The first.
        old: PathBuf,
        /// Its kind.
        old_kind: &'static str,
        /// The second.
        new: PathBuf,
        /// Its kind.
        new_kind: &'static str,
    },
    /// Nobody has this role.
    #[error("there is no role {name}: there are {}", roles.join(", "))]
    NoSuchRole {
        /// What was asked for.
        name: String,
        /// The roles that there are.
        roles: Vec<String>,
    },
    /// A file of several threads' policies, where one is needed.
    #[error(
        "{} has policies of several threads: {}; choose one, as in 'NAME*={}:{}'", path.display(), roles.join(", "),
        path.display(), roles[0]
    )]
    SeveralRoles {
        /// The path given.
        path: PathBuf,
        /// The threads' names.
        roles: Vec<String>,
    },
    /// A run of `bench` cannot be read.
    #[error(transparent)]
    Costs(#[from] bench::earlier::Error),
    /// A result cannot be written.
    #[error(transparent)]
    Output(#[from] output::Error),
}

/// Runs the command. What cannot be answered has an exit code of its own, so that it is not taken for a "no".
///
/// # Errors
/// See [`Error`].
pub fn run(args: &Args) -> Result<Outcome, Error> {
    let outcome = match &args.command {
        Command::Live(args) => live::run(args),
        Command::Policies(args) => policies::run(args),
        Command::Learn(args) => learn::run(args),
        Command::Observe(args) => observe::run(args),
        Command::Diff(args) => diff::run(args),
    };
    outcome.or_else(|error| {
        output::say(&format!("ringfence: {error}\n"));
        Ok(Outcome::Ended(NO_ANSWER))
    })
}

/// The question could not be answered.
const NO_ANSWER: u8 = 2;

/// Reads a policy of any format, for 64-bit x86. What is wrong with it, and what of it was lost, is shown.
fn read(path: &Path, role: Option<String>, reading: &Reading) -> Result<Vec<Policy>, Error> {
    reading.policies(path, role).ok_or_else(|| Error::Refused { path: path.to_owned() })
}

/// A policy of the build, from its text.
fn of_build(policy: &Embedded) -> Option<Policy> {
    let checked = language::check_sources(policy.sources.first()?.0, policy.sources, Arch::X86_64);
    Some(checked.ok()?.policy)
}

/// Policies that threads should have, as the command line gives them: `[THREADS=]FILE[:ROLE]`
fn expected(texts: &[String], reading: &Reading) -> Result<Vec<Expected>, Error> {
    texts.iter().map(|text| expected_by(text, reading)).collect()
}

fn expected_by(text: &str, reading: &Reading) -> Result<Expected, Error> {
    let Named { name: threads, path, role } = Named::of(text);
    let mut policies = read(&path, role, reading)?;
    if policies.len() > 1 {
        let roles = policies.into_iter().map(|policy| policy.role).collect();
        return Err(Error::SeveralRoles { path, roles });
    }
    let policy = policies.pop().ok_or_else(|| Error::Refused { path: path.clone() })?;
    Ok(Expected { threads, policy, file: path })
}
