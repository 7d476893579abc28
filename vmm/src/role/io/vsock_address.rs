//! Where the host's ports are: the path of the listening socket, `_` and the port.

use std::ffi::CStr;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::io::Errno;
use rustix::net::SocketAddrUnix;

/// Bytes of `sun_path` (unix(7)), a zero at the end among them.
const PATH_BYTES: usize = 108;

/// The longest that is added to the path: `_4294967295`.
const MOST_ADDED: usize = 11;

/// Bytes of the longest path of a listening socket that leaves room for every port.
pub const LONGEST_PATH: usize = PATH_BYTES - 1 - MOST_ADDED;

/// The addresses of the host's ports.
///
/// Each is filled up with slashes at its front, so that all have the same length, which is what a policy can ask for. An
/// abstract address is taken with its length, so whoever may connect by this length alone reaches next to none of them.
#[derive(Debug)]
pub(super) struct Address {
    /// From the root, without its slashes.
    path: Box<[u8]>,
}

impl Address {
    /// `path`: of the listening socket, from the root; not longer than [`LONGEST_PATH`].
    pub(super) fn new(path: &Path) -> Self {
        let bytes = path.as_os_str().as_bytes();
        let start = bytes.iter().position(|byte| *byte != b'/').unwrap_or(bytes.len());
        Self { path: bytes[start..].into() }
    }

    /// Where the host's port is.
    ///
    /// # Errors
    /// `ENAMETOOLONG`, which no path of the allowed length gives.
    pub(super) fn of_port(&self, port: u32) -> Result<SocketAddrUnix, Errno> {
        let mut name = [0; MOST_ADDED];
        let mut rest = name.as_mut_slice();
        let _ = write!(rest, "_{port}");
        let length = MOST_ADDED - rest.len();

        let mut bytes = [b'/'; PATH_BYTES];
        let end = PATH_BYTES - 1;
        let name_at = end - length;
        // One slash at least is left.
        let path_at = name_at.checked_sub(self.path.len()).filter(|at| *at > 0).ok_or(Errno::NAMETOOLONG)?;
        bytes[path_at..name_at].copy_from_slice(&self.path);
        bytes[name_at..end].copy_from_slice(&name[..length]);
        bytes[end] = 0;
        let path = CStr::from_bytes_with_nul(&bytes).map_err(|_| Errno::INVAL)?;
        SocketAddrUnix::new(path)
    }
}

#[cfg(test)]
mod tests {
    use rustix::net::addr::SocketAddrArg as _;

    use super::*;

    fn parts(path: &str, port: u32) -> (String, u32) {
        let address = Address::new(Path::new(path)).of_port(port).unwrap();
        // A path that fills its place comes with the zero at its end.
        let path = address.path_bytes().unwrap().strip_suffix(b"\0").unwrap().to_vec();
        let text = String::from_utf8(path).unwrap();
        // SAFETY: the length is read and nothing else.
        let length = unsafe { address.with_sockaddr(|_, length| length) };
        (text, length)
    }

    #[test]
    fn an_address_is_the_path_with_the_port_and_as_long_as_every_other() {
        let longest = format!("/{}", "x".repeat(LONGEST_PATH - 1));
        for (path, port) in [("/run/a.sock", 0), ("//run/a.sock", 5000), (&longest, u32::MAX), ("/a", 7)] {
            let (text, length) = parts(path, port);
            let expected = format!("{}_{port}", path.trim_start_matches('/'));
            assert_eq!(text.trim_start_matches('/'), expected);
            assert!(text.starts_with('/'));
            // The policy of io with sockets asks for this number.
            assert_eq!((text.len(), length), (107, 110));
        }
    }

    #[test]
    fn a_path_that_leaves_no_room_for_a_port_is_refused() {
        let path = format!("/{}", "x".repeat(LONGEST_PATH));
        assert!(Address::new(Path::new(&path)).of_port(u32::MAX).is_err());
    }
}
