//! A fresh process in which everything is measured for a while: where its pages and stacks lie is one draw of many.
//!
//! It is this program again. Its order comes by standard input, and what it found goes to standard output, a line each.

use std::env;
use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::calls::{self, history};
use super::exit_path::tracer::Tracer;
use super::exit_path::{self, ExitPath};
use super::experiment::{self, Prepared, Work};
use super::method::samples::Samples;
use super::thread::{processors, stay_on};
use super::variant::{Other, Variant};
use super::{Error, Remote, confining, runs};

/// What a process is to measure.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Order {
    /// Of the order of blocks.
    pub seed: u64,
    /// A round is enough.
    pub is_quick: bool,
    /// Names of experiments, and how long each lasts, in milliseconds.
    pub experiments: Vec<(String, u64)>,
    /// Other programs' filters for the exit path.
    pub others: Vec<Other>,
}

/// What it found in one experiment.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Found {
    /// Its name.
    pub experiment: String,
    /// What was compared.
    pub variants: Vec<Variant>,
    /// The times.
    pub samples: Samples,
    /// What was not measured, and why.
    pub notes: Vec<String>,
}

/// A line of the answer.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Line {
    Found(Found),
    Failed(Remote),
}

/// The process' own side: carries out the order that standard input has.
///
/// # Errors
/// [`Error::Order`] where nobody hears; everything else is told.
pub fn serve() -> Result<(), Error> {
    // Before there are threads.
    let tracers = (0..exit_path::TRACERS).map(|_| Tracer::fork()).collect::<Result<Vec<_>, _>>();
    let order = serde_json::from_reader(io::stdin().lock()).map_err(Error::Order)?;
    let told = carry_out(&order, tracers, &mut |found| tell(&Line::Found(found)));
    if let Err(error) = told {
        tell(&Line::Failed(Remote(error.to_string())))?;
    }
    Ok(())
}

fn tell(line: &Line) -> Result<(), Error> {
    let mut output = io::stdout().lock();
    serde_json::to_writer(&mut output, line).map_err(Error::Order)?;
    output.write_all(b"\n").and_then(|()| output.flush()).map_err(Error::Answer)
}

fn carry_out(
    order: &Order,
    tracers: Result<Vec<Tracer>, Error>,
    tell: &mut dyn FnMut(Found) -> Result<(), Error>,
) -> Result<(), Error> {
    // All variants on one processor, and each process on the next: wherever a thread is, it waits for no other there.
    let processors = processors()?;
    let own =
        processors.iter().cycle().nth(usize::try_from(order.seed).unwrap_or(0) % processors.len().max(1));
    let own = own.map_or(&[][..], std::slice::from_ref);
    stay_on(own)?;
    let work = Work::calibrate();
    let mut tracers = Some(tracers);
    let mut exit_path = None;
    for (name, milliseconds) in &order.experiments {
        let start = Instant::now();
        let experiment = experiment::find(name).ok_or(Error::Unknown)?;
        let prepared = match experiment.group() {
            "exit" => {
                let exit_path = match &mut exit_path {
                    Some(exit_path) => exit_path,
                    none => {
                        let tracers = tracers.take().unwrap_or_else(|| Ok(Vec::new()));
                        none.insert(ExitPath::new(order.others.clone(), tracers, processors.clone())?)
                    }
                };
                exit_path.prepare(name, work)?
            }
            "history" => history::prepare(name, work)?,
            "calls" => calls::prepare(name, work)?,
            "confine" => confining::prepare(name, work)?,
            "run" => {
                stay_on(if runs::is_kept_on_one(name) { own } else { &processors })?;
                runs::prepare(name, work)?
            }
            _ => return Err(Error::Unknown),
        };
        let Prepared { variants, notes, .. } = &prepared;
        let (variants, notes) = (variants.clone(), notes.clone());
        let mut contest = prepared.contest(order.seed);
        // What it takes to make ready is part of it.
        let left = Duration::from_millis(*milliseconds).saturating_sub(start.elapsed());
        let least = if order.is_quick { 1 } else { experiment.least };
        // What takes seconds is no warmer the second time.
        contest.run(left, least, experiment.every == 1)?;
        tell(Found { experiment: name.clone(), variants, samples: contest.samples, notes })?;
    }
    Ok(())
}

/// The argument by which this program becomes such a process.
pub const ARGUMENT: &str = "--worker";

/// A process that measures, as whoever started it sees it. It is ended when this is dropped.
#[derive(Debug)]
pub struct Worker {
    child: Child,
    answer: BufReader<ChildStdout>,
}

impl Worker {
    /// Starts one.
    ///
    /// # Errors
    /// [`Error::Worker`]
    pub fn start(order: &Order) -> Result<Self, Error> {
        let program = env::current_exe().map_err(Error::Worker)?;
        let mut child = Command::new(program)
            .args(["bench", ARGUMENT])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(Error::Worker)?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(Error::Worker(io::ErrorKind::BrokenPipe.into()));
        };
        let worker = Self { child, answer: BufReader::new(stdout) };
        // It ends where this does; the process waits for that.
        serde_json::to_writer(stdin, order).map_err(Error::Order)?;
        Ok(worker)
    }

    /// What it found next; `None` when it has found everything.
    ///
    /// # Errors
    /// [`Error::Remote`], its own; [`Error::Worker`] where it ended by itself.
    pub fn found_next(&mut self) -> Result<Option<Found>, Error> {
        let mut line = String::new();
        match self.answer.read_line(&mut line).map_err(Error::Worker)? {
            0 => {
                let status = self.child.wait().map_err(Error::Worker)?;
                if status.success() { Ok(None) } else { Err(Error::Ended(status)) }
            }
            _ => match serde_json::from_str(&line).map_err(Error::Order)? {
                Line::Found(found) => Ok(Some(found)),
                Line::Failed(error) => Err(Error::Remote(error)),
            },
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
