//! The kernel's tracepoints: their numbers, which tracefs has and events are opened by, and what all users of events do.

pub mod violations;

use std::ffi::CStr;
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _};
use std::path::{Path, PathBuf};
use std::thread;

use perf_event::{Counter, Sampler};
use rustix::mount::{MountFlags, MountPropagationFlags};
use rustix::thread::UnshareFlags;

/// Where the kernel's documentation mounts tracefs (Documentation/trace/ftrace.rst).
const TRACEFS: &str = "/sys/kernel/tracing";

/// Why a tracepoint's number cannot be had, with what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No tracefs to be had.
    #[error(
        "tracefs is not mounted at /sys/kernel/tracing and could not be mounted ({0}); run as root, or mount it"
    )]
    Mount(io::Error),
    /// An event's number could not be read.
    #[error("{} cannot be read ({source}); only root may, by default", path.display())]
    Identifier {
        /// The event's file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

/// The kernel did not open an event of a thread.
#[derive(Debug, thiserror::Error)]
#[error(
    "perf_event_open failed for thread {thread} ({source}); run as root, or see perf_event_paranoid in ringfence doctor"
)]
pub struct Unopened {
    /// The thread.
    pub thread: String,
    /// The system's reason.
    pub source: io::Error,
}

/// The numbers of events, which are named as perf names them: `syscalls:sys_enter_ioctl`. Mounts tracefs for a moment, in a
/// mount namespace that nobody else sees, where it is not mounted.
///
/// # Errors
/// [`Error`]
pub fn identifiers(events: &[String]) -> Result<Vec<u64>, Error> {
    let mounted = Path::new(TRACEFS).join("events").exists();
    // A thread of its own: a mount namespace belongs to a thread, and goes with it.
    thread::scope(|scope| {
        let read = || {
            if !mounted {
                mount_privately().map_err(Error::Mount)?;
            }
            events.iter().map(|event| identifier(event)).collect()
        };
        let reader = thread::Builder::new().name("tracefs".into()).spawn_scoped(scope, read);
        let reader = reader.map_err(Error::Mount)?;
        reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn identifier(event: &str) -> Result<u64, Error> {
    let path = identifier_file(event);
    let parse = |text: String| text.trim().parse().map_err(io::Error::other);
    fs::read_to_string(&path).and_then(parse).map_err(|source| Error::Identifier { path, source })
}

/// Where tracefs has the number of an event.
fn identifier_file(event: &str) -> PathBuf {
    Path::new(TRACEFS).join("events").join(event.replace(':', "/")).join("id")
}

fn mount_privately() -> io::Result<()> {
    // SAFETY: the new mount namespace is this thread's alone; no descriptor or memory is unshared.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNS) }?;
    rustix::mount::mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
    rustix::mount::mount("nodev", TRACEFS, "tracefs", MountFlags::empty(), None)?;
    Ok(())
}

/// Has the kernel count and record those occurrences of an event alone that pass a filter
/// (Documentation/trace/events.rst).
///
/// # Errors
/// What the kernel says.
pub fn set_filter(counter: &Counter, filter: &CStr) -> io::Result<()> {
    /// `PERF_EVENT_IOC_SET_FILTER`, Linux `include/uapi/linux/perf_event.h`: `_IOW('$', 6, char *)`.
    const SET_FILTER: libc::c_ulong = 0x4008_2406;
    // SAFETY: the text ends with a zero and is there while the kernel copies it.
    let outcome = unsafe { libc::ioctl(counter.as_raw_fd(), SET_FILTER, filter.as_ptr()) };
    if outcome < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Has the kernel write an event's records to another's ring.
///
/// # Errors
/// What the kernel says.
pub fn share(counter: &Counter, ring: &Sampler) -> io::Result<()> {
    /// `PERF_EVENT_IOC_SET_OUTPUT`, Linux `include/uapi/linux/perf_event.h`: `_IO('$', 5)`.
    const SET_OUTPUT: libc::c_ulong = 0x2405;
    // SAFETY: takes two descriptors that are open, and no memory.
    let outcome = unsafe { libc::ioctl(counter.as_raw_fd(), SET_OUTPUT, ring.as_raw_fd()) };
    if outcome < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// What an event has counted, by the one call that a policy of main's has a rule for.
pub fn count_of(counter: impl AsFd) -> u64 {
    let mut count = [0; 8];
    // A count that cannot be read would be a defect of this program's own; it shows as none.
    let _ = rustix::io::read(counter, &mut count);
    u64::from_ne_bytes(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_lies_in_the_folder_of_its_system() {
        let file = identifier_file("syscalls:sys_enter_newfstat");
        assert_eq!(file, Path::new("/sys/kernel/tracing/events/syscalls/sys_enter_newfstat/id"));
    }

    #[test]
    fn one_that_is_not_there_is_named() {
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: tracefs is open to root alone");
            return;
        }
        let error = identifiers(&["syscalls:sys_enter_nothing".to_owned()]).unwrap_err().to_string();
        assert!(error.contains("sys_enter_nothing/id cannot be read"), "{error}");
    }
}
