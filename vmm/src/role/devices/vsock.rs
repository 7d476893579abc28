//! The host's end of a socket device: a Unix socket that is there before the guest starts.

use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use rustix::event::epoll;

use crate::devices::virtio::vsock::GUEST_CIDS;
use crate::role::io::{Kind, LONGEST_PATH};

/// What a socket device is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VsockConfig {
    /// The guest's address, one of [`GUEST_CIDS`].
    pub cid: u32,
    /// Where the host's end is.
    pub path: PathBuf,
}

/// A socket device's end on the host, listening.
#[derive(Debug)]
pub struct Vsock {
    /// The guest's address.
    pub cid: u32,
    socket: UnixListener,
    epoll: OwnedFd,
    /// From the root; as long as the process.
    path: &'static Path,
}

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its address is none.
    #[error(
        "a guest's address (CID) is {} to {}, not {cid}: 2 is the host's, and the others mean something else",
        GUEST_CIDS.start(),
        GUEST_CIDS.end()
    )]
    Cid {
        /// What was given.
        cid: u32,
    },
    /// No room for the ports' names.
    #[error(
        "the path {} is too long for a socket: from the root it has {length} bytes, and may have {LONGEST_PATH}, so that a \
         port can be added; put the socket into a folder with a shorter path",
        path.display()
    )]
    Long {
        /// From the root.
        path: PathBuf,
        /// Bytes.
        length: usize,
    },
    /// Something is there.
    #[error("the socket {} cannot be made: {}", path.display(), occupied(*in_use, path))]
    Occupied {
        /// Where.
        path: PathBuf,
        /// Somebody listens there.
        in_use: bool,
    },
    /// The system refuses it.
    #[error("the socket {} cannot be made: {source}{}", path.display(), advice(source))]
    Make {
        /// Where.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

fn occupied(in_use: bool, path: &Path) -> String {
    if in_use {
        "another process listens there; give each guest a socket of its own".to_owned()
    } else {
        format!(
            "there is something already, as a run leaves its socket behind; if nobody needs it: rm {}",
            path.display()
        )
    }
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "; its folder has to be there",
        io::ErrorKind::PermissionDenied => "; its folder has to be one that you may write to",
        _ => "",
    }
}

impl VsockConfig {
    fn failed(&self, source: io::Error) -> Error {
        match source.kind() {
            io::ErrorKind::AddrInUse => {
                Error::Occupied { path: self.path.clone(), in_use: UnixStream::connect(&self.path).is_ok() }
            }
            _ => Error::Make { path: self.path.clone(), source },
        }
    }

    /// Looks whether the socket can be made, and makes nothing. Gives its path from the root.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn check(&self) -> Result<PathBuf, Error> {
        let Self { cid, path } = self;
        if !GUEST_CIDS.contains(cid) {
            return Err(Error::Cid { cid: *cid });
        }
        let failed = |source| self.failed(source);
        let name = path.file_name().ok_or_else(|| failed(io::ErrorKind::IsADirectory.into()))?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // From the root, since this is how ports are found later.
        let path = folder.canonicalize().map_err(failed)?.join(name);
        let length = path.as_os_str().as_bytes().len();
        if length > LONGEST_PATH {
            return Err(Error::Long { path, length });
        }
        // Also a link that leads nowhere is in the way.
        if path.symlink_metadata().is_ok() {
            return Err(failed(io::ErrorKind::AddrInUse.into()));
        }
        Ok(path)
    }
}

impl Vsock {
    /// Makes the socket and listens. The mode is what the umask leaves.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn open(config: &VsockConfig) -> Result<Self, Error> {
        let failed = |source| config.failed(source);
        let path = config.check()?;
        let socket = UnixListener::bind(&path).map_err(failed)?;
        socket.set_nonblocking(true).map_err(failed)?;
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(|errno| failed(errno.into()))?;
        Ok(Self { cid: config.cid, socket, epoll, path: Box::leak(path.into_boxed_path()) })
    }

    /// What io needs of it.
    pub(super) fn kind(&self) -> Kind {
        Kind::Vsock {
            cid: self.cid,
            socket: self.socket.as_raw_fd(),
            epoll: self.epoll.as_raw_fd(),
            path: self.path,
        }
    }
}

/// A machine that does not come to be leaves no socket in the way of the next. One that does keeps it to the end of the
/// process, and behind.
impl Drop for Vsock {
    fn drop(&mut self) {
        // Where it is gone already there is nothing to do.
        let _ = std::fs::remove_file(self.path);
    }
}

/// What is wrong with the text of a socket device.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// Not two parts.
    #[error("a socket device is CID,SOCKET, as in 3,/run/guest.sock")]
    Parts,
    /// No number.
    #[error("`{0}` is no address of a guest (CID): a number from {first} on", first = GUEST_CIDS.start())]
    Cid(String),
}

impl VsockConfig {
    /// A socket device as the command line has it: `CID,SOCKET`.
    ///
    /// # Errors
    /// See [`TextError`].
    pub fn from_text(text: &str) -> Result<Self, TextError> {
        let (cid, path) =
            text.split_once(',').filter(|(_, path)| !path.is_empty()).ok_or(TextError::Parts)?;
        let number = cid.parse().ok().filter(|cid| GUEST_CIDS.contains(cid));
        Ok(Self { cid: number.ok_or_else(|| TextError::Cid(cid.to_owned()))?, path: path.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_device_as_text_is_an_address_and_a_path() {
        let text = VsockConfig::from_text;
        assert_eq!(text("3,/run/a,b.sock"), Ok(VsockConfig { cid: 3, path: "/run/a,b.sock".into() }));
        assert_eq!(text("4294967294,v"), Ok(VsockConfig { cid: u32::MAX - 1, path: "v".into() }));
        for wrong in ["", "3", "3,", "/run/a.sock"] {
            assert_eq!(text(wrong), Err(TextError::Parts), "{wrong}");
        }
        for cid in ["2", "0", "-1", "4294967295", "x", ""] {
            assert_eq!(text(&format!("{cid},v")), Err(TextError::Cid(cid.into())));
        }
    }

    fn message(cid: u32, path: &Path) -> String {
        Vsock::open(&VsockConfig { cid, path: path.into() }).unwrap_err().to_string()
    }

    #[test]
    fn what_is_in_the_way_of_a_socket_is_told_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("v.sock");
        let first = Vsock::open(&VsockConfig { cid: 3, path: path.clone() }).unwrap();
        assert!(message(3, &path).contains("another process listens there"), "{}", message(3, &path));
        drop(first);
        assert!(!path.exists(), "nothing is left of a machine that did not come to be");
        drop(UnixListener::bind(&path).unwrap());
        let left = message(3, &path);
        assert!(left.ends_with(&format!("rm {}", path.display())), "{left}");
        let missing = message(3, &folder.path().join("no/v.sock"));
        assert!(missing.ends_with("; its folder has to be there"), "{missing}");
        assert!(message(2, &path).contains("3 to 4294967294, not 2"));
    }

    #[test]
    fn a_path_may_be_as_long_as_leaves_room_for_a_port() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().canonicalize().unwrap();
        let path = |length: usize| base.join("x".repeat(length - base.as_os_str().len() - 1));
        assert!(Vsock::open(&VsockConfig { cid: 3, path: path(LONGEST_PATH) }).is_ok());
        let long = message(3, &path(LONGEST_PATH + 1));
        assert!(long.contains(&format!("{} bytes, and may have {LONGEST_PATH}", LONGEST_PATH + 1)), "{long}");
    }
}
