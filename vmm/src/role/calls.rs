//! Which calls each thread makes, counted by the kernel: one perf event on the tracepoint of each allowed call, for
//! each thread. Exact, and passive; every open event makes its thread's calls a little slower, so it is asked for.

use perf_event::events::Tracepoint;
use perf_event::{Builder, ReadFormat};
use seccomp_policies::compile::event_filter::event_of;
use seccomp_policies::syscalls::{self, Arch};

use crate::confine::{Record, Slot, table};
use crate::tracepoint::{self, Unopened};

/// Why calls are not counted, with what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A call without an event.
    #[error("the kernel has no event for {call}, so its calls cannot be counted")]
    NoEvent {
        /// The call.
        call: &'static str,
    },
    /// An event's number cannot be had.
    #[error(transparent)]
    Tracepoint(#[from] tracepoint::Error),
    /// The kernel did not open the event.
    #[error(transparent)]
    Open(#[from] Unopened),
}

/// A tracepoint of an allowed call.
#[derive(Clone, Copy, Debug)]
struct Point {
    call: &'static str,
    identifier: u64,
}

/// The tracepoints of all allowed calls.
#[derive(Debug)]
pub struct Points(Vec<Point>);

impl Points {
    /// Looks up the tracepoints of these calls.
    ///
    /// # Errors
    /// [`Error::NoEvent`], [`Error::Tracepoint`]
    pub fn look_up(calls: impl Iterator<Item = &'static str>) -> Result<Self, Error> {
        let mut calls: Vec<_> = calls.collect();
        calls.sort_unstable();
        calls.dedup();
        let events = calls.iter().map(|call| event(call).ok_or(Error::NoEvent { call }));
        let identifiers = tracepoint::identifiers(&events.collect::<Result<Vec<_>, _>>()?)?;
        let points = calls.into_iter().zip(identifiers);
        Ok(Self(points.map(|(call, identifier)| Point { call, identifier }).collect()))
    }

    fn identifier(&self, call: &str) -> Option<u64> {
        self.0.iter().find(|point| point.call == call).map(|point| point.identifier)
    }
}

fn event(call: &str) -> Option<String> {
    event_of(Arch::X86_64, syscalls::by_name(Arch::X86_64, call)?)
}

/// One open counter, at a slot of main's table.
#[derive(Debug)]
struct Counter {
    call: &'static str,
    slot: Slot,
}

/// The counters of one thread.
#[derive(Debug)]
pub struct ThreadCounters(Vec<Counter>);

/// Opens a counter for each of `calls` on the thread of `record`, at main's slots from `first_slot` up.
///
/// # Errors
/// [`Error::Open`]
pub fn open(
    points: &Points,
    record: &Record,
    calls: impl Iterator<Item = &'static str>,
    first_slot: i32,
) -> Result<ThreadCounters, Error> {
    let open_one = |call| {
        let identifier = points.identifier(call)?;
        let counter = Builder::new(Tracepoint::with_id(identifier))
            .observe_pid(record.tid())
            .any_cpu()
            .include_kernel()
            .enabled(true)
            .read_format(ReadFormat::empty())
            .build()
            .and_then(|counter| table::raise(counter, first_slot));
        let failed = |source| Unopened { thread: record.name.clone(), source }.into();
        Some(counter.map(|slot| Counter { call, slot }).map_err(failed))
    };
    calls.filter_map(open_one).collect::<Result<Vec<_>, _>>().map(ThreadCounters)
}

impl ThreadCounters {
    /// How often the thread has made each call by now, without those that it never made.
    pub fn used(&self) -> Vec<(&'static str, u64)> {
        let count = |counter: &Counter| (counter.call, tracepoint::count_of(counter.slot));
        self.0.iter().map(count).filter(|&(_, count)| count > 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_looked_up_by_its_own_name_and_not_the_call_s() {
        assert_eq!(event("ioctl").as_deref(), Some("syscalls:sys_enter_ioctl"));
        assert_eq!(event("fstat").as_deref(), Some("syscalls:sys_enter_newfstat"));
        assert_eq!(event("uselib"), None);
    }

    #[test]
    fn this_kernel_has_the_events_that_are_named_otherwise() {
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: tracefs is open to root alone");
            return;
        }
        let calls = ["fstat", "uname", "sendfile", "umount2", "stat", "lstat"];
        let points = Points::look_up(calls.into_iter()).unwrap_or_else(|error| panic!("{error}"));
        assert!(calls.iter().all(|call| points.identifier(call).is_some()));
    }
}
