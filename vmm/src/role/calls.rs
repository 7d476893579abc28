//! Which calls each thread makes, counted by the kernel: one perf event on the tracepoint of each allowed call, for
//! each thread. Exact, and passive; every open event makes its thread's calls a little slower, so it is asked for.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;

use perf_event::events::Tracepoint;
use perf_event::{Builder, ReadFormat};
use rustix::mount::{MountFlags, MountPropagationFlags};
use rustix::thread::UnshareFlags;
use seccomp_policies::compile::event_filter::event_of;
use seccomp_policies::syscalls::{self, Arch};

use crate::confine::{Record, Slot, table};

/// Where the kernel's documentation mounts tracefs (Documentation/trace/ftrace.rst).
const TRACEFS: &str = "/sys/kernel/tracing";

/// Why calls are not counted, with what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No tracefs to be had.
    #[error(
        "tracefs is not mounted at /sys/kernel/tracing and could not be mounted ({0}); run as root, or mount it"
    )]
    Mount(io::Error),
    /// A call without an event.
    #[error("the kernel has no event for {call}, so its calls cannot be counted")]
    NoEvent {
        /// The call.
        call: &'static str,
    },
    /// An event's number could not be read.
    #[error("{} cannot be read ({source}); only root may, by default", path.display())]
    Identifier {
        /// The event's file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The kernel did not open the event.
    #[error(
        "perf_event_open failed for thread {thread} ({source}); run as root, or see perf_event_paranoid in ringfence doctor"
    )]
    Open {
        /// The thread.
        thread: String,
        /// The system's reason.
        source: io::Error,
    },
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
    /// Looks up the tracepoints of these calls. Mounts tracefs for a moment, in a mount namespace that nobody else
    /// sees, where it is not mounted.
    ///
    /// # Errors
    /// [`Error::Mount`], [`Error::NoEvent`], [`Error::Identifier`]
    pub fn look_up(calls: impl Iterator<Item = &'static str>) -> Result<Self, Error> {
        let mut calls: Vec<_> = calls.collect();
        calls.sort_unstable();
        calls.dedup();
        let mounted = Path::new(TRACEFS).join("events").exists();
        // A thread of its own: a mount namespace belongs to a thread, and goes with it.
        thread::scope(|scope| {
            let reader = scope.spawn(|| {
                if !mounted {
                    mount_privately().map_err(Error::Mount)?;
                }
                calls.into_iter().map(point).collect::<Result<Vec<_>, _>>()
            });
            reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
        .map(Self)
    }

    fn identifier(&self, call: &str) -> Option<u64> {
        self.0.iter().find(|point| point.call == call).map(|point| point.identifier)
    }
}

fn point(call: &'static str) -> Result<Point, Error> {
    let path = identifier_file(call).ok_or(Error::NoEvent { call })?;
    let parse = |text: String| text.trim().parse().map_err(io::Error::other);
    let read = fs::read_to_string(&path).and_then(parse);
    let identifier = read.map_err(|source| Error::Identifier { path, source })?;
    Ok(Point { call, identifier })
}

/// Where tracefs has the number of a call's event.
fn identifier_file(call: &str) -> Option<PathBuf> {
    let event = event_of(Arch::X86_64, syscalls::by_name(Arch::X86_64, call)?)?;
    Some(Path::new(TRACEFS).join("events").join(event.replace(':', "/")).join("id"))
}

fn mount_privately() -> io::Result<()> {
    // SAFETY: the new mount namespace is this thread's alone; no descriptor or memory is unshared.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNS) }?;
    rustix::mount::mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
    rustix::mount::mount("nodev", TRACEFS, "tracefs", MountFlags::empty(), None)?;
    Ok(())
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
        let failed = |source| Error::Open { thread: record.name.clone(), source };
        Some(counter.map(|slot| Counter { call, slot }).map_err(failed))
    };
    calls.filter_map(open_one).collect::<Result<Vec<_>, _>>().map(ThreadCounters)
}

impl ThreadCounters {
    /// How often the thread has made each call by now, without those that it never made.
    pub fn used(&self) -> Vec<(&'static str, u64)> {
        let count = |counter: &Counter| {
            let mut count = [0; 8];
            // A count that cannot be read would be a defect of this program's own; it shows as unused.
            let _ = rustix::io::read(counter.slot, &mut count);
            (counter.call, u64::from_ne_bytes(count))
        };
        self.0.iter().map(count).filter(|&(_, count)| count > 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_looked_up_by_its_own_name_and_not_the_call_s() {
        let file = |call| identifier_file(call).expect("it has an event").display().to_string();
        assert_eq!(file("ioctl"), "/sys/kernel/tracing/events/syscalls/sys_enter_ioctl/id");
        assert_eq!(file("fstat"), "/sys/kernel/tracing/events/syscalls/sys_enter_newfstat/id");
        assert_eq!(identifier_file("uselib"), None);
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
