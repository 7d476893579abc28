//! A client of the API, as plain as can be: requests as bytes on a socket.
#![forbid(unsafe_code)]

use std::ffi::OsStr;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::run::{Ended, Run};
use crate::{binary, child, wait};

/// How long a client waits for an answer before its test fails.
const PATIENCE: Duration = Duration::from_mins(1);

/// A monitor that serves its API, in a folder of its own.
#[derive(Debug)]
pub struct Served {
    /// The process.
    pub run: Run,
    folder: TempDir,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The head, with the status line.
    pub head: String,
    /// The body.
    pub body: String,
}

/// One connection.
#[derive(Debug)]
pub struct Client {
    stream: UnixStream,
    /// Bytes that came behind the last answer.
    ahead: Vec<u8>,
}

/// `ringfence api` with these further arguments.
///
/// # Panics
/// Where it does not come to serve.
pub fn serve<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Served {
    serve_by(binary::ringfence(), |socket| ["api".into(), "--sock".into(), socket.into()], arguments)
}

/// The same by another binary and another beginning of the command line.
///
/// # Panics
/// As [`serve`].
pub fn serve_by<A: AsRef<OsStr>, const N: usize>(
    binary: &Path,
    begin: impl FnOnce(&Path) -> [PathBuf; N],
    arguments: impl IntoIterator<Item = A>,
) -> Served {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let socket = folder.path().join("api");
    let mut command = Command::new(binary);
    child::heed_signals(&mut command);
    command.args(begin(&socket)).args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut run = Run::start(&mut command);
    wait::until("the socket to take connections", || {
        assert!(run.is_running(), "the process has ended: {}", run.stderr());
        UnixStream::connect(&socket).ok()
    });
    Served { run, folder }
}

impl Served {
    /// Where it listens.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("api")
    }

    /// The folder, for files of the test.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A connection.
    ///
    /// # Panics
    /// Where it is refused.
    pub fn connect(&self) -> Client {
        Client::of(UnixStream::connect(self.socket()).expect("the socket takes connections"))
    }

    /// One request by a connection of its own.
    ///
    /// # Panics
    /// As [`Client::ask`].
    pub fn ask(&self, method: &str, path: &str, body: &str) -> Answer {
        self.connect().ask(method, path, body)
    }

    /// One that must be answered by 204.
    ///
    /// # Panics
    /// Where it is not.
    pub fn done(&self, method: &str, path: &str, body: &str) {
        let answer = self.ask(method, path, body);
        assert_eq!(answer.status, 204, "{method} {path} {body}: {}", answer.body);
    }

    /// One that must be refused by 400, with the reason.
    ///
    /// # Panics
    /// Where it is not.
    pub fn refused(&self, method: &str, path: &str, body: &str) -> String {
        let answer = self.ask(method, path, body);
        assert_eq!(answer.status, 400, "{method} {path} {body}: {}", answer.body);
        let value: Value = serde_json::from_str(&answer.body).expect("a refusal is JSON");
        value["fault_message"].as_str().expect("a refusal has a reason").to_owned()
    }

    /// What a GET answers.
    ///
    /// # Panics
    /// Where it is not answered by 200.
    pub fn get(&self, path: &str) -> Value {
        let answer = self.ask("GET", path, "");
        assert_eq!(answer.status, 200, "GET {path}: {}", answer.body);
        serde_json::from_str(&answer.body).expect("an answer is JSON")
    }

    /// Names one of the embedded guests as the machine's kernel.
    ///
    /// # Panics
    /// Where there is no such guest, or it is refused.
    pub fn boot(&self, image: &[u8], arguments: &str) {
        let path = self.folder.path().join("kernel");
        std::fs::write(&path, image).expect("the folder takes a file");
        let body = serde_json::json!({ "kernel_image_path": path, "boot_args": arguments });
        self.done("PUT", "/boot-source", &body.to_string());
    }

    /// Starts the machine.
    ///
    /// # Panics
    /// Where that is refused.
    pub fn start(&self) {
        self.done("PUT", "/actions", r#"{"action_type":"InstanceStart"}"#);
    }

    /// Its end.
    ///
    /// # Panics
    /// When it does not come.
    pub fn wait(self) -> Ended {
        self.run.wait()
    }
}

impl Client {
    /// The client at the end of this stream.
    ///
    /// # Panics
    /// Where the stream takes no timeout.
    pub fn of(stream: UnixStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket takes a timeout");
        Self { stream, ahead: Vec::new() }
    }

    /// A request in the usual form.
    pub fn request(method: &str, path: &str, body: &str) -> String {
        let length =
            if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
        format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{length}\r\n{body}")
    }

    /// The connection itself.
    pub fn stream(&self) -> &UnixStream {
        &self.stream
    }

    /// Sends bytes.
    ///
    /// # Panics
    /// Where they are not taken.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).expect("the connection takes bytes");
    }

    /// Sends no more.
    ///
    /// # Panics
    /// Where the connection has gone.
    pub fn end(&self) {
        self.stream.shutdown(std::net::Shutdown::Write).expect("the connection is there");
    }

    /// Asks and waits for the answer.
    ///
    /// # Panics
    /// Where there is none.
    pub fn ask(&mut self, method: &str, path: &str, body: &str) -> Answer {
        self.send(Self::request(method, path, body));
        self.answer().unwrap_or_else(|| panic!("no answer to {method} {path}"))
    }

    /// The next answer; `None` at the end of the connection.
    ///
    /// # Panics
    /// Where it is no answer, or does not come.
    pub fn answer(&mut self) -> Option<Answer> {
        let head_end = loop {
            if let Some(end) = self.ahead.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            if !self.more() {
                assert!(self.ahead.is_empty(), "cut off: {}", String::from_utf8_lossy(&self.ahead));
                return None;
            }
        };
        let head = String::from_utf8(self.ahead.drain(..head_end).collect()).expect("a head is text");
        let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
        let length = length.map_or(0, |length| length.parse().expect("a length is a number"));
        while self.ahead.len() < length {
            assert!(self.more(), "a body that was cut off");
        }
        let body = String::from_utf8(self.ahead.drain(..length).collect()).expect("a body is text");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        Some(Answer { status, head, body })
    }

    fn more(&mut self) -> bool {
        let mut chunk = [0; 4096];
        match self.stream.read(&mut chunk) {
            // Closed while bytes of ours were unread.
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => false,
            result => {
                let count = result.expect("an answer comes in time");
                self.ahead.extend_from_slice(&chunk[..count]);
                count > 0
            }
        }
    }
}
