//! `ringfence bench`.

pub mod earlier;
pub(super) mod figures;
mod markdown;
mod page;
mod plot;
mod progress;
mod prometheus;
pub(super) mod shown;
mod text;

use std::fs;
use std::path::PathBuf;

use seccomp_policies::compile::reference;
use seccomp_policies::import::{self, Format};
use seccomp_policies::syscalls::Arch;

use self::progress::Progress;
use super::output::Reported;
use super::reading::{Named, Reading};
use super::{Outcome, output};
use crate::bench::experiment::{EXPERIMENTS, Experiment};
use crate::bench::findings::compare::{Change, changes};
use crate::bench::findings::{Findings, SCHEMA};
use crate::bench::run::{DEFAULT, Depth, Plan, QUICK, run as measure};
use crate::bench::variant::Other;
use crate::bench::{self, worker};
use crate::machine::kvm;

const EXAMPLES: &str = "\
Variants are measured side by side in short blocks, in fresh processes and in random order, and what \
one takes more than no filter is given with an interval of 99 %. In every table the same variant \
stands twice, and must come out as the same, and work of a known cost, which must be found; where it is \
not so, the table says it and keeps its figures to itself. For a machine that does nothing else.

Exit codes: 0; 1 with --fail-above: a row takes more than it did; 2 nothing was measured.

Examples:
  ringfence bench --quick
  ringfence bench --json today.json --html today.html
  ringfence bench --show today.json --svg today.svg
  ringfence bench --compare yesterday.json --fail-above 10
  ringfence bench --only exit/port --against 'Firecracker=filters.json:vcpu'";

/// Arguments of `bench`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Under 20 seconds, with wider intervals [default: under three minutes]
    #[arg(long)]
    quick: bool,
    /// What to measure, by name or by group [default: all]
    #[arg(long, value_name = "NAME", num_args = 1..)]
    only: Vec<String>,
    /// Say what there is to measure
    #[arg(long)]
    list: bool,
    /// Measure nothing, and show an earlier run again, which --json has written
    #[arg(long, value_name = "FILE", conflicts_with_all = ["quick", "only", "list", "against"])]
    show: Option<PathBuf>,
    /// Measure the exit path behind another program's policy too, in seccompiler's order, or behind a filter as it
    /// stands; may be given several times
    #[arg(long, value_name = "[NAME=]FILE[:ROLE]")]
    against: Vec<String>,
    /// Say what has changed since an earlier run, which --json has written
    #[arg(long, value_name = "OLD.json")]
    compare: Option<PathBuf>,
    /// With --compare: exit with 1 if a row costs so much more than it did, beyond noise
    #[arg(long, value_name = "PERCENT", requires = "compare", value_parser = percent)]
    fail_above: Option<f64>,
    /// Write everything that was found to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write it as a page for a browser to this file
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Write what it costs as a picture to this file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Write the figures for Prometheus to this file
    #[arg(long, value_name = "FILE")]
    prometheus: Option<PathBuf>,
    /// Write the tables as Markdown to this file
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// A process that measures, for one that asks
    #[arg(long, hide = true, exclusive = true)]
    worker: bool,
    #[command(flatten)]
    reading: Reading,
}

fn percent(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(percent) if (0.0..=1e6).contains(&percent) => Ok(percent),
        _ => Err("a number of percent is wanted, as in 10 or 2.5".to_owned()),
    }
}

/// Why `bench` could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something could not be measured.
    #[error(transparent)]
    Bench(#[from] bench::Error),
    /// Nothing is called so.
    #[error("there is nothing called {name} to measure: there are {}", names.join(", "))]
    Unknown {
        /// What was asked for.
        name: String,
        /// What there is.
        names: Vec<&'static str>,
    },
    /// A policy cannot be read, or does not hold; what is wrong with it has been shown.
    #[error("{} does not hold or cannot be read, so that nothing can be measured behind it", path.display())]
    Refused {
        /// The path given.
        path: PathBuf,
    },
    /// A file of several threads' policies, where one is needed.
    #[error(
        "{} has policies of several threads: {}; choose one, as in '{}:{}'", path.display(), roles.join(", "),
        path.display(), roles[0]
    )]
    SeveralRoles {
        /// The path given.
        path: PathBuf,
        /// The threads' names.
        roles: Vec<String>,
    },
    /// The policy holds, and seccompiler does not take it.
    #[error("no program can be made of {} in seccompiler's order: {source}", path.display())]
    Compile {
        /// The path given.
        path: PathBuf,
        /// Why.
        source: seccomp_policies::compile::Error,
    },
    /// An earlier run cannot be read.
    #[error(transparent)]
    Earlier(#[from] earlier::Error),
    /// A result cannot be written.
    #[error(transparent)]
    Output(#[from] output::Error),
}

/// Measures, and says what was found. What cannot be answered has an exit code of its own, so that it is not taken for "slower".
///
/// # Errors
/// None: they are said, and the outcome is theirs.
pub fn run(args: &Args) -> Result<Outcome, Error> {
    if args.worker {
        worker::serve()?;
        return Ok(Outcome::Done);
    }
    args.run().or_else(|error| {
        output::say(&format!("ringfence: {error}\n"));
        Ok(Outcome::Ended(NO_ANSWER))
    })
}

/// Nothing was measured.
const NO_ANSWER: u8 = 2;

impl Args {
    fn run(&self) -> Result<Outcome, Error> {
        if self.list {
            output::print(text::list().as_bytes())?;
            return Ok(Outcome::Done);
        }
        // What cannot be read or written is known before minutes go by.
        let depth = if self.quick { QUICK } else { DEFAULT };
        let mut experiments = chosen(&self.only, depth)?;
        let mut left_out = None;
        // Whoever asks for it by name hears that it cannot be.
        if let (true, Err(error)) = (self.only.is_empty(), kvm::open()) {
            experiments.retain(|experiment| !experiment.needs_kvm());
            left_out = Some(format!("what needs a machine is left out: {error}"));
        }
        let others = self.against.iter().map(|text| other(text, &self.reading)).collect::<Result<_, _>>()?;
        let old = self.compare.as_deref().map(earlier::read).transpose()?;
        for path in
            [&self.json, &self.html, &self.svg, &self.prometheus, &self.markdown].into_iter().flatten()
        {
            output::ensure_writable(path)?;
        }
        let findings = if let Some(path) = &self.show {
            earlier::read(path)?
        } else {
            let progress = Progress::new();
            measure(&Plan { depth, experiments, left_out, others, progress: &|share| progress.show(share) })?
        };
        self.write(&findings)?;
        let changes = old.as_ref().map(|old| changes(old, &findings));
        output::print(text::text(&findings, changes.as_deref()).as_bytes())?;
        Ok(if self.is_above(changes.as_deref()) { Outcome::Deficient } else { Outcome::Done })
    }

    /// Every form that is asked for.
    fn write(&self, findings: &Findings) -> Result<(), output::Error> {
        let json = || output::json_text(&Reported::versioned("bench", SCHEMA, findings));
        let forms: [(&Option<PathBuf>, &dyn Fn() -> String); 5] = [
            (&self.json, &json),
            (&self.html, &|| page::page(findings)),
            (&self.svg, &|| plot::svg(findings, true)),
            (&self.prometheus, &|| prometheus::text(findings)),
            (&self.markdown, &|| markdown::text(findings)),
        ];
        forms.into_iter().try_for_each(|(path, form)| match path {
            Some(path) => output::replace(path, form().as_bytes()),
            None => Ok(()),
        })
    }

    fn is_above(&self, changes: Option<&[Change]>) -> bool {
        let Some(most) = self.fail_above else { return false };
        changes
            .unwrap_or_default()
            .iter()
            .any(|change| change.is_beyond_noise && change.new - change.old > change.old.abs() * most / 100.0)
    }
}

/// What these names mean: experiments, or groups of them; without a name all of this depth.
fn chosen(names: &[String], depth: Depth) -> Result<Vec<&'static Experiment>, Error> {
    let is = |experiment: &Experiment, name: &str| {
        experiment.name == name || experiment.name.split_once('/').is_some_and(|(group, _)| group == name)
    };
    if let Some(name) = names.iter().find(|name| !EXPERIMENTS.iter().any(|one| is(one, name))) {
        let names = EXPERIMENTS.iter().map(|one| one.name).collect();
        return Err(Error::Unknown { name: name.clone(), names });
    }
    if names.is_empty() {
        return Ok(depth.experiments().collect());
    }
    let is_chosen = |one: &&Experiment| names.iter().any(|name| is(one, name));
    Ok(EXPERIMENTS.iter().filter(is_chosen).collect())
}

/// Another program's policy, in seccompiler's order: so Firecracker has it. A program is measured as it stands.
fn other(text: &str, reading: &Reading) -> Result<Other, Error> {
    let Named { name, path, role } = Named::of(text);
    let name = name.unwrap_or_else(|| path.file_stem().unwrap_or_default().to_string_lossy().into_owned());
    let is_program = || {
        let bytes = fs::read(&path).unwrap_or_default();
        Format::detect(&path.display().to_string(), &bytes) == Format::Raw
    };
    if reading.from.map_or_else(is_program, |format| format == Format::Raw) {
        let options = reading.options(Some(Arch::X86_64), role);
        let program = import::raw::instructions(&path, &options).map_err(|findings| {
            output::show(&findings);
            Error::Refused { path: path.clone() }
        })?;
        return Ok(Other::new(name, &program));
    }
    let policies = reading.policies(&path, role).ok_or_else(|| Error::Refused { path: path.clone() })?;
    let policy = match &policies[..] {
        [policy] => policy,
        [] => return Err(Error::Refused { path }),
        _ => {
            let roles = policies.iter().map(|policy| policy.role.clone()).collect();
            return Err(Error::SeveralRoles { path, roles });
        }
    };
    let program = reference(policy).map_err(|source| Error::Compile { path: path.clone(), source })?;
    Ok(Other::new(name, program.instructions()))
}
