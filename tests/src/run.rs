//! One run of the binary: its input, its output, its end.
#![forbid(unsafe_code)]

use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::io::{Read, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use serde_json::Value;

use crate::{binary, child, wait};

/// A running process. Killed, by its id, when it is dropped.
#[derive(Debug)]
pub struct Run {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Option<Stream>,
    stderr: Option<Stream>,
}

/// A process that has ended, with everything that it wrote to pipes.
#[derive(Debug)]
pub struct Ended {
    /// How.
    pub status: ExitStatus,
    /// Its standard output: the guest's.
    pub stdout: Vec<u8>,
    /// Its standard error, in which it speaks for itself.
    pub stderr: String,
}

/// `ringfence run` with these arguments, standard input, output and error as pipes.
pub fn guest<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Run {
    Run::start(run_command(binary::ringfence()).args(arguments))
}

/// The same by the binary whose threads can be provoked, with `--provoke` if `deed` is not empty.
pub fn provoked<A: AsRef<OsStr>>(deed: &str, arguments: impl IntoIterator<Item = A>) -> Run {
    let mut command = run_command(binary::provoking());
    if !deed.is_empty() {
        command.args(["--provoke", deed]);
    }
    Run::start(command.args(arguments))
}

/// `ringfence run`, to be given arguments and, where pipes will not do, other streams.
pub fn run_command(binary: &Path) -> Command {
    let mut command = Command::new(binary);
    child::heed_signals(&mut command);
    command.arg("run").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Fails where KVM is missing: a test that needs it must not pass without.
///
/// # Panics
/// Where /dev/kvm cannot be opened.
pub fn require_kvm() {
    if let Err(error) = OpenOptions::new().read(true).write(true).open("/dev/kvm") {
        panic!(
            "this test starts a guest and cannot open /dev/kvm: {error}; `ringfence doctor` says what to do"
        );
    }
}

impl Run {
    /// Starts the process and collects what it writes to pipes.
    ///
    /// # Panics
    /// Where it cannot be started, or KVM is missing.
    pub fn start(command: &mut Command) -> Self {
        let mut run = Self::start_unread(command);
        run.read_stdout();
        run
    }

    /// Starts the process and leaves its standard output unread, so that the pipe fills up.
    ///
    /// # Panics
    /// As [`Run::start`].
    pub fn start_unread(command: &mut Command) -> Self {
        require_kvm();
        let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let stdin = child.stdin.take();
        let stderr = child.stderr.take().map(Stream::read);
        Self { child, stdin, stdout: None, stderr }
    }

    /// Begins to read what was left unread.
    pub fn read_stdout(&mut self) {
        if let Some(pipe) = self.child.stdout.take() {
            self.stdout = Some(Stream::read(pipe));
        }
    }

    /// The process's id.
    pub fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }

    /// Writes to its standard input.
    ///
    /// # Panics
    /// Where that is no pipe, or the process does not take it.
    pub fn say(&mut self, text: &str) {
        let stdin = self.stdin.as_mut().expect("standard input is a pipe and was not closed");
        stdin.write_all(text.as_bytes()).expect("the process takes input");
    }

    /// Ends its standard input.
    pub fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// What it has written to standard output by now.
    pub fn stdout(&self) -> String {
        self.stdout.as_ref().map_or_else(String::new, Stream::text)
    }

    /// What it has written to standard error by now.
    pub fn stderr(&self) -> String {
        self.stderr.as_ref().map_or_else(String::new, Stream::text)
    }

    /// Waits until standard output holds this text.
    ///
    /// # Panics
    /// When the process ends without it, or it does not come.
    pub fn wait_for(&mut self, text: &str) {
        wait::until(&format!("{text:?} on standard output"), || {
            // Asked first: what was written before the end is then in the stream, or nearly.
            let ended = self.child.try_wait().expect("a child can be waited for");
            if self.stdout().contains(text) {
                return Some(());
            }
            if let Some(status) = ended
                && self.stdout.as_ref().is_none_or(Stream::is_at_end)
                && !self.stdout().contains(text)
            {
                let (stdout, stderr) = (self.stdout(), self.stderr());
                panic!("the run ended ({status}) without {text:?}\nstdout: {stdout}\nstderr: {stderr}");
            }
            None
        });
    }

    /// Whether it has not ended yet.
    ///
    /// # Panics
    /// Where the system cannot tell.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a child can be waited for").is_none()
    }

    /// Sends the process a signal.
    ///
    /// # Panics
    /// Where it has ended.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).expect("a child that was not waited for can be signalled");
    }

    /// Waits for the end, with standard input left as it is.
    ///
    /// # Panics
    /// When it does not come.
    pub fn wait(mut self) -> Ended {
        self.read_stdout();
        let status =
            wait::until("the end of the run", || self.child.try_wait().expect("a child can be waited for"));
        let collect = |stream: Option<Stream>| stream.map_or_else(Vec::new, Stream::collect);
        let stdout = collect(self.stdout.take());
        let stderr = String::from_utf8_lossy(&collect(self.stderr.take())).into_owned();
        Ended { status, stdout, stderr }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to kill, and it was or is waited for here.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ended {
    /// Its exit code; 128 + N, as a shell has it, where signal N ended it.
    pub fn code(&self) -> i32 {
        let by_signal = || self.status.signal().map(|signal| 128 + signal);
        self.status.code().or_else(by_signal).expect("a process ends by itself or by a signal")
    }

    /// Standard output as text.
    pub fn output(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// What `--json` wrote: the last line of standard error.
    ///
    /// # Panics
    /// Where that is no JSON.
    pub fn report(&self) -> Value {
        let line = self.stderr.lines().last().unwrap_or_default();
        serde_json::from_str(line)
            .unwrap_or_else(|error| panic!("standard error ends with no report ({error}): {}", self.stderr))
    }

    /// The same run, which must have ended with this exit code.
    ///
    /// # Panics
    /// Where it has not, with everything that it said.
    #[expect(clippy::return_self_not_must_use, reason = "to have asserted it may be all that is wanted")]
    pub fn expect_code(self, code: i32) -> Self {
        let (output, stderr) = (self.output(), &self.stderr);
        assert_eq!(self.code(), code, "exit code\nstdout: {output}\nstderr: {stderr}");
        self
    }
}

/// What comes out of a pipe, collected by a thread.
#[derive(Debug)]
struct Stream {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
}

impl Stream {
    fn read(mut pipe: impl Read + Send + 'static) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let filled = Arc::clone(&bytes);
        let reader = thread::spawn(move || {
            let mut chunk = [0; 4096];
            // A pipe's error is its end, as far as a test is concerned.
            while let Ok(count @ 1..) = pipe.read(&mut chunk) {
                filled.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&chunk[..count]);
            }
        });
        Self { bytes, reader }
    }

    fn is_at_end(&self) -> bool {
        self.reader.is_finished()
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }

    fn collect(self) -> Vec<u8> {
        // Ends with the last process that holds the other end, which is this run's own.
        let _ = self.reader.join();
        std::mem::take(&mut *self.bytes.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
