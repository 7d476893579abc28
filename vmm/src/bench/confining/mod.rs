//! What it costs to become confined: a table of descriptors of one's own, slots, and a filter; and how that grows.

pub mod memory;

use std::io;
use std::os::fd::{IntoRawFd as _, RawFd};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, eventfd};
use seccomp_policies::action::Action;
use seccomp_policies::bpf::Instruction;
use seccomp_policies::bpf::write::with_values;
use seccomp_policies::compile::reference;

use super::Error;
use super::experiment::{NOTHING, Prepared, Work};
use super::method::{Contestant, Figure, clock};
use super::variant::{self, Part, Variant};
use crate::confine::Tier;
use crate::confine::install::{self, Hold};
use crate::confine::table::{self, Placement};
use crate::role::policies::{io as io_policy, main, vcpu};

/// What the planted work takes.
const PLANTED: Duration = Duration::from_micros(5);

/// Makes ready for one of the experiments.
///
/// # Errors
/// See [`Error`].
pub fn prepare(name: &str, work: Work) -> Result<Prepared, Error> {
    let steps = match name {
        memory::NAME => return memory::prepare(),
        "confine/steps" => steps()?,
        "confine/length" => lengths()?,
        "confine/threads" => threads()?,
        "confine/descriptors" => descriptors()?,
        _ => return Err(Error::Unknown),
    };
    let planted = work.steps(PLANTED);
    let mut all = vec![
        Step::new(NOTHING, Part::Baseline, || Ok(())),
        Step::new("nothing, again", Part::Control, || Ok(())),
        Step::new("work", Part::Planted, move || worked(planted)),
        Step::new("that work alone", Part::Work, move || worked(planted)),
    ];
    all.extend(steps);
    let (variants, contestants) =
        all.into_iter().map(|step| (step.variant.clone(), step.contestant())).unzip();
    Ok(Prepared { variants, contestants, notes: Vec::new() })
}

#[expect(clippy::unnecessary_wraps, reason = "a step like the others")]
fn worked(steps: u32) -> Result<(), Error> {
    std::hint::black_box(clock::work(steps, 1));
    Ok(())
}

type Run = Box<dyn Fn() -> Result<(), Error> + Send + Sync>;

/// Something that a fresh thread does once.
struct Step {
    variant: Variant,
    /// Threads that do it one after the other, each its own thing; the times are added.
    runs: Vec<Run>,
    /// Threads that are there meanwhile and wait.
    company: usize,
    /// Descriptors that are open meanwhile.
    open: usize,
}

impl Step {
    fn new(name: &str, part: Part, run: impl Fn() -> Result<(), Error> + Send + Sync + 'static) -> Self {
        Self { variant: Variant::new(name, part), runs: vec![Box::new(run)], company: 0, open: 0 }
    }

    fn install(name: &str, program: Vec<Instruction>) -> Self {
        let instructions = Some(program.len());
        let program: &'static [Instruction] = program.leak();
        let run = move || Ok(install::install(Hold::Program(program))?);
        let step = Self::new(name, Part::Subject, run);
        Self { variant: Variant { instructions, ..step.variant }, ..step }
    }

    fn contestant(self) -> Contestant<'static, Error> {
        let every = if self.company + self.open > 0 { 4 } else { 1 };
        let runs: Vec<std::sync::Arc<Run>> = self.runs.into_iter().map(std::sync::Arc::new).collect();
        let (company, open) = (self.company, self.open);
        let block = move || {
            let waiting = Waiting::start(company)?;
            let held = (0..open).map(|_| bell()).collect::<Result<Vec<_>, _>>()?;
            let mut sum = Duration::ZERO;
            for run in &runs {
                sum += in_fresh_thread(run.clone())?;
            }
            drop((waiting, held));
            Ok(Figure::per_call(sum, 1, false))
        };
        Contestant { every, ..Contestant::new(block) }
    }
}

fn bell() -> Result<rustix::fd::OwnedFd, Error> {
    eventfd(0, EventfdFlags::CLOEXEC).map_err(|errno| Error::Descriptor(errno.into()))
}

/// Threads that do nothing until this is dropped.
struct Waiting(Vec<(mpsc::Sender<()>, thread::JoinHandle<()>)>);

impl Waiting {
    fn start(count: usize) -> Result<Self, Error> {
        let one = |_| {
            let (end, ended) = mpsc::channel::<()>();
            let wait = move || {
                // Nothing is ever sent: it ends when the other side goes.
                let _ = ended.recv();
            };
            let thread = thread::Builder::new().spawn(wait).map_err(Error::Spawn)?;
            Ok((end, thread))
        };
        (0..count).map(one).collect::<Result<_, _>>().map(Self)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        for (end, thread) in self.0.drain(..) {
            drop(end);
            // It has done nothing that could fail.
            let _ = thread.join();
        }
    }
}

/// The time that a step takes in a thread that has done nothing yet.
fn in_fresh_thread(run: std::sync::Arc<Run>) -> Result<Duration, Error> {
    let timed = move || {
        let start = Instant::now();
        run()?;
        Ok(start.elapsed())
    };
    let thread = thread::Builder::new().name("measured".into()).spawn(timed).map_err(Error::Spawn)?;
    thread.join().unwrap_or_else(|_| Err(Error::Spawn(io::ErrorKind::Other.into())))
}

/// The same program with every refusal made an allowance: as much for the kernel to check and to compile, and a thread under it
/// can end.
fn harmless(hold: Hold) -> Vec<Instruction> {
    let Hold::Program(program) = hold else { return Vec::new() };
    with_values(program, |_| Action::Allow.to_return_value())
}

/// A table with so many descriptors at slots from 3 on.
fn slots(count: usize) -> Result<Vec<Placement>, Error> {
    let slot = |index: usize| RawFd::try_from(3 + index).unwrap_or(RawFd::MAX);
    (0..count).map(|index| Ok(Placement { from: bell()?.into_raw_fd(), slot: slot(index) })).collect()
}

fn own_table(placements: &[Placement]) -> Result<(), Error> {
    // SAFETY: the thread is a fresh one of a closure without a descriptor.
    unsafe { table::take_own(placements) }?;
    Ok(())
}

fn steps() -> Result<Vec<Step>, Error> {
    let (five, table) = (slots(5)?, slots(5)?);
    let filter = |policy| harmless(variant::embedded(policy, Tier::Filter));
    let of_vcpu: &'static [Instruction] = filter(&vcpu::POLICY).leak();
    let vcpu_thread = Step::new("a vCPU's thread whole", Part::Subject, move || {
        own_table(&five)?;
        Ok(install::install(Hold::Program(of_vcpu))?)
    });
    let all = [&main::POLICY, &io_policy::POLICY, &vcpu::POLICY, &vcpu::POLICY, &vcpu::POLICY, &vcpu::POLICY];
    let all: Vec<Run> = all
        .into_iter()
        .map(|policy| -> Run {
            let program: &'static [Instruction] = filter(policy).leak();
            Box::new(move || Ok(install::install(Hold::Program(program))?))
        })
        .collect();
    let all = Step { runs: all, ..Step::new("filters of 4 vCPUs, io, main", Part::Subject, || Ok(())) };
    Ok(vec![
        Step::new("a table with 5 slots", Part::Subject, move || own_table(&table)),
        Step::install("bitmask of a vCPU", harmless(variant::embedded(&vcpu::POLICY, Tier::Bitmask))),
        Step::install("filter of a vCPU", of_vcpu.to_vec()),
        Step::install("filter of io", filter(&io_policy::POLICY)),
        vcpu_thread,
        all,
    ])
}

/// A program of so many rules.
fn rules(count: u32) -> Result<Vec<Instruction>, Error> {
    let rule = |fd: u32| format!("ioctl: fd == {} && cmd == TCGETS -- a rule\n", 1000 + fd);
    let text: String = (0..count).map(rule).collect();
    let text = format!("role long\ntier filter\notherwise trap\n{text}");
    let checked = variant::checked("long.policy", &[("long.policy", &text)])?;
    Ok(harmless(Hold::Program(reference(&checked.policy)?.instructions().to_vec().leak())))
}

/// Rules of the programs that show how installing grows.
const RULES: [u32; 5] = [1, 10, 40, 100, 400];

fn lengths() -> Result<Vec<Step>, Error> {
    let step = |count| {
        let program = rules(count)?;
        Ok(Step::install(&format!("{} instructions", program.len()), program))
    };
    RULES.into_iter().map(step).collect()
}

/// Threads beside the one that installs its filter.
const COMPANY: [usize; 4] = [1, 4, 16, 64];

fn threads() -> Result<Vec<Step>, Error> {
    let filter = harmless(variant::embedded(&vcpu::POLICY, Tier::Filter));
    let step = |company: usize| {
        let step = Step::install(&format!("filter, {company} others"), filter.clone());
        Ok(Step { company, ..step })
    };
    COMPANY.into_iter().map(step).collect()
}

/// Descriptors of the table that is left.
const OPEN: [usize; 4] = [0, 16, 64, 256];

fn descriptors() -> Result<Vec<Step>, Error> {
    let step = |open: usize| {
        let placements = slots(5)?;
        let run = move || own_table(&placements);
        Ok(Step { open, ..Step::new(&format!("a table, of {open} more"), Part::Subject, run) })
    };
    OPEN.into_iter().map(step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_can_be_done_again_and_again() {
        for name in
            ["confine/steps", "confine/length", "confine/threads", "confine/descriptors", memory::NAME]
        {
            let prepared = prepare(name, Work::calibrate()).unwrap();
            let mut contest = prepared.contest(1);
            for _ in 0..2 {
                contest.round().unwrap();
            }
        }
    }

    #[test]
    fn a_harmless_program_is_as_long_and_refuses_nothing() {
        let hold = variant::embedded(&vcpu::POLICY, Tier::Filter);
        let Hold::Program(program) = hold else { panic!("a filter") };
        let harmless = harmless(hold);
        assert_eq!(harmless.len(), program.len());
        let call = variant::call("openat", [0; 6]);
        assert!(!variant::allows(program, &call) && variant::allows(&harmless, &call));
    }
}
