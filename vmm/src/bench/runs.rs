//! Whole runs of this program, with and without confinement.
#![forbid(unsafe_code)]

use std::env;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use super::Error;
use super::experiment::{Prepared, Work};
use super::method::{Contestant, Figure, clock};
use super::variant::{Part, Variant};
use crate::machine::kvm;

/// Exits of a block of a run that is there to check what the exit path says.
pub const EXITS: u32 = 100;

/// Lines that a guest is given in such a block, of which the quickest counts.
const LINES: usize = 10;

/// Runs that go on at once where each mostly waits.
const AT_ONCE: u32 = 8;

/// What is timed of a run.
#[derive(Clone, Copy, Debug)]
enum Span {
    /// From before the process is made until the guest's first byte is here.
    Start,
    /// From before the process is made until its output has ended. Behind that the kernel takes the machine down, for longer than a run of
    /// some milliseconds and in steps of its own clock.
    Whole,
    /// What it has of the processors from its start to its end, the mean of [`AT_ONCE`]: of a run that mostly waits, all that confinement
    /// can change.
    Processor,
    /// From a line of input to the guest's answer, before which it leaves [`EXITS`] times, less what the answer takes alone; one of these
    /// exits. One run for each variant, which sleeps meanwhile.
    Exits,
}

/// A run.
struct Runs {
    name: &'static str,
    arguments: &'static [&'static str],
    span: Span,
    planted: Duration,
    /// Blocks of a variant in a round.
    blocks: usize,
}

const RUNS: [Runs; 4] = [
    Runs {
        name: "run/start",
        arguments: &["hello"],
        span: Span::Start,
        planted: Duration::from_millis(1),
        blocks: 2,
    },
    Runs {
        name: "run/exits",
        arguments: &["exits", "--cmdline", "line"],
        span: Span::Exits,
        planted: Duration::from_micros(40),
        blocks: 1,
    },
    Runs {
        name: "run/compute",
        arguments: &["compute", "--cmdline", "1"],
        span: Span::Whole,
        planted: Duration::from_millis(2),
        blocks: 3,
    },
    Runs {
        name: "run/tour",
        arguments: &["tour"],
        span: Span::Processor,
        planted: Duration::from_millis(20),
        blocks: 1,
    },
];

/// Whether all threads of its runs are kept on one processor. Those of the others go where the kernel puts them.
pub fn is_kept_on_one(name: &str) -> bool {
    RUNS.iter().any(|runs| runs.name == name && matches!(runs.span, Span::Exits))
}

/// Makes ready for one of the experiments.
///
/// # Errors
/// See [`Error`].
pub fn prepare(name: &str, work: Work) -> Result<Prepared, Error> {
    let runs = RUNS.iter().find(|runs| runs.name == name).ok_or(Error::Unknown)?;
    // Of a run that cannot begin no more could be said than that it did not.
    kvm::open()?;
    let program = env::current_exe().map_err(Error::Run)?;
    let mut kinds = vec![
        ("no filter", Part::Baseline, "none"),
        ("no filter, again", Part::Control, "none"),
        ("no filter, with work", Part::Planted, "none"),
        ("that work alone", Part::Work, "none"),
        ("bitmask tier", Part::Subject, "bitmask"),
        ("filter tier", Part::Subject, "filter"),
    ];
    // What takes seconds is measured with the filters alone.
    kinds.retain(|(_, _, tier)| !matches!(runs.span, Span::Processor) || *tier != "bitmask");
    let contestants = kinds.iter().map(|(_, part, tier)| {
        let (part, tier) = (*part, *tier);
        let steps = work.steps_of(part, runs.planted);
        let mut measured = runs.measured(&program, tier, part == Part::Work)?;
        let block = move || {
            let start = Instant::now();
            if steps > 0 {
                std::hint::black_box(clock::work(steps, 1));
            }
            let worked = start.elapsed();
            Ok(Figure::per_call(worked + measured()?, runs.calls(), false))
        };
        Ok(Contestant { blocks: runs.blocks, ..Contestant::new(block) })
    });
    Ok(Prepared {
        variants: kinds.iter().map(|(name, part, _)| Variant::new(*name, *part)).collect(),
        contestants: contestants.collect::<Result<_, Error>>()?,
        notes: Vec::new(),
    })
}

/// Does it once, and says how long it took.
type Measured = Box<dyn FnMut() -> Result<Duration, Error>>;

impl Runs {
    fn calls(&self) -> u32 {
        if matches!(self.span, Span::Exits) { EXITS } else { 1 }
    }

    fn measured(
        &'static self,
        program: &Path,
        tier: &'static str,
        without_run: bool,
    ) -> Result<Measured, Error> {
        if without_run {
            return Ok(Box::new(|| Ok(Duration::ZERO)));
        }
        let program = program.to_owned();
        let span = self.span;
        if let Span::Exits = span {
            let mut running = self.start(&program, tier)?;
            running.read_line_with("begin")?;
            return Ok(Box::new(move || {
                let (mut one, mut more) = (Duration::MAX, Duration::MAX);
                for _ in 0..LINES {
                    one = one.min(running.leave(1)?);
                    more = more.min(running.leave(1 + EXITS)?);
                }
                Ok(more.saturating_sub(one))
            }));
        }
        if let Span::Processor = span {
            return Ok(Box::new(move || {
                let before = clock::of_ended_children().map_err(Error::Run)?;
                let at_once =
                    (0..AT_ONCE).map(|_| self.start(&program, tier)).collect::<Result<Vec<_>, _>>()?;
                at_once.into_iter().try_for_each(Running::finish)?;
                Ok(clock::of_ended_children().map_err(Error::Run)?.saturating_sub(before) / AT_ONCE)
            }));
        }
        Ok(Box::new(move || {
            let start = Instant::now();
            let mut running = self.start(&program, tier)?;
            if let Span::Start = span {
                running.read_byte()?;
                return Ok(start.elapsed());
            }
            running.read_all()?;
            let took = start.elapsed();
            running.finish()?;
            Ok(took)
        }))
    }

    fn start(&self, program: &Path, tier: &str) -> Result<Running, Error> {
        let mut command = Command::new(program);
        command.arg("run").args(self.arguments).args(["--tier", tier]);
        Running::start(&mut command)
    }
}

/// A process whose output is read. It is ended when this is dropped.
struct Running {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Running {
    fn start(command: &mut Command) -> Result<Self, Error> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().map_err(Error::Run)?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let (Some(input), Some(output)) = (input, output) else {
            return Err(Error::Run(io::ErrorKind::BrokenPipe.into()));
        };
        Ok(Self { child, input, output: BufReader::new(output) })
    }

    /// Has the guest leave so often, and says how long that and its answer took.
    fn leave(&mut self, exits: u32) -> Result<Duration, Error> {
        let line = format!("{exits}\n");
        let start = Instant::now();
        self.input.write_all(line.as_bytes()).map_err(Error::Run)?;
        self.read_line_with("left")?;
        Ok(start.elapsed())
    }

    fn read_byte(&mut self) -> Result<(), Error> {
        self.output.read_exact(&mut [0]).map_err(Error::Run)
    }

    fn read_line_with(&mut self, word: &str) -> Result<(), Error> {
        let mut line = String::new();
        while self.output.read_line(&mut line).map_err(Error::Run)? > 0 {
            if line.contains(word) {
                return Ok(());
            }
            line.clear();
        }
        Err(Error::Run(io::Error::other(format!("the guest did not say `{word}`"))))
    }

    /// Reads until its output ends.
    fn read_all(&mut self) -> Result<(), Error> {
        io::copy(&mut self.output, &mut io::sink()).map(drop).map_err(Error::Run)
    }

    /// Lets it come to its own end.
    fn finish(mut self) -> Result<(), Error> {
        self.read_all()?;
        let status = self.child.wait().map_err(Error::Run)?;
        if status.success() { Ok(()) } else { Err(Error::Run(io::Error::other(format!("{status}")))) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself, and been waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
