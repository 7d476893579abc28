//! A bare-metal guest under one monitor or another, as a process of its own, and the time between two lines of its.
#![forbid(unsafe_code)]

use std::io::{self, BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Why it could not be measured.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system did not start it, or its output could not be read.
    #[error("cannot run {program}: {source}")]
    Run {
        /// What was started.
        program: String,
        /// The system's reason.
        source: io::Error,
    },
    /// It ended without the lines.
    #[error("the guest did not say `{line}`; try by hand: {command}")]
    Silent {
        /// The line.
        line: &'static str,
        /// The command.
        command: String,
    },
}

/// Starts a monitor and waits for its guest to say that it begins, and that it is done; the time between. The process is ended
/// afterwards.
///
/// # Errors
/// See [`Error`].
pub fn time_between(
    command: &mut Command,
    begin: &'static str,
    end: &'static str,
) -> Result<Duration, Error> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let program = command.get_program().to_string_lossy().into_owned();
    let failed = |source| Error::Run { program: program.clone(), source };
    let mut child = Killed(command.spawn().map_err(failed)?);
    let stdout = child.0.stdout.take().ok_or_else(|| failed(io::ErrorKind::BrokenPipe.into()))?;
    let mut lines = BufReader::new(stdout).lines();
    let mut wait_for = |line: &'static str| {
        for said in lines.by_ref() {
            if said.map_err(failed)?.trim_end() == line {
                return Ok(Instant::now());
            }
        }
        Err(Error::Silent { line, command: format!("{command:?}") })
    };
    let begun = wait_for(begin)?;
    Ok(wait_for(end)?.duration_since(begun))
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn the_time_is_that_between_the_lines_and_the_process_is_ended() {
        let time = time_between(&mut shell("echo a; echo b; sleep 0.05; echo c; exec sleep 1000"), "b", "c");
        assert!(time.unwrap() >= Duration::from_millis(50));
    }

    #[test]
    fn a_guest_that_does_not_say_it_is_an_error_that_names_the_command() {
        let error = time_between(&mut shell("echo a"), "a", "b").unwrap_err().to_string();
        assert!(error.contains("did not say `b`") && error.contains("echo a"), "{error}");
    }
}
