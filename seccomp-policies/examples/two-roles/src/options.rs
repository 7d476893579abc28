//! The command line.

use seccomp_policies::embed::OnViolation;

const USAGE: &str = "usage: two-roles [--bug] [--on-violation errno|trap|kill|log] [ADDRESS:PORT]";

/// What the user asked for.
#[derive(Clone)]
pub(crate) struct Options {
    /// Where to listen.
    pub(crate) address: String,
    /// Whether workers serve any file of the machine.
    pub(crate) bug: bool,
    /// What the kernel does with a call that a thread may not make: what its policy says, unless asked otherwise.
    pub(crate) on_violation: OnViolation,
}

impl Options {
    pub(crate) fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options =
            Self { address: "127.0.0.1:8080".to_owned(), bug: false, on_violation: OnViolation::AsWritten };
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--bug" => options.bug = true,
                "--on-violation" => options.on_violation = on_violation(arguments.next().as_deref())?,
                option if option.starts_with('-') => return Err(format!("unknown option {option}; {USAGE}")),
                _ => options.address = argument,
            }
        }
        Ok(options)
    }
}

fn on_violation(name: Option<&str>) -> Result<OnViolation, String> {
    match name {
        Some("errno") => Ok(OnViolation::Errno),
        Some("trap") => Ok(OnViolation::Trap),
        Some("kill") => Ok(OnViolation::Kill),
        Some("log") => Ok(OnViolation::Log),
        _ => Err(format!("--on-violation takes errno, trap, kill or log; {USAGE}")),
    }
}
