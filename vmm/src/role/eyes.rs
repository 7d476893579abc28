//! A run whose threads nothing holds, watched by event filters: what each would have been refused (`--observe`).

use seccomp_policies::language::check_sources;
use seccomp_policies::syscalls::Arch;

use super::policies::ALL;
use crate::confine::{Record, table};
use crate::report::{Kinds, Violation};
use crate::tracepoint::violations::{self, Count, Eye, Watch};
use crate::tracepoint::{self, Unopened};

/// Why threads cannot be watched, with what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An event's number cannot be had.
    #[error("cannot observe the threads: {0}")]
    Tracepoint(#[from] tracepoint::Error),
    /// The kernel did not open an event.
    #[error("cannot observe the threads: {0}")]
    Open(#[from] Unopened),
}

/// The policies of all roles as events.
#[derive(Debug)]
pub struct Eyes(Vec<Eye>);

/// The threads of a run, watched.
#[derive(Debug)]
pub struct Lookout {
    eyes: Vec<Eye>,
    /// Each with its name, the place of its policy, and its events.
    watched: Vec<(String, usize, Option<Watch>)>,
}

impl Eyes {
    /// Looks up the events of every role.
    ///
    /// # Errors
    /// [`Error::Tracepoint`]
    pub fn look_up() -> Result<Self, Error> {
        let policy = |embedded: &&seccomp_policies::embed::Embedded| {
            let root = embedded.sources.first()?.0;
            // The build checked it.
            Some(check_sources(root, embedded.sources, Arch::X86_64).ok()?.policy)
        };
        Ok(Self(Eye::of_each(ALL.iter().filter_map(policy).collect())?))
    }

    /// Opens the events of each thread, at descriptors from `first` on. They count from [`Lookout::begin`] on.
    ///
    /// # Errors
    /// [`Error::Open`]
    pub fn open(self, records: &[&'static Record], first: i32) -> Result<Lookout, Error> {
        // Lower numbers mean something, or are free for a reason.
        let taken = table::take_below(first);
        let mut watched = Vec::new();
        for record in records {
            let Some(place) = self.0.iter().position(|eye| eye.policy.role == record.role) else { continue };
            let failed = |source| Unopened { thread: record.name.clone(), source };
            let watch = self.0[place].open(record.tid()).map_err(failed)?;
            watched.push((record.name.clone(), place, watch));
        }
        drop(taken);
        Ok(Lookout { eyes: self.0, watched })
    }
}

impl Lookout {
    /// Begins to count, for all threads at once.
    pub fn begin(&self) {
        violations::enable_all();
    }

    /// What was seen: of each thread by its name, and of what kinds.
    pub fn seen(&mut self) -> (Vec<(String, Count)>, Kinds) {
        let mut kinds = Kinds::default();
        let mut counts = Vec::new();
        for (name, place, watch) in &mut self.watched {
            let Some(watch) = watch else { continue };
            let eye = &self.eyes[*place];
            let count = eye.look(watch, &mut |call| {
                kinds.add(Violation::of_policy(name.clone(), &eye.policy, call));
            });
            counts.push((name.clone(), count));
        }
        (counts, kinds)
    }
}
