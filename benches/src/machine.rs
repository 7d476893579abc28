//! A bare-metal guest under one monitor or another, as a process of its own, and the time between two lines of its.
#![forbid(unsafe_code)]

use std::io::{self, BufRead as _, BufReader, Lines};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use guest_images::bare;

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
    /// There is no such guest.
    #[error("the guest `{0}` is not among the embedded ones")]
    NoGuest(&'static str),
    /// The guest could not be written to a file.
    #[error("cannot write the guest to {}: {source}", path.display())]
    Guest {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// It ended without the lines.
    #[error("the guest did not say `{line}`; try by hand: {command}")]
    Silent {
        /// The line.
        line: String,
        /// The command.
        command: String,
    },
}

/// Writes an embedded guest to a file in this folder.
///
/// # Errors
/// [`Error::NoGuest`], [`Error::Guest`]
pub fn guest_file(folder: &Path, name: &'static str) -> Result<PathBuf, Error> {
    let guest = bare::find(name).ok_or(Error::NoGuest(name))?;
    let path = folder.join(name).with_extension("elf");
    match std::fs::write(&path, guest.image) {
        Ok(()) => Ok(path),
        Err(source) => Err(Error::Guest { path, source }),
    }
}

/// A monitor and its guest. The process is ended when this is dropped.
#[derive(Debug)]
pub struct Machine {
    child: Killed,
    lines: Lines<BufReader<ChildStdout>>,
    command: String,
    program: String,
}

impl Machine {
    /// Starts a monitor whose guest says something by its serial port.
    ///
    /// # Errors
    /// [`Error::Run`]
    pub fn start(command: &mut Command) -> Result<Self, Error> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let program = command.get_program().to_string_lossy().into_owned();
        let failed = |source| Error::Run { program: program.clone(), source };
        let mut child = Killed(command.spawn().map_err(failed)?);
        let stdout = child.0.stdout.take().ok_or_else(|| failed(io::ErrorKind::BrokenPipe.into()))?;
        let lines = BufReader::new(stdout).lines();
        Ok(Self { child, lines, command: format!("{command:?}"), program })
    }

    /// Waits until the guest has said a line; when that was.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn wait_for(&mut self, line: &str) -> Result<Instant, Error> {
        for said in self.lines.by_ref() {
            let said = said.map_err(|source| Error::Run { program: self.program.clone(), source })?;
            if said.trim_end() == line {
                return Ok(Instant::now());
            }
        }
        Err(Error::Silent { line: line.to_owned(), command: self.command.clone() })
    }

    /// The monitor's process.
    pub fn pid(&self) -> u32 {
        self.child.0.id()
    }
}

/// Starts a monitor and waits for its guest to say that it begins, and that it is done; the time between. The process is ended
/// afterwards.
///
/// # Errors
/// See [`Error`].
pub fn time_between(command: &mut Command, begin: &str, end: &str) -> Result<Duration, Error> {
    let mut machine = Machine::start(command)?;
    let begun = machine.wait_for(begin)?;
    Ok(machine.wait_for(end)?.duration_since(begun))
}

#[derive(Debug)]
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
