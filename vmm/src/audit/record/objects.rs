//! What descriptors refer to, followed by the calls that make and close them.
//!
//! `/proc` tells more, and only while the process has the descriptor: what a call made is known by the call, and everything
//! else is looked up at the first sight.
#![forbid(unsafe_code)]

use std::collections::{BTreeSet, HashMap};
use std::fs;

use seccomp_policies::learn::Object;

/// The descriptors of one process.
#[derive(Clone, Debug, Default)]
pub(super) struct Objects {
    known: HashMap<u32, Option<Object>>,
    /// What was made by calls that give descriptors back in memory, where their numbers are not to be seen.
    unnumbered: BTreeSet<&'static str>,
    /// Whether every call was seen since the program began, so that what is not known was there before or is unnumbered.
    is_whole: bool,
}

/// What a call makes, if it returns a descriptor.
fn made_by(call: &str) -> Option<&'static str> {
    Some(match call {
        "open" | "openat" | "openat2" | "creat" | "open_by_handle_at" => "file",
        "socket" | "accept" | "accept4" => "socket",
        "epoll_create" | "epoll_create1" => "eventpoll",
        "eventfd" | "eventfd2" => "eventfd",
        "timerfd_create" => "timerfd",
        "signalfd" | "signalfd4" => "signalfd",
        "inotify_init" | "inotify_init1" => "inotify",
        "fanotify_init" => "fanotify",
        "memfd_create" => "memfd",
        "pidfd_open" => "pidfd",
        "io_uring_setup" => "io_uring",
        "userfaultfd" => "userfaultfd",
        "perf_event_open" => "perf_event",
        "landlock_create_ruleset" => "landlock",
        _ => return None,
    })
}

/// What a call makes whose descriptors it gives back in memory.
fn made_unnumbered(call: &str) -> Option<&'static str> {
    Some(match call {
        "pipe" | "pipe2" => "pipe",
        "socketpair" => "socket",
        "recvmsg" | "recvmmsg" => "received",
        _ => return None,
    })
}

impl Objects {
    /// What a process begins with: standard input, output and error.
    pub(super) fn of_start(pid: i32) -> Self {
        let known = (0..=STANDARD_ERROR).map(|number| (number, looked_up(pid, number)));
        Self { known: known.collect(), ..Self::default() }
    }

    /// What a descriptor refers to that a thread passes to a call; `None` where it is gone and nothing was known of it.
    pub(super) fn seen(&mut self, pid: i32, number: u32) -> Option<&Object> {
        let (unnumbered, is_whole) = (&self.unnumbered, self.is_whole);
        let object = self.known.entry(number).or_insert_with(|| {
            let found = looked_up(pid, number);
            if unnumbered.is_empty() || unnumbered.contains("received") || !is_whole {
                return found;
            }
            // What is there now may have come later, and then its making has yet to be told.
            found.filter(|object| unnumbered.contains(object.kind.as_str())).or_else(|| {
                let mut kinds = unnumbered.iter();
                let kind = kinds.next().filter(|_| kinds.next().is_none())?;
                Some(Object { kind: (*kind).to_owned(), name: None })
            })
        });
        object.as_ref()
    }

    /// A call has come back; whether a number refers to something else now.
    pub(super) fn returned(&mut self, pid: i32, call: &str, arguments: &[u64; 6], value: i64) -> bool {
        let Ok(made) = u32::try_from(value) else { return false };
        match call {
            "close" => drop(self.known.remove(&low(arguments[0]))),
            "close_range" => {
                let (first, last) = (low(arguments[0]), low(arguments[1]));
                self.known.retain(|number, _| !(first..=last).contains(number));
            }
            "dup" | "dup2" | "dup3" => {
                let object = self.known.get(&low(arguments[0])).cloned().flatten();
                self.known.insert(made, object.or_else(|| looked_up(pid, made)));
            }
            // F_DUPFD and F_DUPFD_CLOEXEC, Linux include/uapi/linux/fcntl.h.
            "fcntl" if matches!(low(arguments[1]), 0 | 1030) => drop(self.known.remove(&made)),
            // Some make descriptors, as those of KVM do. One that returns 0 to 2 does not.
            "ioctl" if made > STANDARD_ERROR => drop(self.known.remove(&made)),
            _ => {
                self.unnumbered.extend(made_unnumbered(call));
                let Some(kind) = made_by(call) else { return false };
                let found = looked_up(pid, made).filter(|object| object.kind == kind);
                self.known.insert(made, Some(found.unwrap_or(Object { kind: kind.into(), name: None })));
            }
        }
        true
    }

    /// Another program has begun: it has those three, and what else was not to be closed then is looked up.
    pub(super) fn executed(&mut self) {
        self.known.retain(|number, _| *number <= STANDARD_ERROR);
        self.unnumbered.clear();
        self.is_whole = true;
    }
}

/// The highest of the descriptors that every program begins with.
const STANDARD_ERROR: u32 = 2;

#[expect(clippy::cast_possible_truncation, reason = "the kernel reads as much of a descriptor")]
const fn low(register: u64) -> u32 {
    register as u32
}

fn looked_up(pid: i32, number: u32) -> Option<Object> {
    let link = fs::read_link(format!("/proc/{pid}/fd/{number}")).ok()?;
    Some(of_link(&link.to_string_lossy()))
}

/// What `/proc` calls an object, as a kind and a name.
fn of_link(link: &str) -> Object {
    let (kind, name) = match link.split_once(':') {
        Some(("anon_inode", rest)) => {
            let rest = rest.trim_start_matches('[').trim_end_matches(']');
            (rest.split(':').next().unwrap_or(rest).replace('-', "_"), None)
        }
        Some((kind @ ("socket" | "pipe" | "pidfd" | "mnt" | "net" | "pid" | "user"), _)) => {
            (kind.to_owned(), None)
        }
        _ if link.starts_with("/memfd:") => ("memfd".to_owned(), Some(link)),
        _ if link.starts_with("/dev/pts/") || link == "/dev/tty" || link == "/dev/console" => {
            ("terminal".to_owned(), Some(link))
        }
        _ if link.starts_with("/dev/") => ("device".to_owned(), Some(link)),
        _ => ("file".to_owned(), Some(link)),
    };
    Object { kind, name: name.map(str::to_owned) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_known_by_what_proc_calls_it() {
        let kind = |link: &str| of_link(link).kind;
        assert_eq!(kind("anon_inode:[eventfd]"), "eventfd");
        assert_eq!(kind("anon_inode:kvm-vcpu:0"), "kvm_vcpu");
        assert_eq!(kind("anon_inode:inotify"), "inotify");
        assert_eq!((kind("socket:[17]"), kind("pipe:[17]")), ("socket".into(), "pipe".into()));
        assert_eq!(
            (kind("/dev/pts/1"), kind("/dev/kvm"), kind("/a:b")),
            ("terminal".into(), "device".into(), "file".into())
        );
        assert_eq!(of_link("/etc/passwd").name.as_deref(), Some("/etc/passwd"));
    }

    #[test]
    fn what_a_call_made_is_known_until_it_is_closed() {
        // Nobody has this number, so that nothing is looked up.
        let (pid, mut objects) = (-1, Objects::default());
        objects.returned(pid, "eventfd2", &[0; 6], 7);
        assert_eq!(objects.seen(pid, 7).unwrap().kind, "eventfd");
        objects.returned(pid, "dup", &[7, 0, 0, 0, 0, 0], 9);
        assert_eq!(objects.seen(pid, 9).unwrap().kind, "eventfd");
        objects.returned(pid, "close", &[7, 0, 0, 0, 0, 0], 0);
        assert_eq!(objects.seen(pid, 7), None);
        objects.returned(pid, "socket", &[0; 6], -13);
        assert_eq!(objects.seen(pid, 3), None);
        objects.executed();
        objects.returned(pid, "pipe2", &[0; 6], 0);
        assert_eq!(objects.seen(pid, 4).unwrap().kind, "pipe");
        objects.returned(pid, "recvmsg", &[0; 6], 1);
        assert_eq!(objects.seen(pid, 5), None, "it may be either");
    }
}
