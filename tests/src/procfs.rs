//! What `/proc` says of a process's threads and memory.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::{fs, io};

/// `PF_USER_WORKER`, Linux `include/linux/sched.h`: a kernel thread that is a task of a user process. KVM makes one.
const PF_USER_WORKER: u64 = 0x4000;

/// `KCMP_FILE`, Linux `include/uapi/linux/kcmp.h`: compare what is behind two descriptors.
const KCMP_FILE: libc::c_int = 0;

/// One thread, at the moment of looking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thread {
    /// The process.
    pub pid: i32,
    /// The thread.
    pub tid: i32,
    /// Its name.
    pub name: String,
    /// `T` stopped by a signal, `t` by a tracer, `S` asleep, `R` running, `Z` ended.
    pub state: char,
    /// 0 none, 1 strict, 2 filter.
    pub seccomp_mode: u32,
    /// How many filters it has.
    pub seccomp_filters: u32,
    /// Whether it can gain no privilege by executing a file.
    pub no_new_privs: bool,
    /// `PF_*` of the task.
    flags: u64,
}

/// A mapping of `/proc/PID/maps`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// `rwxp`
    pub permissions: String,
    /// File or `[name]`; empty for anonymous memory.
    pub name: String,
}

/// Every thread of the process. One that ends while it is looked at is left out.
///
/// # Panics
/// Where there is no such process.
pub fn threads(pid: i32) -> Vec<Thread> {
    let folder = format!("/proc/{pid}/task");
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder}: {error}"));
    let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let mut threads: Vec<_> = numbers.filter_map(|tid| Thread::look(pid, tid)).collect();
    threads.sort_by_key(|thread| thread.tid);
    threads
}

/// The thread of this name; `None` where there is none yet, or any more.
///
/// # Panics
/// Where there is no such process.
pub fn find(pid: i32, name: &str) -> Option<Thread> {
    threads(pid).into_iter().find(|thread| thread.name == name)
}

/// The thread of this name.
///
/// # Panics
/// Where there is none.
pub fn thread(pid: i32, name: &str) -> Thread {
    find(pid, name).unwrap_or_else(|| panic!("no thread {name} among {:?}", threads(pid)))
}

/// The mappings of the process.
///
/// # Panics
/// Where there is no such process, or it may not be looked at.
pub fn mappings(pid: i32) -> Vec<Mapping> {
    let path = format!("/proc/{pid}/maps");
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let parse = |line: &str| {
        // address permissions offset device inode, then the name in a column of its own.
        let mut fields = line.split_ascii_whitespace();
        let permissions = fields.nth(1)?.to_owned();
        Some(Mapping { permissions, name: fields.skip(3).collect::<Vec<_>>().join(" ") })
    };
    text.lines().filter_map(parse).collect()
}

impl Thread {
    fn look(pid: i32, tid: i32) -> Option<Self> {
        let status = fs::read_to_string(format!("/proc/{pid}/task/{tid}/status")).ok()?;
        let stat = fs::read_to_string(format!("/proc/{pid}/task/{tid}/stat")).ok()?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(":\t"));
            line.unwrap_or_else(|| panic!("/proc/{pid}/task/{tid}/status has no field {name}: {status}"))
        };
        let number = |name: &str| field(name).trim().parse().expect("a number of /proc");
        // Behind the name, which may hold anything: state, five ids, then the flags.
        let (_, behind) = stat.rsplit_once(") ").expect("the name is in parentheses");
        let flags = behind.split(' ').nth(6).and_then(|flags| flags.parse().ok()).expect("the task's flags");
        Some(Self {
            pid,
            tid,
            name: field("Name").to_owned(),
            state: field("State").chars().next().expect("a thread has a state"),
            seccomp_mode: number("Seccomp"),
            seccomp_filters: number("Seccomp_filters"),
            no_new_privs: number("NoNewPrivs") == 1,
            flags,
        })
    }

    fn file(&self, name: &str) -> PathBuf {
        format!("/proc/{}/task/{}/{name}", self.pid, self.tid).into()
    }

    /// Whether it is the kernel's own, made for the process: it runs no code of it.
    pub fn is_kernel_worker(&self) -> bool {
        self.flags & PF_USER_WORKER != 0
    }

    /// Its own descriptors: number, and what `/proc` calls the object behind. Empty where the thread has no table.
    pub fn descriptors(&self) -> BTreeMap<i32, String> {
        let Ok(entries) = fs::read_dir(self.file("fd")) else { return BTreeMap::new() };
        let look = |entry: fs::DirEntry| {
            let number = entry.file_name().to_str()?.parse().ok()?;
            Some((number, fs::read_link(entry.path()).ok()?.to_string_lossy().into_owned()))
        };
        entries.filter_map(Result::ok).filter_map(look).collect()
    }

    /// The number of the system call in which it sleeps; `None` while it runs.
    pub fn sleeps_in(&self) -> Option<i64> {
        let text = fs::read_to_string(self.file("syscall")).ok()?;
        text.split(' ').next()?.parse().ok()
    }

    /// The arguments of that call.
    pub fn arguments_of_sleep(&self) -> Option<[u64; 6]> {
        let text = fs::read_to_string(self.file("syscall")).ok()?;
        let hexadecimal = |field: &str| u64::from_str_radix(field.strip_prefix("0x")?, 16).ok();
        let arguments: Vec<u64> = text.split(' ').skip(1).map_while(hexadecimal).take(6).collect();
        arguments.try_into().ok()
    }

    /// Whether the same open file is behind a descriptor of this thread and one of the other.
    ///
    /// # Errors
    /// The kernel's: no such descriptor, no permission, or a kernel without `kcmp`.
    pub fn shares_file(&self, number: i32, other: &Self, other_number: i32) -> io::Result<bool> {
        // SAFETY: kcmp takes integers and touches no memory.
        let order =
            unsafe { libc::syscall(libc::SYS_kcmp, self.tid, other.tid, KCMP_FILE, number, other_number) };
        if order < 0 { Err(io::Error::last_os_error()) } else { Ok(order == 0) }
    }
}
