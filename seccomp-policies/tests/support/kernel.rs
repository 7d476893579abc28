//! The running kernel as a judge of programs.

use std::ptr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use seccomp_policies::bpf::Instruction;
use seccomp_policies::call::Call;

/// Whether the kernel takes programs, asked without any of them coming into force.
///
/// A second thread of the process holds a filter of its own. Asked to install a program in all threads at once
/// (`SECCOMP_FILTER_FLAG_TSYNC`), the kernel first judges it, and then finds that thread in the way: it answers
/// with the thread's id where the program is good, and installs nothing.
pub struct Judge {
    /// Dropped with the judge, which lets the other thread end.
    _in_the_way: Sender<()>,
}

impl Judge {
    /// Starts the thread that is in the way.
    pub fn new() -> Self {
        no_new_privileges();
        let (sender, receiver): (Sender<()>, Receiver<()>) = channel();
        let (ready, installed) = channel();
        thread::spawn(move || {
            no_new_privileges();
            let outcome = install(&[super::program::ret(libc::SECCOMP_RET_ALLOW)], 0);
            ready.send(outcome).expect("the judge waits");
            // Ends with an error when the judge is gone, which is the sign to end.
            let _ = receiver.recv();
        });
        let outcome = installed.recv().expect("the thread reports");
        assert_eq!(outcome, Ok(0), "this kernel refuses a filter that allows everything: is seccomp there?");
        Self { _in_the_way: sender }
    }

    /// Whether the kernel would take the program.
    #[expect(clippy::unused_self, reason = "the answer is right only while the judge's thread is in the way")]
    pub fn accepts(&self, program: &[Instruction]) -> bool {
        match install(program, libc::SECCOMP_FILTER_FLAG_TSYNC) {
            Ok(thread) if thread > 0 => true,
            Err(libc::EINVAL) => false,
            other => panic!("the kernel answered neither yes nor no, but {other:?}"),
        }
    }
}

/// Calls made by a child process, their results in the order of the calls.
///
/// The child installs the program and makes each call for real, so they must be harmless where the program lets
/// them through; and the program must answer all others, so that the child goes on. An error is a negative
/// number, as the kernel returns it.
pub fn results_under(program: &[Instruction], calls: &[Call]) -> Vec<i64> {
    let shared = SharedResults::new(calls.len());
    let prepared = Prepared::new(program);
    // SAFETY: fork has no precondition; the child below makes system calls and writes to memory that was
    // mapped before, but takes no lock and allocates nothing, which is all that a child of a process with
    // several threads may do.
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "fork failed: {}", std::io::Error::last_os_error());
    if child == 0 {
        run_child(&prepared, calls, &shared);
    }
    // The program may well refuse the child its end, so the child only stops, and is ended from here.
    let done = || usize::try_from(shared.done().load(Ordering::Acquire)).unwrap_or(usize::MAX);
    while done() < calls.len() {
        assert_eq!(
            ended(child, libc::WNOHANG),
            None,
            "the child ended after {} of {} calls",
            done(),
            calls.len()
        );
        thread::sleep(Duration::from_micros(200));
    }
    // SAFETY: `child` is this process's own child, and has not been waited for: it has not ended by itself.
    assert_eq!(unsafe { libc::kill(child, libc::SIGKILL) }, 0);
    ended(child, 0);
    shared.results().iter().map(|result| result.load(Ordering::Acquire)).collect()
}

/// Waits for a child, or asks with `WNOHANG`: the status with which it ended.
fn ended(child: libc::pid_t, flags: libc::c_int) -> Option<libc::c_int> {
    let mut status = 0;
    // SAFETY: `status` outlives the call, which writes to nothing else.
    let waited = unsafe { libc::waitpid(child, &raw mut status, flags) };
    assert!(waited == child || waited == 0, "waitpid failed: {}", std::io::Error::last_os_error());
    (waited == child).then_some(status)
}

/// The signal that ended a child which made the call given, from `entry`, under the program.
pub fn signal_under(program: &[Instruction], entry: impl FnOnce()) -> Option<i32> {
    let prepared = Prepared::new(program);
    // SAFETY: as in `results_under`; every `entry` of the tests makes a single call and does nothing else.
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "fork failed: {}", std::io::Error::last_os_error());
    if child == 0 {
        if prepared.install() == 0 {
            entry();
        }
        exit(1);
    }
    let status = ended(child, 0)?;
    libc::WIFSIGNALED(status).then(|| libc::WTERMSIG(status))
}

fn run_child(prepared: &Prepared<'_>, calls: &[Call], shared: &SharedResults) -> ! {
    if prepared.install() != 0 {
        exit(2);
    }
    for (call, result) in calls.iter().zip(shared.results()) {
        result.store(raw_call(call), Ordering::Release);
        shared.done().fetch_add(1, Ordering::Release);
    }
    loop {
        std::hint::spin_loop();
    }
}

/// Makes a call with exactly the registers that a filter will see. Returns what the kernel returns.
#[cfg(target_arch = "x86_64")]
pub fn raw_call(call: &Call) -> i64 {
    let arguments = call.arguments;
    let result: i64;
    // SAFETY: the instruction makes the system call of the registers; the caller of `results_under` promises
    // that it is harmless. The kernel changes rax, rcx and r11 alone, which are declared.
    unsafe {
        std::arch::asm!(
            "syscall",
            inlateout("rax") u64::from(call.number) => result,
            in("rdi") arguments[0], in("rsi") arguments[1], in("rdx") arguments[2],
            in("r10") arguments[3], in("r8") arguments[4], in("r9") arguments[5],
            lateout("rcx") _, lateout("r11") _,
        );
    }
    result
}

/// `getpid` by the 32-bit entry.
pub fn getpid_of_i386() {
    // SAFETY: call 20 of i386 is `getpid`, which takes nothing and changes rax alone (and r8 to r11, which the
    // entry clears).
    unsafe {
        std::arch::asm!(
            "int 0x80", inlateout("eax") 20 => _,
            lateout("r8") _, lateout("r9") _, lateout("r10") _, lateout("r11") _,
        );
    }
}

pub(super) fn exit(code: i32) -> ! {
    // SAFETY: ends this process without running anything else of it.
    unsafe { libc::_exit(code) }
}

fn no_new_privileges() {
    // SAFETY: this option takes numbers alone and changes the calling thread alone.
    let outcome = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    assert_eq!(outcome, 0);
}

/// A program in the kernel's own structure, made before a fork.
struct Prepared<'program> {
    program: &'program [Instruction],
    length: libc::c_ushort,
}

impl<'program> Prepared<'program> {
    fn new(program: &'program [Instruction]) -> Self {
        // A longer one than the field holds is one that the kernel refuses for its length, as it does this.
        Self { program, length: libc::c_ushort::try_from(program.len()).unwrap_or(libc::c_ushort::MAX) }
    }

    fn install_with(&self, flags: libc::c_ulong) -> libc::c_long {
        let program = libc::sock_fprog { len: self.length, filter: self.program.as_ptr().cast_mut().cast() };
        // SAFETY: `program` names `length` instructions of the borrowed slice, or as many of it as the field
        // holds, laid out as the kernel's `struct sock_filter`; the kernel reads and does not keep it.
        unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program) }
    }

    fn install(&self) -> libc::c_long {
        // SAFETY: this option takes numbers alone and changes the calling thread alone.
        let outcome = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
        if outcome == 0 { self.install_with(0) } else { -1 }
    }
}

/// Installs a program in this thread, or in all with `SECCOMP_FILTER_FLAG_TSYNC`.
fn install(program: &[Instruction], flags: libc::c_ulong) -> Result<libc::c_long, i32> {
    let outcome = Prepared::new(program).install_with(flags);
    if outcome >= 0 { Ok(outcome) } else { Err(std::io::Error::last_os_error().raw_os_error().unwrap_or(0)) }
}

/// Memory that a child fills and its parent reads: how many calls were made, then their results.
pub(super) struct SharedResults {
    memory: *mut AtomicI64,
    words: usize,
}

impl SharedResults {
    pub(super) fn new(count: usize) -> Self {
        let words = count + 1;
        // SAFETY: a new anonymous mapping, which overlaps nothing.
        let memory = unsafe {
            libc::mmap(
                ptr::null_mut(),
                words * size_of::<AtomicI64>(),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        assert_ne!(memory, libc::MAP_FAILED, "mmap failed: {}", std::io::Error::last_os_error());
        Self { memory: memory.cast(), words }
    }

    fn words(&self) -> &[AtomicI64] {
        // SAFETY: the mapping holds this many words, starts at a page, is zero at first, and lives as long as
        // `self`; both processes use its words as atomics alone.
        unsafe { std::slice::from_raw_parts(self.memory, self.words) }
    }

    /// How many calls were made, or what its user makes of this word.
    pub(super) fn done(&self) -> &AtomicI64 {
        &self.words()[0]
    }

    fn results(&self) -> &[AtomicI64] {
        &self.words()[1..]
    }
}

impl Drop for SharedResults {
    fn drop(&mut self) {
        // SAFETY: unmaps what `new` mapped, by the same length; nothing borrows from it any more.
        unsafe { libc::munmap(self.memory.cast(), self.words * size_of::<AtomicI64>()) };
    }
}
