//! `ringfence policy exec`.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use seccomp_policies::constants;
use seccomp_policies::syscalls::Arch;
use seccomp_policies::union::union;
use serde_json::json;

use super::Error;
use super::input::Reading;
use crate::cli::{Outcome, output};
use crate::exec::{self, Ended, Manner, Missing, Program};
use crate::report::{self, Violation};

const EXAMPLES: &str = "\
The command runs with what any of the policies allows, and everything that it starts too. The first \
call that is refused by trap or kill ends it and is reported; errno, log and allow work as the policy \
says. The one execve that starts the command is let through; every other is the policy's to allow. \
A program usually needs more to start than to run: --log shows what.

Exit codes: the command's own; 128+N ended by signal N; 148 a call was refused; 126 and 127 the \
command cannot be executed, or does not exist; 2 a policy cannot be read.

Examples:
  ringfence policy exec server.policy --log -- /bin/true
  ringfence policy exec base.policy server.policy --errno EPERM -- /bin/true";

/// The command cannot be executed: as shells say it.
const NOT_EXECUTABLE: u8 = 126;
/// There is no such command: as shells say it.
const NOT_FOUND: u8 = 127;

/// Arguments of `policy exec`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The policies; what any of them allows is allowed
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The command and its arguments
    #[arg(required = true, last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
    /// Carry refused calls out all the same, and report each kind of them once
    #[arg(long, conflicts_with = "errno")]
    log: bool,
    /// Let refused calls fail with this error, and report the first
    #[arg(long, value_name = "NAME", value_parser = errno_parser(), hide_possible_values = true)]
    errno: Option<u16>,
    /// Say how it ended as JSON, in this file
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    #[command(flatten)]
    reading: Reading,
}

pub(super) fn run(args: &Args) -> Result<Outcome, Error> {
    if Some(args.reading.target()) != Arch::from_name(std::env::consts::ARCH) {
        return Err(Error::ForeignTarget { target: args.reading.target() });
    }
    let policies = args.files.iter().map(|file| args.reading.policy(file)).collect::<Result<Vec<_>, _>>()?;
    let policy = union(&policies).expect("the command line wants one at least");
    let program = match Program::find(&args.command) {
        Ok(program) => program,
        Err(missing) => return Ok(not_run(&missing)),
    };
    match exec::run(&program, &policy, args.manner(), &mut |violation| say(violation, args.log)) {
        Ok(ended) => {
            args.close(&ended)?;
            Ok(Outcome::Ended(ended.code))
        }
        Err(error @ exec::Error::Execute { .. }) => {
            output::say(&format!("ringfence: {error}\n"));
            Ok(Outcome::Ended(NOT_EXECUTABLE))
        }
        Err(error) => Err(error.into()),
    }
}

impl Args {
    fn manner(&self) -> Manner {
        match self.errno {
            Some(errno) => Manner::Fail(errno),
            None if self.log => Manner::Report,
            None => Manner::End,
        }
    }

    /// The last words.
    fn close(&self, ended: &Ended) -> Result<(), Error> {
        match (self.manner(), &ended.first) {
            (Manner::End, Some(violation)) => say(violation, false),
            (Manner::Fail(_), Some(_)) => {
                output::say(&format!("ringfence: {} refused\n", calls(ended.refused)));
            }
            (Manner::Report, Some(_)) => {
                output::say(&format!(
                    "ringfence: {} carried out that the policy refuses\n",
                    calls(ended.refused)
                ));
            }
            (_, None) => {}
        }
        let Some(path) = &self.report else { return Ok(()) };
        let report = json!({
            "report": "exec",
            "schema": SCHEMA,
            "exit_code": ended.code,
            "violation": ended.first.as_ref().map(report::json::violation),
            "refused": ended.refused,
        });
        fs::write(path, format!("{report:#}\n"))
            .map_err(|source| output::Error::Write { path: path.clone(), source }.into())
    }
}

/// Version of the report's shape; it changes when a member changes its meaning or goes away.
const SCHEMA: u32 = 1;

fn not_run(missing: &Missing) -> Outcome {
    output::say(&format!("ringfence: {missing}\n"));
    Outcome::Ended(match missing {
        Missing::NotFound(_) => NOT_FOUND,
        Missing::NotExecutable { .. } | Missing::ZeroByte => NOT_EXECUTABLE,
    })
}

fn say(violation: &Violation, is_carried_out: bool) {
    let text = if is_carried_out {
        report::text::would_be_violation(violation)
    } else {
        report::text::violation(violation)
    };
    output::say(&format!("ringfence: {text}\n"));
}

fn calls(count: u64) -> String {
    if count == 1 { "1 call was".to_owned() } else { format!("{count} calls were") }
}

fn errno_parser() -> impl TypedValueParser<Value = u16> {
    PossibleValuesParser::new(constants::errno_names())
        .map(|name| constants::errno(&name).expect("the parser lets no other name through"))
}
