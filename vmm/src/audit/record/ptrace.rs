//! Calls by ptrace: each thread stops on its way into the kernel and on its way out. It needs no privileges over one's own
//! processes, sees calls that a filter refuses, and makes the program many times slower.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::mem::MaybeUninit;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::ptr;

use libc::{c_int, c_void, pid_t};
use seccomp_policies::syscalls::Arch;

use super::Error;
use super::event::{Event, What};

/// What is asked of the kernel for each thread: to tell system calls from signals, and to say of births, programs and ends
/// (ptrace(2)). `EXITKILL` is not among them: should this program end, those it watches go on.
const OPTIONS: c_int = libc::PTRACE_O_TRACESYSGOOD
    | libc::PTRACE_O_TRACECLONE
    | libc::PTRACE_O_TRACEFORK
    | libc::PTRACE_O_TRACEVFORK
    | libc::PTRACE_O_TRACEEXEC
    | libc::PTRACE_O_TRACEEXIT;

/// The threads that are watched.
pub(super) struct Watched {
    /// Each with its process.
    threads: HashMap<pid_t, pid_t>,
    /// The child whose program has not begun yet: what it does does not count, and its end is somebody else's to take.
    waiting_for: Option<pid_t>,
    /// How the command ended.
    ended: Option<ExitStatus>,
    command: Option<pid_t>,
}

fn ptrace(request: libc::c_uint, tid: pid_t, address: usize, data: usize) -> io::Result<i64> {
    let address = ptr::without_provenance_mut::<c_void>(address);
    let data = ptr::without_provenance_mut::<c_void>(data);
    // SAFETY: the requests of this file take numbers; the one that writes memory has a function of its own.
    let outcome = unsafe { libc::ptrace(request, tid, address, data) };
    if outcome < 0 { Err(io::Error::last_os_error()) } else { Ok(outcome) }
}

impl Watched {
    /// Takes hold of a child that has not begun its program.
    ///
    /// # Errors
    /// [`Error::Ptrace`]
    pub(super) fn of_child(pid: i32) -> Result<Self, Error> {
        let watched = Self::of_threads(&[(pid, pid)])?;
        Ok(Self { waiting_for: Some(pid), command: Some(pid), ..watched })
    }

    /// Takes hold of threads, each given with its process.
    ///
    /// # Errors
    /// [`Error::Ptrace`]
    pub(super) fn of_threads(tids: &[(i32, i32)]) -> Result<Self, Error> {
        let mut threads = HashMap::new();
        for &(tid, pid) in tids {
            match ptrace(libc::PTRACE_SEIZE, tid, 0, OPTIONS.unsigned_abs() as usize) {
                Ok(_) => {}
                Err(error) if error.raw_os_error() == Some(libc::ESRCH) => continue,
                Err(source) => return Err(Error::Ptrace(source)),
            }
            ptrace(libc::PTRACE_INTERRUPT, tid, 0, 0).map_err(Error::Ptrace)?;
            threads.insert(tid, pid);
        }
        Ok(Self { threads, waiting_for: None, ended: None, command: None })
    }

    /// How the command ended, if it has.
    pub(super) fn ended(&self) -> Option<ExitStatus> {
        self.ended
    }

    /// Whether any thread is left.
    pub(super) fn is_empty(&self) -> bool {
        self.threads.is_empty()
    }

    /// Waits until each thread has stopped once, from where on it stops at each call.
    pub(super) fn take_hold(&mut self, sink: &mut dyn FnMut(Event)) {
        let mut left = self.threads.len();
        while left > 0 {
            let Some((tid, status)) = self.next(0) else { return };
            left -= 1;
            self.status(tid, status, sink);
        }
    }

    /// Takes what has happened, without waiting for more; whether something had.
    pub(super) fn drain(&mut self, sink: &mut dyn FnMut(Event)) -> bool {
        let mut happened = false;
        while let Some((tid, status)) = self.next(libc::WNOHANG) {
            happened = true;
            self.status(tid, status, sink);
        }
        happened
    }

    /// The next thread that stopped or ended, with its status.
    fn next(&self, how: c_int) -> Option<(pid_t, c_int)> {
        let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
        let peek = libc::WEXITED | libc::WSTOPPED | libc::__WALL | libc::WNOWAIT | how;
        // SAFETY: writes the structure that it is given.
        if unsafe { libc::waitid(libc::P_ALL, 0, info.as_mut_ptr(), peek) } < 0 {
            return None;
        }
        // SAFETY: zero is a value of each field, and the kernel has written the others.
        let info = unsafe { info.assume_init() };
        // SAFETY: of a child the kernel sets this member; of none it is zero, as it was.
        let tid = unsafe { info.si_pid() };
        let has_ended = matches!(info.si_code, libc::CLD_EXITED | libc::CLD_KILLED | libc::CLD_DUMPED);
        if tid == 0 || (has_ended && self.waiting_for == Some(tid)) {
            return None;
        }
        let mut status = 0;
        // SAFETY: writes the status and nothing else.
        let taken = unsafe { libc::waitpid(tid, &raw mut status, libc::__WALL | libc::WNOHANG) };
        (taken == tid).then_some((tid, status))
    }

    fn status(&mut self, tid: pid_t, status: c_int, sink: &mut dyn FnMut(Event)) {
        let pid = *self.threads.entry(tid).or_insert_with(|| process_of(tid));
        let counts = self.waiting_for.is_none();
        let mut say = |what: What| {
            if counts {
                sink(Event { pid, tid, what });
            }
        };
        if !libc::WIFSTOPPED(status) {
            self.threads.remove(&tid);
            if self.command == Some(tid) {
                self.ended = Some(ExitStatus::from_raw(status));
            }
            say(What::End);
            return;
        }
        let (signal, event) = (libc::WSTOPSIG(status), status >> 16);
        let mut deliver = 0;
        match event {
            libc::PTRACE_EVENT_CLONE | libc::PTRACE_EVENT_FORK | libc::PTRACE_EVENT_VFORK => {
                if let Some(born) = message(tid) {
                    let process = *self.threads.entry(born).or_insert_with(|| process_of(born));
                    say(What::Birth { pid: process, tid: born });
                }
            }
            libc::PTRACE_EVENT_EXEC => {
                self.waiting_for = None;
                sink(Event { pid, tid, what: What::Name { name: name_of(tid), executed: true } });
            }
            libc::PTRACE_EVENT_EXIT => say(What::Name { name: name_of(tid), executed: false }),
            libc::PTRACE_EVENT_STOP if signal != libc::SIGTRAP => {
                // Stopped as by SIGSTOP: it stays so until somebody has it go on.
                let _ = ptrace(libc::PTRACE_LISTEN, tid, 0, 0);
                return;
            }
            _ if event != 0 => {}
            _ if signal == libc::SIGTRAP | 0x80 => {
                if let Some(what) = call(tid) {
                    say(what);
                }
            }
            _ => deliver = signal,
        }
        // Refused only where it is gone, which its end tells.
        let _ = ptrace(libc::PTRACE_SYSCALL, tid, 0, deliver.unsigned_abs() as usize);
    }

    /// Lets everybody go.
    pub(super) fn release(mut self, sink: &mut dyn FnMut(Event)) {
        for tid in self.threads.keys() {
            let _ = ptrace(libc::PTRACE_INTERRUPT, *tid, 0, 0);
        }
        // A thread must stand still to be let go of.
        while !self.threads.is_empty() {
            let Some((tid, status)) = self.next(0) else { return };
            let pid = self.threads.remove(&tid).unwrap_or(tid);
            if !libc::WIFSTOPPED(status) {
                sink(Event { pid, tid, what: What::End });
                continue;
            }
            let (signal, event) = (libc::WSTOPSIG(status), status >> 16);
            let is_call = event == 0 && signal == libc::SIGTRAP | 0x80;
            if is_call && let Some(what) = call(tid) {
                sink(Event { pid, tid, what });
            }
            sink(Event { pid, tid, what: What::Name { name: name_of(tid), executed: false } });
            let deliver = if event == 0 && !is_call { signal } else { 0 };
            let _ = ptrace(libc::PTRACE_DETACH, tid, 0, deliver.unsigned_abs() as usize);
        }
    }
}

/// The number that goes with an event.
fn message(tid: pid_t) -> Option<pid_t> {
    let mut message = MaybeUninit::<libc::c_ulong>::uninit();
    let nothing = ptr::null_mut::<c_void>();
    // SAFETY: writes one unsigned long to memory that has room for it.
    let outcome = unsafe { libc::ptrace(libc::PTRACE_GETEVENTMSG, tid, nothing, message.as_mut_ptr()) };
    if outcome < 0 {
        return None;
    }
    // SAFETY: the kernel has written it.
    pid_t::try_from(unsafe { message.assume_init() }).ok()
}

/// What a thread that stands at a call is about to do, or has done.
fn call(tid: pid_t) -> Option<What> {
    let size = size_of::<libc::ptrace_syscall_info>();
    let mut info = MaybeUninit::<libc::ptrace_syscall_info>::zeroed();
    let size_as_address = ptr::without_provenance_mut::<c_void>(size);
    // SAFETY: writes at most as many bytes as are said, which the buffer has.
    let outcome =
        unsafe { libc::ptrace(libc::PTRACE_GET_SYSCALL_INFO, tid, size_as_address, info.as_mut_ptr()) };
    if outcome < 0 {
        return None;
    }
    // SAFETY: zero is a value of every field, and the kernel has written the others.
    let info = unsafe { info.assume_init() };
    match info.op {
        libc::PTRACE_SYSCALL_INFO_ENTRY if info.arch != Arch::X86_64.audit_value() => Some(What::Foreign),
        libc::PTRACE_SYSCALL_INFO_ENTRY => {
            // SAFETY: the operation says which member of the union is set.
            let entry = unsafe { info.u.entry };
            Some(What::Enter { number: entry.nr.cast_signed(), arguments: entry.args })
        }
        libc::PTRACE_SYSCALL_INFO_EXIT => {
            // SAFETY: the operation says which member of the union is set.
            let exit = unsafe { info.u.exit };
            Some(What::Exit { number: None, value: exit.sval })
        }
        _ => None,
    }
}

fn name_of(tid: pid_t) -> String {
    let name = fs::read_to_string(format!("/proc/{tid}/comm")).unwrap_or_default();
    name.trim_end_matches('\n').to_owned()
}

/// The process of a thread, which `/proc/TID/status` says (`Tgid`, proc(5)); the thread's own number where it is gone.
fn process_of(tid: pid_t) -> i32 {
    let status = fs::read_to_string(format!("/proc/{tid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("Tgid:"));
    line.and_then(|number| number.trim().parse().ok()).unwrap_or(tid)
}
