//! `ringfence doctor`.

use std::io::{self, Write as _};

use super::Outcome;
use super::output::{self, Reported};
use crate::host::Report;
use crate::host::text::Text;

/// Arguments of `doctor`.
///
/// Exit code: 0 where `run` can work, 1 where something that it needs is missing.
#[derive(Debug, Default, clap::Args)]
#[command(after_help = "Examples:\n  ringfence doctor\n  ringfence doctor --json")]
pub struct Args {
    /// Print JSON, for machines
    #[arg(long)]
    json: bool,
}

/// Version of the report's shape; it changes when a member changes its meaning or goes away.
const SCHEMA: u32 = 1;

/// Why `doctor` failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Standard output does not take the report.
    #[error("cannot write the report to standard output: {0}")]
    Write(#[from] io::Error),
}

/// Looks at the host and prints what it offers and lacks.
///
/// # Errors
/// See [`Error`].
pub fn run(args: &Args) -> Result<Outcome, Error> {
    let report = Report::gather();
    let text = if args.json {
        output::json_text(&Reported::versioned("doctor", SCHEMA, &report))
    } else {
        Text(&report).to_string()
    };
    match io::stdout().write_all(text.as_bytes()) {
        // Whoever reads has read enough (`doctor | head`).
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        result => result?,
    }
    Ok(if report.can_run { Outcome::Done } else { Outcome::Deficient })
}
