//! What holding a vCPU's thread costs on its way out of the guest and back.

pub mod guest;
pub mod hold;
mod supervisor;
pub mod thread;
pub mod tracer;

use std::rc::Rc;
use std::time::Duration;

use self::guest::{Guest, Way};
use self::hold::Company;
use self::thread::{Block, Kind};
use self::tracer::Tracer;
use super::Error;
use super::event::Events;
use super::experiment::{Prepared, Work};
use super::method::Contestant;
use super::thread::{ALIKE, Measured, in_turn};
use super::variant::{self, Other, Part, Variant};
use crate::role::policies::vcpu;

/// A block of calls, and how many there are in it.
struct Path {
    way: Way,
    kind: Kind,
    /// So many that a block takes some hundred microseconds: short beside what disturbs it.
    calls: u32,
    /// Where each call is told to somebody.
    slow_calls: u32,
}

/// What takes microseconds more is seen soon enough.
const SLOW_EVERY: usize = 4;

/// What the kernel logs it writes later, on whatever processor, and so disturbs others.
const LOG_EVERY: usize = 16;

const PATHS: [(&str, Path); 5] = [
    ("exit/refused", Path { way: Way::Port, kind: Kind::Refused, calls: 250, slow_calls: 8 }),
    ("exit/cold", Path { way: Way::Port, kind: Kind::RefusedCold, calls: 4, slow_calls: 2 }),
    ("exit/port", Path { way: Way::Port, kind: Kind::Exit, calls: 8, slow_calls: 2 }),
    ("exit/mmio", Path { way: Way::Mmio, kind: Kind::Exit, calls: 8, slow_calls: 2 }),
    ("exit/ioeventfd", Path { way: Way::Kick, kind: Kind::Exit, calls: 4, slow_calls: 1 }),
];

/// What the planted work takes: about as much as a filter.
const PLANTED: Duration = Duration::from_nanos(40);

/// So many threads are traced in a process, each by a process of its own.
pub const TRACERS: usize = 3;

/// Threads under every variant, for each way of a guest to leave.
pub struct ExitPath {
    others: Vec<Other>,
    tracers: Vec<Tracer>,
    processors: Vec<usize>,
    event: Result<Rc<Events>, Error>,
    /// What could not be measured, and why.
    left_out: Vec<String>,
    threads: Vec<(Way, Threads)>,
}

/// Each variant with its threads, which take turns.
type Threads = Rc<[(Variant, Company, Rc<[Measured<Block>]>)]>;

impl ExitPath {
    /// `tracers`: [`TRACERS`] of them, or why there are none. `processors`: where who is in company may run.
    ///
    /// # Errors
    /// [`Error::Check`]
    pub fn new(
        others: Vec<Other>,
        tracers: Result<Vec<Tracer>, Error>,
        processors: Vec<usize>,
    ) -> Result<Self, Error> {
        thread::be_ready();
        let event = Events::of(&variant::policy(&vcpu::POLICY)?.policy, &["ioctl"]).map(Rc::new);
        let mut left_out = Vec::new();
        let tracers = tracers.unwrap_or_else(|error| {
            left_out.push(format!("no thread could be traced: {error}"));
            Vec::new()
        });
        Ok(Self { others, tracers, processors, event, left_out, threads: Vec::new() })
    }

    /// Makes ready for one of the experiments.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn prepare(&mut self, name: &str, work: Work) -> Result<Prepared, Error> {
        let (_, path) = PATHS.iter().find(|(own, _)| *own == name).ok_or(Error::Unknown)?;
        let threads = self.threads(path.way)?;
        let mut notes = self.left_out.clone();
        if let Err(error) = &self.event {
            notes.push(format!("no event filter could be opened: {error}"));
        }
        let (mut variants, mut contestants) = (Vec::new(), Vec::new());
        for (variant, company, alike) in threads.iter() {
            if *company == Company::Event && self.event.is_err() {
                continue;
            }
            variants.push(variant.clone());
            let block = block(path, variant.part, *company, work);
            contestants.push(match (company, &self.event) {
                (Company::Event, Ok(event)) => watched(event.clone(), alike.clone(), block),
                _ => contestant(*company, alike.clone(), block),
            });
        }
        Ok(Prepared { variants, contestants, notes })
    }

    fn threads(&mut self, way: Way) -> Result<Threads, Error> {
        if let Some((_, threads)) = self.threads.iter().find(|(own, _)| *own == way) {
            return Ok(threads.clone());
        }
        let guest = Guest::new(way)?;
        let (ways, left_out) = hold::all(&self.others, &self.processors)?;
        for name in left_out {
            let note = format!("{name} allows no KVM_RUN, and is left out");
            if !self.left_out.contains(&note) {
                self.left_out.push(note);
            }
        }
        let mut threads = Vec::new();
        for hold::Way { variant, held, company } in ways {
            let tracer = if company == Company::Tracer { self.tracers.pop() } else { None };
            if company == Company::Tracer && tracer.is_none() {
                continue;
            }
            let count = if company == Company::Nobody { ALIKE } else { 1 };
            let alike: Rc<[_]> =
                (0..count).map(|_| thread::start(guest, held.clone())).collect::<Result<_, _>>()?;
            if let Some(Err(error)) = tracer.map(|tracer| tracer.trace(alike[0].tid())) {
                self.left_out.push(format!("no thread could be traced: {error}"));
                continue;
            }
            threads.push((variant, company, alike));
        }
        let threads: Threads = threads.into();
        self.threads.push((way, threads.clone()));
        Ok(threads)
    }
}

fn block(path: &Path, part: Part, company: Company, work: Work) -> Block {
    let is_slow = matches!(company, Company::Supervisor | Company::Tracer | Company::Log);
    Block {
        kind: path.kind,
        calls: if is_slow { path.slow_calls } else { path.calls },
        work: work.steps_of(part, PLANTED) * path.kind.ways_out(path.way),
        without_call: part == Part::Work,
    }
}

/// Blocks while the event is open, and so no others: an open event slows every task.
fn watched(event: Rc<Events>, alike: Rc<[Measured<Block>]>, block: Block) -> Contestant<'static, Error> {
    let tid = alike[0].tid();
    Contestant::within(move || event.watch(tid), in_turn(alike, block))
}

fn contestant(company: Company, alike: Rc<[Measured<Block>]>, block: Block) -> Contestant<'static, Error> {
    let every = match company {
        Company::Supervisor | Company::Tracer => SLOW_EVERY,
        Company::Log => LOG_EVERY,
        Company::Nobody | Company::Event => 1,
    };
    Contestant { every, ..Contestant::new(in_turn(alike, block)) }
}
