//! `ringfence audit diff`.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::Error;
use crate::audit::compare::{self, Change, Comparison};
use crate::cli::{Outcome, output};

const EXAMPLES: &str = "\
Each change is a line: what it is about, what is said of it, and what that was and is. Numbers of \
processes and threads, and times, are no change.

Exit codes: 0 the reports say the same; 1 they differ; 2 one cannot be read.

Examples:
  ringfence audit policies --json > old.json
  ringfence audit diff old.json new.json
  ringfence audit live 4711 --json | ringfence audit diff old.json -";

/// Arguments of `audit diff`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// A report of `audit policies --json` or `audit live --json`
    old: PathBuf,
    /// Another of the same kind; - is standard input
    new: PathBuf,
    /// For programs: one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Result<Outcome, Error> {
    let (old, old_kind) = read(&args.old)?;
    let (new, new_kind) = read(&args.new)?;
    if old_kind != new_kind {
        let (old, new) = (args.old.clone(), args.new.clone());
        return Err(Error::Kinds { old, old_kind, new, new_kind });
    }
    let comparison = compare::compare(&old, &new);
    if args.json {
        output::json(&comparison)?;
    } else {
        output::print(text(&comparison).as_bytes())?;
    }
    Ok(if comparison.equal { Outcome::Done } else { Outcome::Deficient })
}

fn read(path: &Path) -> Result<(Value, &'static str), Error> {
    let bytes = if path == Path::new("-") {
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut std::io::stdin().lock(), &mut bytes).map(|_| bytes)
    } else {
        fs::read(path)
    };
    let bytes = bytes.map_err(|source| Error::ReadReport { path: path.to_owned(), source })?;
    let report: Value =
        serde_json::from_slice(&bytes).map_err(|source| Error::NoJson { path: path.to_owned(), source })?;
    let kind = compare::kind(&report).map_err(|source| Error::Report { path: path.to_owned(), source })?;
    Ok((report, kind))
}

fn text(comparison: &Comparison) -> String {
    if comparison.equal {
        return "the reports say the same\n".to_owned();
    }
    comparison.changes.iter().map(line).collect()
}

fn line(Change { subject, fact, old, new }: &Change) -> String {
    match (old, new) {
        (None, Some(new)) => format!("{subject}: {fact}: new: {new}\n"),
        (Some(old), None) => format!("{subject}: {fact}: gone: {old}\n"),
        (old, new) => {
            let shown = |value: &Option<String>| value.clone().unwrap_or_default();
            format!("{subject}: {fact}: was {}, is {}\n", shown(old), shown(new))
        }
    }
}
