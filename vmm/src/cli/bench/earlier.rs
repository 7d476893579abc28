//! Runs that were kept: what `bench --json` has written.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::bench::findings::{Findings, SCHEMA};

/// Why a run cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The path given.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// It is no run.
    #[error("{} is not what `bench --json` writes: {source}", path.display())]
    NoFindings {
        /// The path given.
        path: PathBuf,
        /// What is wrong, and where.
        source: serde_json::Error,
    },
    /// It is of another version's shape.
    #[error("{} has findings of version {found}, and this program knows version {SCHEMA}", path.display())]
    Version {
        /// The path given.
        path: PathBuf,
        /// The version.
        found: u64,
    },
}

/// Reads a run.
///
/// # Errors
/// See [`Error`].
pub(in crate::cli) fn read(path: &Path) -> Result<Findings, Error> {
    #[derive(serde::Deserialize)]
    struct Versioned {
        schema: u64,
    }

    let text = fs::read_to_string(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
    let no_findings = |source| Error::NoFindings { path: path.to_owned(), source };
    let Versioned { schema } = serde_json::from_str(&text).map_err(no_findings)?;
    if schema != u64::from(SCHEMA) {
        return Err(Error::Version { path: path.to_owned(), found: schema });
    }
    serde_json::from_str(&text).map_err(no_findings)
}
