//! A network of a test's own, in a namespace, so that nothing of the machine's is touched.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::process::Command;
use std::thread::{self, JoinHandle};

use rustix::thread::UnshareFlags;

use crate::child;

/// Works in a new network namespace, in which there is nothing: the sockets of this thread and the children that it starts
/// belong to it. Says so where it may not make one, or there are no TAPs.
///
/// # Panics
/// Where the work does, or the kernel has no network namespaces.
pub fn in_namespace(work: impl FnOnce() + Send) {
    if !child::is_root() || !Path::new("/dev/net/tun").exists() {
        eprintln!("skipped: only root can make a network namespace, and TAPs in it by /dev/net/tun");
        return;
    }
    let outcome = thread::scope(|scope| {
        let inside = || {
            // SAFETY: no descriptor and no memory is unshared.
            let made = unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET) };
            made.expect("root can make a network namespace");
            work();
        };
        scope.spawn(inside).join()
    });
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}

/// Runs a program of the namespace's, as `ip address add 10.0.0.1/24 dev tap0`, to its good end; what it wrote.
///
/// # Panics
/// Where it is missing or fails.
pub fn command(line: &str) -> String {
    let mut words = line.split(' ');
    let program = words.next().unwrap_or_default();
    let output = Command::new(program).args(words).output().unwrap_or_else(|error| {
        panic!("cannot start {program} ({error}): install iproute2 and busybox-static, as tests/run does")
    });
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{line}: {} {}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

/// What the host's kernel leaves to the other end of an interface, of what `ethtool --show-features` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offloads {
    /// `tx-checksumming`
    pub checksums: bool,
    /// `tcp-segmentation-offload`
    pub segments: bool,
}

/// Those of an interface now.
///
/// # Panics
/// Where there is no such interface.
pub fn offloads(interface: &str) -> Offloads {
    // Linux include/uapi/linux/ethtool.h.
    const ETHTOOL_GTXCSUM: u32 = 0x16;
    const ETHTOOL_GTSO: u32 = 0x1e;
    let socket = UdpSocket::bind("0.0.0.0:0").expect("a socket can be made");
    let asked = |command: u32| {
        // `struct ethtool_value`: what is asked for, and the answer.
        let mut value = [command, 0];
        // SAFETY: all of its members are integers, arrays of them and pointers, for which zeros are a value.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        for (place, byte) in request.ifr_name.iter_mut().zip(interface.bytes()) {
            *place = byte.cast_signed();
        }
        request.ifr_ifru.ifru_data = value.as_mut_ptr().cast();
        // SAFETY: the request reads and writes one `ifreq` and the value that it points to, which both outlive the call.
        let result = unsafe { libc::ioctl(socket.as_raw_fd(), SIOCETHTOOL, &raw mut request) };
        assert_eq!(result, 0, "{interface}: {}", io::Error::last_os_error());
        value[1] != 0
    };
    Offloads { checksums: asked(ETHTOOL_GTXCSUM), segments: asked(ETHTOOL_GTSO) }
}

/// Linux `include/uapi/linux/sockios.h`.
const SIOCETHTOOL: libc::Ioctl = 0x8946;

/// Answers one request for whatever, by HTTP, with these bytes. The address is taken when this comes back.
///
/// # Panics
/// Where the address is not this host's; the thread, where its client does not take the bytes.
pub fn serve_once(address: &str, bytes: Vec<u8>) -> JoinHandle<()> {
    let listener = TcpListener::bind(address).expect("the address is this host's");
    // A thread begins in the namespace of the one that makes it.
    thread::spawn(move || {
        let (stream, _) = listener.accept().expect("a client comes");
        let mut lines = BufReader::new(&stream).lines();
        while !lines.next().expect("a request ends with an empty line").expect("a request is text").is_empty()
        {
        }
        let header = format!("HTTP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n", bytes.len());
        (&stream).write_all(&[header.as_bytes(), &bytes].concat()).expect("the client takes it");
    })
}

/// What an HTTP server has under this path.
///
/// # Panics
/// Where the server is not there or has no such thing.
pub fn fetch(server: &str, path: &str) -> Vec<u8> {
    let mut stream = TcpStream::connect(server).expect("the server is there");
    write!(stream, "GET {path} HTTP/1.0\r\n\r\n").expect("it takes a request");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("it answers");
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("an answer has a header");
    let body = answer.split_off(end + 4);
    let header = String::from_utf8_lossy(&answer);
    assert!(header.lines().next().is_some_and(|line| line.contains(" 200 ")), "{header}");
    body
}
