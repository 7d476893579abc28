//! The threads that answer requests.

use std::fs;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, SyncSender};

use seccomp_policies::install::{self, install};

use crate::options::Options;
use crate::policies::worker::POLICY;

/// The longest request that is read, in bytes.
const LONGEST: usize = 4096;

const PAGE: &str = "Two thread roles, two policies.\n";

/// Confines the thread, says whether that worked, and then answers one connection after another.
pub(crate) fn run(
    connections: &Mutex<Receiver<TcpStream>>,
    confined: &SyncSender<Result<(), install::Error>>,
    options: &Options,
) {
    let result = install(&POLICY, options.on_violation);
    let failed = result.is_err();
    if confined.send(result).is_err() || failed {
        return;
    }
    while let Some(connection) = next(connections) {
        if let Err(error) = serve(connection, options.bug) {
            eprintln!("two-roles: a connection failed: {error}");
        }
    }
}

fn next(connections: &Mutex<Receiver<TcpStream>>) -> Option<TcpStream> {
    connections.lock().ok()?.recv().ok()
}

fn serve(mut connection: TcpStream, bug: bool) -> io::Result<()> {
    let mut buffer = [0; LONGEST];
    let request = read(&mut connection, &mut buffer)?;
    let (status, body) = answer(request, bug);
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    connection.write_all(head.as_bytes())?;
    connection.write_all(&body)
}

/// The request up to its empty line, as far as it fits.
fn read<'buffer>(connection: &mut TcpStream, buffer: &'buffer mut [u8]) -> io::Result<&'buffer [u8]> {
    let mut filled = 0;
    while filled < buffer.len() && !buffer[..filled].windows(4).any(|bytes| bytes == b"\r\n\r\n") {
        match connection.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(length) => filled += length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(&buffer[..filled])
}

fn answer(request: &[u8], bug: bool) -> (&'static str, Vec<u8>) {
    match path(request) {
        None => ("400 Bad Request", b"Say GET and a path.\n".to_vec()),
        Some("/") => ("200 OK", PAGE.into()),
        Some(path) if bug => file(path),
        Some(_) => ("404 Not Found", b"There is no such page.\n".to_vec()),
    }
}

fn path(request: &[u8]) -> Option<&str> {
    let line = request.split(|byte| *byte == b'\r').next()?;
    str::from_utf8(line).ok()?.strip_prefix("GET ")?.split(' ').next()
}

/// The mistake: a path of the request is a path of the machine.
fn file(path: &str) -> (&'static str, Vec<u8>) {
    match fs::read(path) {
        Ok(body) => ("200 OK", body),
        Err(error) => {
            eprintln!("two-roles: cannot open {path}: {error}");
            ("500 Internal Server Error", format!("cannot open {path}: {error}\n").into())
        }
    }
}
