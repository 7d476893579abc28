//! The program that is to run: found as a shell finds it, with its arguments and its environment as the kernel takes
//! them.
#![forbid(unsafe_code)]

use std::env;
use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// Where programs are looked for if the environment does not say: execvp(3).
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// A program with its arguments.
#[derive(Debug)]
pub struct Program {
    pub(super) path: CString,
    pub(super) arguments: Vec<CString>,
    pub(super) environment: Vec<CString>,
}

/// Why a command cannot be run, as a shell tells it apart.
#[derive(Debug, thiserror::Error)]
pub enum Missing {
    /// Exit code 127.
    #[error("{}: there is no such program; give a path, or a name that a folder of PATH has", .0.to_string_lossy())]
    NotFound(OsString),
    /// Exit code 126.
    #[error("{} cannot be executed: {source}", path.display())]
    NotExecutable {
        /// The program.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Exit code 126.
    #[error("the command has a zero byte in it, which no program can be given")]
    ZeroByte,
}

impl Program {
    /// Finds the program of a command, whose first word is its name or its path.
    ///
    /// # Errors
    /// See [`Missing`].
    pub fn find(command: &[OsString]) -> Result<Self, Missing> {
        let name = command.first().cloned().unwrap_or_default();
        let path = if name.as_bytes().contains(&b'/') { given(&name)? } else { searched(&name)? };
        let variable = |(name, value): (OsString, OsString)| {
            c_string([name.as_bytes(), b"=", value.as_bytes()].concat())
        };
        Ok(Self {
            path: c_string(path.into_os_string().into_vec())?,
            arguments: command
                .iter()
                .map(|word| c_string(word.clone().into_vec()))
                .collect::<Result<_, _>>()?,
            environment: env::vars_os().map(variable).collect::<Result<_, _>>()?,
        })
    }
}

fn c_string(bytes: Vec<u8>) -> Result<CString, Missing> {
    CString::new(bytes).map_err(|_| Missing::ZeroByte)
}

fn given(name: &OsStr) -> Result<PathBuf, Missing> {
    let path = PathBuf::from(name);
    match executable(&path) {
        Ok(()) => Ok(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Missing::NotFound(name.to_owned())),
        Err(source) => Err(Missing::NotExecutable { path, source }),
    }
}

/// The first folder that has the program; one that may not be executed is named if there is no other.
fn searched(name: &OsStr) -> Result<PathBuf, Missing> {
    let mut refused = None;
    let folders = env::var_os("PATH").unwrap_or_else(|| DEFAULT_PATH.into());
    for path in env::split_paths(&folders).map(|folder| folder.join(name)) {
        match executable(&path) {
            Ok(()) if !name.is_empty() => return Ok(path),
            Err(source) if source.kind() == io::ErrorKind::PermissionDenied => {
                refused.get_or_insert(Missing::NotExecutable { path, source });
            }
            _ => {}
        }
    }
    Err(refused.unwrap_or_else(|| Missing::NotFound(name.to_owned())))
}

fn executable(path: &Path) -> io::Result<()> {
    let metadata = path.metadata()?;
    if metadata.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if metadata.permissions().mode() & 0o111 == 0 {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    Ok(())
}
