//! What the questions are asked of: policies, and texts that other tools wrote.

use std::fs;
use std::io::{self, Read as _};
use std::path::Path;

use seccomp_policies::language::{self, Checked};
use seccomp_policies::syscalls::Arch;

use super::{Error, output};

/// Reads a policy. What is wrong with it is shown.
pub(super) fn policy(path: &Path, target: Arch) -> Result<Checked, Error> {
    language::load(path, target).map_err(|findings| {
        output::show(&findings);
        Error::Refused { path: path.to_owned() }
    })
}

/// Reads what another tool wrote; `-` is standard input. Bytes that are no UTF-8 are replaced, since `strace` shows
/// names of files as they are.
pub(super) fn trace(path: &Path) -> Result<String, Error> {
    let bytes = if path == Path::new("-") { standard_input() } else { fs::read(path) };
    let bytes = bytes.map_err(|source| Error::ReadTrace { path: path.to_owned(), source })?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn standard_input() -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    io::stdin().lock().read_to_end(&mut bytes)?;
    Ok(bytes)
}
