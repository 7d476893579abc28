//! A client of the API, at its plainest: one request after the other by one connection.
#![forbid(unsafe_code)]

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a process may take until it serves.
const NOT_SERVING_AFTER: Duration = Duration::from_secs(10);

/// A process that serves its API. It is ended when this is dropped.
#[derive(Debug)]
pub struct Served {
    child: Child,
    stream: UnixStream,
    /// From before the process was made until its first answer was here.
    pub first_answer_after: Duration,
}

impl Served {
    /// Starts `command`, which serves at `socket`, and asks it `GET /` as soon as it takes connections.
    ///
    /// # Errors
    /// The system's, or `InvalidData` where the answer is none.
    pub fn start(command: &mut Command, socket: &Path) -> io::Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        match std::fs::remove_file(socket) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let begun = Instant::now();
        let mut child = command.spawn()?;
        let connected = loop {
            match UnixStream::connect(socket) {
                Err(_) if begun.elapsed() < NOT_SERVING_AFTER => {}
                connected => break connected,
            }
        };
        let answered = connected.and_then(|mut stream| ask(&mut stream, "GET", "/", "").map(|_| stream));
        let first_answer_after = begun.elapsed();
        match answered {
            Ok(stream) => Ok(Self { child, stream, first_answer_after }),
            Err(error) => {
                // It may have ended by itself.
                let _ = child.kill();
                let _ = child.wait();
                Err(error)
            }
        }
    }

    /// One request by the connection that is there; the status of its answer.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn ask(&mut self, method: &str, path: &str, body: &str) -> io::Result<u16> {
        ask(&mut self.stream, method, path, body)
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Answers here are short, and come whole or nearly so.
fn ask(stream: &mut UnixStream, method: &str, path: &str, body: &str) -> io::Result<u16> {
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        if let Some(status) = status_of_whole(&answer) {
            return Ok(status);
        }
        match stream.read(&mut chunk)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => answer.extend_from_slice(&chunk[..count]),
        }
    }
}

/// The status of an answer that is there to its end.
fn status_of_whole(answer: &[u8]) -> Option<u16> {
    let text = str::from_utf8(answer).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    if body.len() < length.unwrap_or(0) {
        return None;
    }
    head.split(' ').nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_with_its_body() {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{ }";
        assert_eq!(status_of_whole(answer), Some(200));
        for end in 0..answer.len() {
            assert_eq!(status_of_whole(&answer[..end]), None, "{end}");
        }
        assert_eq!(status_of_whole(b"HTTP/1.1 204 No Content\r\n\r\n"), Some(204));
    }
}
