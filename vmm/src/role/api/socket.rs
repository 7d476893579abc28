//! The API's socket: bound before its thread is fenced, listening from then on.
#![forbid(unsafe_code)]

use std::fs::Permissions;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::{self, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

/// Connections that may wait to be taken; further clients have to try again.
const BACKLOG: i32 = 128;

/// Where the socket is, and whose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketOptions {
    /// Its path.
    pub path: PathBuf,
    /// Permissions; `None`: those that the umask leaves.
    pub mode: Option<u32>,
    /// User and group; `None`: those of the process.
    pub owner: Option<(u32, u32)>,
}

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// A file is there already.
    #[error("cannot listen on {}: the file is there already{}", path.display(), if *in_use {
        ", and a process listens on it; name another one"
    } else {
        ". A run that has ended leaves its socket; remove it, or name another one"
    })]
    Exists {
        /// The path.
        path: PathBuf,
        /// Somebody takes connections.
        in_use: bool,
    },
    /// Another reason.
    #[error("cannot listen on {}: {what} failed: {source}; name a file in a folder that can be written to, of at most 107 bytes", path.display())]
    Failed {
        /// The path.
        path: PathBuf,
        /// What failed.
        what: &'static str,
        /// The system's reason.
        source: io::Error,
    },
}

/// A bound socket.
#[derive(Debug)]
pub struct Socket {
    path: PathBuf,
    descriptor: OwnedFd,
}

impl Socket {
    /// Makes the socket's file. Nobody can connect before [`Socket::listen`], and by then it has its owner and mode.
    ///
    /// # Errors
    /// See [`SocketError`].
    pub fn bind(options: &SocketOptions) -> Result<Self, SocketError> {
        let SocketOptions { path, mode, owner } = options;
        let failed = |what| move |source: io::Error| SocketError::Failed { path: path.clone(), what, source };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let descriptor = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
            .map_err(|errno| failed("socket")(errno.into()))?;
        let address = SocketAddrUnix::new(path).map_err(|errno| failed("the path")(errno.into()))?;
        rustix::net::bind(&descriptor, &address).map_err(|errno| match errno {
            Errno::ADDRINUSE => SocketError::Exists { path: path.clone(), in_use: is_in_use(path) },
            errno => failed("bind")(errno.into()),
        })?;
        if let &Some((user, group)) = owner {
            fs::lchown(path, Some(user), Some(group)).map_err(failed("changing its owner"))?;
        }
        if let &Some(mode) = mode {
            std::fs::set_permissions(path, Permissions::from_mode(mode))
                .map_err(failed("changing its mode"))?;
        }
        Ok(Self { path: path.clone(), descriptor })
    }

    /// Lets clients connect.
    ///
    /// # Errors
    /// [`SocketError::Failed`]
    pub fn listen(&self) -> Result<(), SocketError> {
        rustix::net::listen(&self.descriptor, BACKLOG).map_err(|errno| SocketError::Failed {
            path: self.path.clone(),
            what: "listen",
            source: errno.into(),
        })
    }
}

impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> RawFd {
        self.descriptor.as_raw_fd()
    }
}

fn is_in_use(path: &Path) -> bool {
    UnixStream::connect(path).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_has_its_mode_and_a_file_that_is_there_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("api");
        let options = SocketOptions { path: path.clone(), mode: Some(0o600), owner: None };
        let socket = Socket::bind(&options).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        socket.listen().unwrap();
        let message = || Socket::bind(&options).unwrap_err().to_string();
        assert!(message().contains("a process listens on it"), "{}", message());
        drop(socket);
        assert!(message().contains("remove it"), "{}", message());
    }

    #[test]
    fn a_path_that_is_too_long_is_an_error_with_words() {
        let path = Path::new("/tmp").join("x".repeat(200));
        let options = SocketOptions { path, mode: None, owner: None };
        assert!(Socket::bind(&options).unwrap_err().to_string().contains("at most 107 bytes"));
    }
}
