//! `ringfence policy explain`.

use std::path::PathBuf;

use seccomp_policies::explain::explain;
use seccomp_policies::pattern::{Answer, Pattern};

use super::input::Reading;
use super::{Error, exit_code};
use crate::cli::Outcome;
use crate::cli::output::{self, Reported};

const EXAMPLES: &str = "\
CALL is a call as people and strace write it. Arguments come in their order or by name; those left \
out, and `?`, are open. A string or a structure stands for an address that is not null.

Exit codes: 0 allowed; 1 refused; 2 the question cannot be answered; 3 depends on open arguments.

Examples:
  ringfence policy explain vcpu.policy 'ioctl(fd=3, cmd=KVM_RUN)'
  ringfence policy explain vcpu.policy rt_sigreturn
  ringfence policy explain vcpu.policy 'write(4, \"\", 8)' --json";

/// Arguments of `policy explain`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The policy
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The call
    #[arg(value_name = "CALL")]
    call: String,
    /// For programs: one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    reading: Reading,
}

pub(super) fn run(args: &Args) -> Result<Outcome, Error> {
    let policy = args.reading.policy(&args.file)?;
    let pattern = Pattern::parse(&args.call, args.reading.target()).map_err(|errors| {
        output::show(&errors);
        Error::Question
    })?;
    let explanation = explain(&policy, &pattern, &args.call);
    if args.json {
        output::json(&Reported::named("explanation", &explanation))?;
    } else {
        output::print(explanation.to_string().as_bytes())?;
    }
    Ok(outcome(explanation.answer))
}

/// How a question ends that has this answer.
pub(super) const fn outcome(answer: Answer) -> Outcome {
    match answer {
        Answer::Allowed => Outcome::Done,
        Answer::Refused => Outcome::Deficient,
        Answer::Depends => Outcome::Ended(exit_code::DEPENDS),
    }
}
