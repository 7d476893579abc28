//! A network of a benchmark's own, and a guest in it that sends datagrams back.

use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::thread::UnshareFlags;

/// The port of the guest `net` from which what comes goes back.
const ECHO: u16 = 7;

/// A datagram that is not back by then is lost.
const LOST_AFTER: Duration = Duration::from_secs(5);

/// Why there is no such network, or no answer in it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No namespace.
    #[error("cannot make a network namespace: {0}; run this as root")]
    Namespace(#[source] io::Error),
    /// `ip` is not there, or failed.
    #[error("`{command}` failed: {why}; Debian's package iproute2 has it")]
    Command {
        /// What was run.
        command: String,
        /// Its words, or the system's.
        why: String,
    },
    /// Datagrams.
    #[error("no datagram came back from {address}: {source}")]
    Echo {
        /// The guest.
        address: Ipv4Addr,
        /// The system's reason.
        source: io::Error,
    },
}

/// Puts this thread, and the processes that it starts, into a new network in which there is nothing.
///
/// # Errors
/// [`Error::Namespace`]
pub fn enter_namespace() -> Result<(), Error> {
    // SAFETY: no descriptor and no memory is unshared.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET) }
        .map_err(|errno| Error::Namespace(errno.into()))
}

/// Runs `ip` with these arguments.
///
/// # Errors
/// [`Error::Command`]
pub fn ip(arguments: &str) -> Result<(), Error> {
    let failed = |why: String| Error::Command { command: format!("ip {arguments}"), why };
    let output = Command::new("ip").args(arguments.split(' ')).output();
    let output = output.map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
}

/// The guest `net` behind a TAP.
#[derive(Debug)]
pub struct Echo {
    socket: UdpSocket,
    address: Ipv4Addr,
}

impl Echo {
    /// The guest with number `host`, whose address is 10.0.`host`.2; the host's end of the TAP gets 10.0.`host`.1.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn new(tap: &str, host: u8) -> Result<Self, Error> {
        let address = Ipv4Addr::new(10, 0, host, 2);
        ip(&format!("address add 10.0.{host}.1/24 dev {tap}"))?;
        ip(&format!("link set {tap} up"))?;
        let failed = |source| Error::Echo { address, source };
        let socket = UdpSocket::bind((Ipv4Addr::new(10, 0, host, 1), 0)).map_err(failed)?;
        socket.set_read_timeout(Some(LOST_AFTER)).map_err(failed)?;
        socket.connect((address, ECHO)).map_err(failed)?;
        Ok(Self { socket, address })
    }

    /// Sends `count` datagrams of `bytes` each and receives them back, `window` of them on their way at once; the time of all.
    ///
    /// # Errors
    /// [`Error::Echo`]
    pub fn exchange(&self, bytes: usize, window: u32, count: u32) -> Result<Duration, Error> {
        let sent = vec![0x5a; bytes];
        let mut received = vec![0; bytes];
        let begun = Instant::now();
        for number in 0..count + window {
            let step = if number < window {
                self.socket.send(&sent)
            } else {
                let came = self.socket.recv(&mut received);
                if number < count { came.and_then(|_| self.socket.send(&sent)) } else { came }
            };
            step.map_err(|source| Error::Echo { address: self.address, source })?;
        }
        Ok(begun.elapsed())
    }
}
