//! Which calls each thread makes, counted by the kernel: one perf event on the tracepoint of each allowed call, for
//! each thread. Exact, and passive; every open event makes its thread's calls a little slower, so it is asked for.

use std::fs;
use std::io;
use std::path::Path;
use std::thread;

use perf_event::events::Tracepoint;
use perf_event::{Builder, ReadFormat};
use rustix::mount::{MountFlags, MountPropagationFlags};
use rustix::thread::UnshareFlags;

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
    /// An event's number could not be read.
    #[error(
        "{TRACEFS}/events/syscalls/sys_enter_{call}/id cannot be read ({source}); only root may, by default"
    )]
    Identifier {
        /// The call.
        call: &'static str,
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
    /// [`Error::Mount`], [`Error::Identifier`]
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
    let path = format!("{TRACEFS}/events/syscalls/sys_enter_{call}/id");
    let parse = |text: String| text.trim().parse().map_err(io::Error::other);
    let identifier =
        fs::read_to_string(path).and_then(parse).map_err(|source| Error::Identifier { call, source })?;
    Ok(Point { call, identifier })
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
