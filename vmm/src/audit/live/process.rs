//! A process and its threads as `/proc` shows them.
#![forbid(unsafe_code)]

use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use procfs::ProcError;
use procfs::process::Task;

/// A process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: i32,
    /// The name of its first thread.
    pub name: String,
    /// The program's file, where it may be seen.
    pub executable: Option<PathBuf>,
    /// Whether that is the file of this program, too.
    pub is_this_program: bool,
    /// Whether there is a `/dev/null` in its root folder: a jail may have none.
    pub has_null: bool,
    /// Whether its program is a 32-bit one, whose calls have other numbers.
    pub is_32_bit: bool,
}

/// A thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thread {
    /// Its number.
    pub tid: i32,
    /// Its name.
    pub name: String,
    /// How seccomp holds it.
    pub mode: Mode,
    /// It cannot gain privileges by `execve`.
    pub no_new_privileges: bool,
    /// Its effective capabilities, a bit for each (Linux `include/uapi/linux/capability.h`).
    pub capabilities: u64,
    /// Who traces it; 0 for nobody.
    pub tracer: i32,
    /// It has come to its end, and waits to be taken note of.
    pub has_ended: bool,
    /// It is a thread of the kernel within the process, which makes no calls: of an `io_uring`, of vhost, or of KVM.
    pub is_kernel_worker: bool,
}

/// How seccomp holds a thread, as `Seccomp` of `/proc/PID/status` says it (proc(5)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Not at all.
    Off,
    /// To read, write, exit and sigreturn.
    Strict,
    /// By programs.
    Filter,
    /// A kernel without seccomp does not say, and one that is newer may say more.
    Unknown,
}

impl Mode {
    /// As it is shown.
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Strict => "strict",
            Self::Filter => "filter",
            Self::Unknown => "unknown",
        }
    }
}

/// Why there is nothing to be seen of a process.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody has this number.
    #[error("there is no process {pid}; `ps -e` lists those there are")]
    NoSuchProcess {
        /// The number.
        pid: i32,
    },
    /// `/proc` does not say.
    #[error(
        "cannot look at process {pid} in /proc: {source}; is it another user's, or is /proc mounted with hidepid?"
    )]
    Unseen {
        /// The number.
        pid: i32,
        /// What was said.
        source: ProcError,
    },
    /// The processes cannot be listed.
    #[error("cannot list the processes in /proc: {0}")]
    List(#[source] ProcError),
}

/// Flags of `/proc/PID/task/TID/stat`: `PF_IO_WORKER` and `PF_USER_WORKER`, Linux `include/linux/sched.h`.
const WORKER: u32 = 0x10 | 0x4000;

/// The numbers of all processes, ascending.
///
/// # Errors
/// [`Error::List`]
pub fn all() -> Result<Vec<i32>, Error> {
    let processes = procfs::process::all_processes().map_err(Error::List)?;
    let mut numbers: Vec<i32> = processes.filter_map(|process| Some(process.ok()?.pid)).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

impl Process {
    /// Looks at a process.
    ///
    /// # Errors
    /// [`Error::NoSuchProcess`], [`Error::Unseen`]
    pub fn read(pid: i32) -> Result<Self, Error> {
        let name = open(pid)?.stat().map_err(|source| unseen(pid, source))?.comm;
        let link = PathBuf::from(format!("/proc/{pid}/exe"));
        let executable = fs::read_link(&link).ok();
        Ok(Self {
            pid,
            name,
            executable,
            is_this_program: is_this_program(&link),
            has_null: Path::new(&format!("/proc/{pid}/root/dev/null")).exists(),
            is_32_bit: is_32_bit(&link),
        })
    }

    /// Its threads at this moment, in the order of their numbers.
    ///
    /// # Errors
    /// [`Error::NoSuchProcess`], [`Error::Unseen`]
    pub fn threads(&self) -> Result<Vec<Thread>, Error> {
        let tasks = open(self.pid)?.tasks().map_err(|source| unseen(self.pid, source))?;
        // One that has ended meanwhile has nothing more to show.
        let mut threads: Vec<Thread> = tasks.filter_map(|task| Thread::read(&task.ok()?).ok()).collect();
        threads.sort_unstable_by_key(|thread| thread.tid);
        Ok(threads)
    }
}

fn open(pid: i32) -> Result<procfs::process::Process, Error> {
    procfs::process::Process::new(pid).map_err(|source| unseen(pid, source))
}

fn unseen(pid: i32, source: ProcError) -> Error {
    match source {
        ProcError::NotFound(_) => Error::NoSuchProcess { pid },
        source => Error::Unseen { pid, source },
    }
}

fn is_this_program(link: &Path) -> bool {
    let identity = |path: &Path| path.metadata().ok().map(|file| (file.dev(), file.ino()));
    identity(link).is_some_and(|file| identity(Path::new("/proc/self/exe")) == Some(file))
}

/// By the class in its ELF header (`EI_CLASS`, elf(5)).
pub(crate) fn is_32_bit(link: &Path) -> bool {
    const ELFCLASS32: u8 = 1;
    let mut header = [0; 5];
    let read = File::open(link).and_then(|mut file| file.read_exact(&mut header));
    read.is_ok() && header[..4] == *b"\x7fELF" && header[4] == ELFCLASS32
}

impl Thread {
    fn read(task: &Task) -> Result<Self, ProcError> {
        let (stat, status) = (task.stat()?, task.status()?);
        Ok(Self {
            tid: task.tid,
            name: stat.comm,
            mode: match status.seccomp {
                Some(0) => Mode::Off,
                Some(1) => Mode::Strict,
                Some(2) => Mode::Filter,
                _ => Mode::Unknown,
            },
            no_new_privileges: status.nonewprivs == Some(1),
            capabilities: status.capeff,
            tracer: status.tracerpid,
            // Zombies and the dead (proc(5)).
            has_ended: matches!(stat.state, 'Z' | 'X'),
            is_kernel_worker: stat.flags & WORKER != 0,
        })
    }

    /// Its descriptors: numbers, and what `/proc` calls the objects behind them. `None` where they may not be seen.
    pub fn descriptors(&self, process: &Process) -> Option<Vec<(i32, String)>> {
        let folder = fs::read_dir(format!("/proc/{}/task/{}/fd", process.pid, self.tid)).ok()?;
        let mut descriptors = Vec::new();
        for entry in folder {
            let entry = entry.ok()?;
            let number = entry.file_name().to_str()?.parse().ok()?;
            // Closed meanwhile, where it leads nowhere.
            let Ok(object) = fs::read_link(entry.path()) else { continue };
            descriptors.push((number, object.to_string_lossy().into_owned()));
        }
        descriptors.sort_unstable();
        Some(descriptors)
    }
}
