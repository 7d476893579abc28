//! The monitor as users start it: its release build, as a process of its own.
#![forbid(unsafe_code)]

use std::env;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// Names another program than the release build beside the benchmark.
pub const PROGRAM_VARIABLE: &str = "RINGFENCE";

/// Where the loader looks for libraries first (ld.so(8)): Cargo tells benchmarks, and each start of a program that has a loader
/// takes longer for it.
pub const LIBRARY_PATH: &str = "LD_LIBRARY_PATH";

/// Why it could not be measured.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not built.
    #[error("there is no {}: build it with `cargo build --release`, or name another in {PROGRAM_VARIABLE}", path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The system did not start it, or its output could not be read.
    #[error("cannot run {}: {source}", path.display())]
    Run {
        /// The program.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// It could not be copied.
    #[error("cannot copy {} to a temporary folder: {source}", path.display())]
    Copy {
        /// The program.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// It ended without a word.
    #[error("`{} {}` wrote nothing to standard output; try it by hand", path.display(), arguments.join(" "))]
    Silent {
        /// The program.
        path: PathBuf,
        /// What it was told.
        arguments: Vec<String>,
    },
}

/// A program to start.
#[derive(Clone, Debug)]
pub struct Binary(PathBuf);

/// A process that has written its first byte. It is ended when this is dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    stdout: ChildStdout,
    path: PathBuf,
    /// From before the process was made until its first byte was here.
    pub first_byte_after: Duration,
}

impl Binary {
    /// The release build in the target folder that the benchmark itself lies in.
    ///
    /// # Errors
    /// [`Error::Missing`]
    pub fn find() -> Result<Self, Error> {
        let path = env::var_os(PROGRAM_VARIABLE).map_or_else(beside_benchmark, PathBuf::from);
        if path.is_file() { Ok(Self(path)) } else { Err(Error::Missing { path }) }
    }

    /// A copy in this folder, as an installation makes one. What a linker has just written lies in the page cache in smaller
    /// pieces, and takes longer to start.
    ///
    /// # Errors
    /// [`Error::Copy`]
    pub fn copied_to(&self, folder: &Path) -> Result<Self, Error> {
        let copy = folder.join("ringfence");
        match std::fs::copy(&self.0, &copy) {
            Ok(_) => Ok(Self(copy)),
            Err(source) => Err(Error::Copy { path: self.0.clone(), source }),
        }
    }

    /// The program.
    pub fn command(&self) -> Command {
        Command::new(&self.0)
    }

    /// Its file.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Starts it and waits for the first byte of its standard output.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn start(&self, arguments: &[&str]) -> Result<Running, Error> {
        let failed = |source| Error::Run { path: self.0.clone(), source };
        let silent = || Error::Silent {
            path: self.0.clone(),
            arguments: arguments.iter().map(ToString::to_string).collect(),
        };
        let mut command = self.command();
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let start = Instant::now();
        let mut child = command.spawn().map_err(failed)?;
        let mut stdout = child.stdout.take().ok_or_else(silent)?;
        let read = stdout.read(&mut [0]);
        let first_byte_after = start.elapsed();
        let running = Running { child, stdout, path: self.0.clone(), first_byte_after };
        match read {
            Ok(1) => Ok(running),
            Ok(_) => Err(silent()),
            Err(source) => Err(failed(source)),
        }
    }
}

/// `release/ringfence`, seen from `release/deps/` of the same folder.
fn beside_benchmark() -> PathBuf {
    let deps = env::current_exe().unwrap_or_default();
    let release = deps.ancestors().nth(2).unwrap_or(&deps);
    release.join("ringfence")
}

impl Running {
    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Lets it come to its own end.
    ///
    /// # Errors
    /// [`Error::Run`]: its output could not be read, or its end not be waited for.
    pub fn finish(mut self) -> Result<(), Error> {
        io::copy(&mut self.stdout, &mut io::sink())
            .and_then(|_| self.child.wait())
            .map(drop)
            .map_err(|source| Error::Run { path: self.path.clone(), source })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself, and been waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell() -> Binary {
        Binary("/bin/sh".into())
    }

    #[test]
    fn the_time_ends_with_the_first_byte_and_not_with_the_process() {
        let running = shell().start(&["-c", "echo here; exec sleep 1000"]).unwrap();
        assert!(running.first_byte_after > Duration::ZERO);
        assert!(running.pid() > 0);
    }

    #[test]
    fn a_program_that_says_nothing_is_an_error_that_names_its_arguments() {
        let error = shell().start(&["-c", "exit 3"]).unwrap_err();
        assert!(error.to_string().starts_with("`/bin/sh -c exit 3` wrote nothing"), "{error}");
    }

    #[test]
    fn a_program_that_ends_is_waited_for() {
        let running = shell().start(&["-c", "echo one; echo two"]).unwrap();
        running.finish().unwrap();
    }

    #[test]
    fn a_program_that_is_not_there_is_an_error() {
        let error = Binary("/no/such/program".into()).start(&[]).unwrap_err();
        assert!(matches!(error, Error::Run { .. }), "{error}");
    }
}
