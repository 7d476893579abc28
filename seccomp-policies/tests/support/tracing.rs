//! The running kernel's tracing events, as a judge of filters and a counter of calls.

use std::ffi::CString;
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::ptr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::{fs, thread};

use perf_event::events::Tracepoint;
use perf_event::{Builder, ReadFormat};
use seccomp_policies::call::Call;

use super::kernel::{SharedResults, exit, raw_call};

/// Where the kernel's documentation mounts tracefs (Linux `Documentation/trace/ftrace.rst`).
const TRACEFS: &str = "/sys/kernel/tracing";

/// `PERF_EVENT_IOC_SET_FILTER`, Linux `include/uapi/linux/perf_event.h`: `_IOW('$', 6, char *)`.
const SET_FILTER: libc::c_ulong = 0x4008_2406;

/// The identifier of an event, written as `system:name`; `None` where this kernel has none of that name.
///
/// # Errors
/// What keeps the events from being read: they are open to root alone.
pub fn identifiers(events: &[String]) -> Result<Vec<Option<u64>>, String> {
    let read_all = || {
        // By the event that every kernel with tracing of calls has.
        let sign = Path::new(TRACEFS).join("events/raw_syscalls/sys_enter/id");
        if !sign.exists() {
            mount_privately().map_err(|error| format!("tracefs cannot be mounted: {error}"))?;
        }
        fs::read(&sign).map_err(|error| format!("{}: {error}", sign.display()))?;
        Ok(events.iter().map(|event| identifier(event)).collect())
    };
    // A thread of its own: a mount namespace belongs to a thread, and goes with it.
    thread::scope(|scope| scope.spawn(read_all).join().expect("it does not panic"))
}

fn identifier(event: &str) -> Option<u64> {
    let path = Path::new(TRACEFS).join("events").join(event.replace(':', "/")).join("id");
    fs::read_to_string(path).ok().map(|text| text.trim().parse().expect("the kernel writes a number"))
}

fn mount_privately() -> io::Result<()> {
    let succeeded = |outcome| if outcome == 0 { Ok(()) } else { Err(io::Error::last_os_error()) };
    // SAFETY: the new mount namespace is this thread's alone; no descriptor or memory is unshared.
    succeeded(unsafe { libc::unshare(libc::CLONE_NEWNS) })?;
    let none = ptr::null();
    let private = libc::MS_PRIVATE | libc::MS_REC;
    // SAFETY: the strings are terminated, and mounting touches this thread's namespace alone.
    succeeded(unsafe { libc::mount(none, c"/".as_ptr(), none, private, ptr::null()) })?;
    let target = CString::new(TRACEFS).expect("a path without zeros");
    // SAFETY: as above.
    succeeded(unsafe { libc::mount(c"nodev".as_ptr(), target.as_ptr(), c"tracefs".as_ptr(), 0, ptr::null()) })
}

/// Counts an event in one process.
pub struct Counter(perf_event::Counter);

impl Counter {
    /// Starts to count. Process 0 is the calling thread.
    pub fn new(identifier: u64, process: libc::pid_t) -> io::Result<Self> {
        let counter = Builder::new(Tracepoint::with_id(identifier))
            .observe_pid(process)
            .any_cpu()
            .include_kernel()
            .enabled(true)
            .read_format(ReadFormat::empty())
            .build();
        counter.map(Self)
    }

    /// Counts only what passes the filter from now on. A counter takes one filter, and none that the kernel refuses.
    pub fn set_filter(&self, filter: &str) -> io::Result<()> {
        let filter = CString::new(filter).expect("a filter without zeros");
        // SAFETY: the kernel reads the terminated string and does not keep it.
        let outcome = unsafe { libc::ioctl(self.0.as_raw_fd(), SET_FILTER, filter.as_ptr()) };
        if outcome == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    pub fn count(&mut self) -> u64 {
        self.0.read().expect("a count")
    }
}

/// Says what was not judged and why, past the capture of a passing test's output.
pub fn not_judged(what: &str, why: &str) {
    let _ = writeln!(io::stderr(), "not judged by the running kernel: {what} ({why})");
}

/// A child process without any descriptor, which makes calls when it is told to, and none before or after.
pub struct Caller {
    pid: libc::pid_t,
    shared: SharedResults,
    calls: usize,
}

/// What the first of the shared words holds before the child is told to go on.
const READY: i64 = -1;
const GO: i64 = 0;

impl Caller {
    /// Starts the child, and waits until it has closed its descriptors.
    pub fn new(calls: &[Call]) -> Self {
        let shared = SharedResults::new(calls.len());
        // SAFETY: as in `results_under`: the child makes system calls and writes to memory that was mapped before.
        let pid = unsafe { libc::fork() };
        assert!(pid >= 0, "fork failed: {}", io::Error::last_os_error());
        if pid == 0 {
            make(calls, &shared);
        }
        let caller = Self { pid, shared, calls: calls.len() };
        caller.wait_for(caller.shared.done(), READY);
        caller
    }

    pub fn pid(&self) -> libc::pid_t {
        self.pid
    }

    /// Lets it make its calls, and waits until they are made.
    pub fn make_calls(&self) {
        let Ok(last) = i64::try_from(self.calls) else { panic!("few calls") };
        self.shared.done().store(GO, Ordering::Release);
        self.wait_for(self.shared.done(), last);
    }

    fn wait_for(&self, word: &AtomicI64, value: i64) {
        while word.load(Ordering::Acquire) != value {
            let mut status = 0;
            // SAFETY: `status` outlives the call, which writes to nothing else.
            let waited = unsafe { libc::waitpid(self.pid, &raw mut status, libc::WNOHANG) };
            assert_eq!(waited, 0, "the child has ended, status {status:#x}");
            thread::yield_now();
        }
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        // SAFETY: `pid` is this process's own child, which nobody has waited for: it does not end by itself.
        unsafe { libc::kill(self.pid, libc::SIGKILL) };
        let mut status = 0;
        // SAFETY: `status` outlives the call, which writes to nothing else.
        unsafe { libc::waitpid(self.pid, &raw mut status, 0) };
    }
}

fn make(calls: &[Call], shared: &SharedResults) -> ! {
    // SAFETY: the child uses no descriptor after this.
    if unsafe { libc::syscall(libc::SYS_close_range, 0, libc::c_uint::MAX, 0) } != 0 {
        exit(2);
    }
    shared.done().store(READY, Ordering::Release);
    while shared.done().load(Ordering::Acquire) == READY {
        std::hint::spin_loop();
    }
    for call in calls {
        raw_call(call);
        shared.done().fetch_add(1, Ordering::Release);
    }
    loop {
        std::hint::spin_loop();
    }
}
