//! A running process, thread by thread: what seccomp holds it to, by the kernel's own programs, and whether that is what was
//! meant.
//!
//! A thread is stopped once, for as long as the kernel takes to show its filters, and nothing of it changes.

pub mod attest;
mod judge;
pub mod objects;
pub mod process;
pub mod tracee;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use seccomp_policies::bpf::Instruction;
use seccomp_policies::language::Policy;

use self::attest::{Allowed, Finding, Run};
use self::judge::Judge;
use self::process::{Mode, Process, Thread};
use self::tracee::Tracee;

/// What was seen of one thread.
#[derive(Clone, Debug)]
pub struct Seen {
    /// What `/proc` says of it.
    pub thread: Thread,
    /// Its filters, in the order in which they were installed, or why they cannot be seen.
    pub programs: Result<Vec<Vec<Instruction>>, tracee::Error>,
    /// How long it stood still, at most; `None` where it was not stopped.
    pub stopped: Option<Duration>,
    /// Whether it has a table of descriptors of its own; `None` where the kernel does not say.
    pub own_table: Option<bool>,
    /// Its descriptors, where its table is its own and they may be seen.
    pub descriptors: Option<Vec<(i32, String)>>,
    /// What its filters let through together; `None` where there are none to be seen, or where that has no description of a
    /// reasonable size.
    pub allowed: Option<Allowed>,
    /// What its filters are found to be.
    pub finding: Finding,
    /// What else is not as it should be, each in words.
    pub deviations: Vec<String>,
}

/// A process at the moment of the audit.
#[derive(Clone, Debug)]
pub struct Audit {
    /// The process.
    pub process: Process,
    /// It is a run of ours, and was held against this build.
    pub is_ours: bool,
    /// It came to its end while it was looked at: threads that had not been seen by then are missing.
    pub ended: bool,
    /// Its threads, in the order of their numbers.
    pub threads: Vec<Seen>,
}

/// A policy, and whose it is.
#[derive(Clone, Debug)]
pub struct Expected {
    /// A thread's name, with `*` at its end for all that begin so; `None`: every thread's.
    pub threads: Option<String>,
    /// What it should be held to.
    pub policy: Policy,
    /// Where that stands.
    pub file: PathBuf,
}

impl Expected {
    /// Whether a thread of this name is meant.
    pub fn is_for(&self, thread: &str) -> bool {
        match self.threads.as_deref() {
            None => true,
            Some(pattern) => match pattern.strip_suffix('*') {
                Some(start) => thread.starts_with(start),
                None => thread == pattern,
            },
        }
    }
}

/// How often the threads are listed again, for those that have started meanwhile.
const ROUNDS: usize = 8;

/// Looks at a process. `expected`: what its threads should be held to; where nothing is said, runs of ours are held against
/// this build.
///
/// # Errors
/// [`process::Error`]
pub fn audit(pid: i32, expected: &[Expected]) -> Result<Audit, process::Error> {
    let process = Process::read(pid)?;
    let mut seen: BTreeMap<i32, Sight> = BTreeMap::new();
    let mut ended = false;
    for _ in 0..ROUNDS {
        let threads = match process.threads() {
            Err(process::Error::NoSuchProcess { .. }) if !seen.is_empty() => {
                ended = true;
                break;
            }
            threads => threads?,
        };
        let is_new = |thread: &Thread| !thread.has_ended && !seen.contains_key(&thread.tid);
        let new: Vec<Thread> = threads.into_iter().filter(is_new).collect();
        if new.is_empty() {
            break;
        }
        for thread in new {
            let sight = Sight::of(&process, &thread);
            seen.insert(thread.tid, sight);
        }
    }
    // One that has ended meanwhile was never there.
    seen.retain(|_, sight| sight.programs != Err(tracee::Error::Ended));
    let is_ours = expected.is_empty() && attest::is_ours(&process.name);
    let run = Run::of(seen.values().map(|sight| sight.thread.name.as_str()));
    let mut judge = Judge::new(&process, is_ours, run, expected);
    let threads = seen.into_values().map(|sight| judge.seen(sight)).collect();
    Ok(Audit { process, is_ours, ended, threads })
}

/// A thread as the kernel shows it.
struct Sight {
    thread: Thread,
    programs: Result<Vec<Vec<Instruction>>, tracee::Error>,
    stopped: Option<Duration>,
    own_table: Option<bool>,
    descriptors: Option<Vec<(i32, String)>>,
}

impl Sight {
    fn of(process: &Process, thread: &Thread) -> Self {
        let own_table = own_table(process, thread);
        let descriptors = own_table.filter(|own| *own).and_then(|_| thread.descriptors(process));
        let (programs, stopped) = programs_of(thread);
        Self { thread: thread.clone(), programs, stopped, own_table, descriptors }
    }
}

/// The first thread has the process's table.
fn own_table(process: &Process, thread: &Thread) -> Option<bool> {
    if thread.tid == process.pid {
        let others = process.threads().ok()?;
        let shared = others.iter().filter(|other| other.tid != thread.tid && !other.is_kernel_worker);
        let shares = shared.map(|other| tracee::share_descriptors(thread.tid, other.tid));
        return shares.into_iter().try_fold(true, |own, shares| Some(own && !shares?));
    }
    Some(!tracee::share_descriptors(process.pid, thread.tid)?)
}

fn programs_of(thread: &Thread) -> (Result<Vec<Vec<Instruction>>, tracee::Error>, Option<Duration>) {
    // The kernel has no program to show for these, and they need not stand still for it.
    if thread.mode != Mode::Filter || thread.is_kernel_worker {
        return (Ok(Vec::new()), None);
    }
    match Tracee::stop(thread.tid, thread.tracer) {
        Err(error) => (Err(error), None),
        Ok(tracee) => {
            let programs = tracee.programs();
            (programs, Some(tracee.release()))
        }
    }
}

impl Seen {
    /// Everything that is not as it should be, in words.
    pub fn all_deviations(&self) -> impl Iterator<Item = &str> {
        let of_filters = match &self.finding {
            Finding::Deviates(words) => Some(words.as_str()),
            _ => None,
        };
        of_filters.into_iter().chain(self.deviations.iter().map(String::as_str))
    }
}

impl Audit {
    /// Whether every thread is as it should be, where somebody has said how.
    pub fn is_attested(&self) -> bool {
        self.threads.iter().all(|seen| seen.all_deviations().next().is_none())
    }
}
