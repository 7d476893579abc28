//! `ringfence policy`.

use super::Outcome;

/// Arguments of `policy`.
#[derive(Debug, Default, clap::Args)]
pub struct Args {}

/// Why `policy` failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not written yet.
    #[error("not written yet")]
    Missing,
}

/// Runs the command.
///
/// # Errors
/// See [`Error`].
pub fn run(_args: &Args) -> Result<Outcome, Error> {
    Err(Error::Missing)
}
