//! Named constants of the kernel's and libc's headers that policies compare arguments with.
//!
//! Values come from `libc` and `kvm-bindings` where these have them for both targets. A constant that differs between
//! the targets, or that `libc` lacks, stands here as a number with the header that it is from.

mod family;
mod file;
mod ioctl;
mod kvm;
mod memory;
mod name;
mod network;
mod process;
mod signal;
mod wait;

pub use family::{Constant, Family, Kind};
pub use name::{name_of, name_of_mask, name_under_mask};

use crate::syscalls::{Arch, Argument, Syscall};

/// Every family. A name that is in two of them has the same value in both.
static FAMILIES: &[&Family] = &[
    &file::OPEN,
    &file::AT_FLAGS,
    &file::AT_DIRECTORY,
    &file::FCNTL,
    &file::DESCRIPTOR_FLAGS,
    &file::MODE,
    &file::ACCESS,
    &file::SEEK,
    &file::LOCK,
    &file::RENAME,
    &file::FALLOCATE,
    &file::STATX,
    &file::CLOSE_RANGE,
    &file::MEMFD,
    &file::RESOLVE,
    &file::MOUNT,
    &file::UMOUNT,
    &memory::PROTECTION,
    &memory::MAP,
    &memory::ADVICE,
    &memory::REMAP,
    &memory::SYNC,
    &memory::LOCK_ALL,
    &memory::MEMBARRIER,
    &process::CLONE,
    &process::PRCTL,
    &process::SECCOMP,
    &process::SECCOMP_FLAGS,
    &process::PIDFD,
    &process::WAIT,
    &process::RESOURCE,
    &process::SCHEDULER,
    &process::PRIORITY,
    &process::USAGE,
    &process::GETRANDOM,
    &process::PTRACE,
    &process::ARCH_PRCTL,
    &process::KEYCTL,
    &process::REBOOT,
    &signal::SIGNALS,
    &signal::HOW,
    &wait::FUTEX,
    &wait::FUTEX_BITSET,
    &wait::EPOLL_CTL,
    &wait::EPOLL_CREATE,
    &wait::EPOLL_EVENTS,
    &wait::POLL,
    &wait::EVENTFD,
    &wait::TIMERFD,
    &wait::TIMER_FLAGS,
    &wait::SIGNALFD,
    &wait::CLOCK,
    &wait::PERF,
    &wait::IO_URING,
    &network::DOMAIN,
    &network::TYPE,
    &network::PROTOCOL,
    &network::LEVEL,
    &network::MESSAGE,
    &network::SHUTDOWN,
    &network::SOCKET_OPTION,
    &network::TCP_OPTION,
    &ioctl::TERMINAL,
    &ioctl::FILE,
    &ioctl::TUN,
    &ioctl::PERF,
    &ioctl::BLOCK,
    &kvm::REQUESTS,
];

/// The value of a constant on an architecture; `None` if no header there defines it.
///
/// Negative constants (`AT_FDCWD`) are negative; in an argument they are two's complement of its width.
pub fn value(arch: Arch, name: &str) -> Option<i64> {
    constants().find(|constant| constant.name == name)?.value(arch)
}

/// The names of every constant of an architecture.
pub fn names(arch: Arch) -> impl Iterator<Item = &'static str> {
    constants().filter(move |constant| constant.value(arch).is_some()).map(|constant| constant.name)
}

fn constants() -> impl Iterator<Item = Constant> {
    FAMILIES.iter().flat_map(|family| family.constants())
}

/// The number of an error by its name, as in `ENOENT`.
pub fn errno(name: &str) -> Option<u16> {
    let found = signal::ERRNO.constants().find(|constant| constant.name == name)?;
    u16::try_from(found.value(Arch::X86_64)?).ok()
}

/// The name of an error by its number.
pub fn errno_name(number: u16) -> Option<&'static str> {
    signal::ERRNO.named(Arch::X86_64, i64::from(number))
}

/// Names of errors.
pub fn errno_names() -> impl Iterator<Item = &'static str> {
    signal::ERRNO.constants().map(|constant| constant.name)
}

/// The families whose constants an argument of a call takes; empty for plain numbers and addresses.
pub fn families(call: &Syscall, argument: &Argument) -> &'static [&'static Family] {
    match (call.name, argument.name) {
        (
            "openat" | "open" | "open_by_handle_at" | "dup3" | "pipe2" | "inotify_init1" | "userfaultfd",
            "flags",
        ) => &[&file::OPEN],
        (_, "olddfd" | "newdfd" | "from_dfd" | "to_dfd" | "dfd") | ("execveat", "fd") => {
            &[&file::AT_DIRECTORY]
        }
        ("newfstatat" | "unlinkat" | "fchownat" | "name_to_handle_at", "flag") => &[&file::AT_FLAGS],
        ("linkat" | "execveat" | "faccessat2" | "fchmodat2" | "statx" | "utimensat", "flags") => {
            &[&file::AT_FLAGS]
        }
        ("statx", "mask") => &[&file::STATX],
        ("faccessat" | "access" | "faccessat2", "mode") => &[&file::ACCESS],
        ("fcntl", "cmd") => &[&file::FCNTL],
        ("flock", "cmd") => &[&file::LOCK],
        ("lseek", "whence") => &[&file::SEEK],
        ("renameat2", "flags") => &[&file::RENAME],
        ("fallocate", "mode") => &[&file::FALLOCATE],
        ("close_range", "flags") => &[&file::CLOSE_RANGE],
        ("memfd_create", "flags") => &[&file::MEMFD],
        ("mount", "flags") => &[&file::MOUNT],
        ("umount2", "flags") => &[&file::UMOUNT],
        ("mmap" | "mprotect" | "pkey_mprotect", "prot") => &[&memory::PROTECTION],
        ("mmap", "flags") => &[&memory::MAP],
        ("madvise" | "process_madvise", "behavior") => &[&memory::ADVICE],
        ("mremap", "flags") => &[&memory::REMAP],
        ("msync", "flags") => &[&memory::SYNC],
        ("mlockall", "flags") => &[&memory::LOCK_ALL],
        ("membarrier", "cmd") => &[&memory::MEMBARRIER],
        ("clone", "clone_flags") | ("unshare", "unshare_flags") | ("setns", "flags") => &[&process::CLONE],
        ("prctl", "option") => &[&process::PRCTL],
        ("arch_prctl", "option") => &[&process::ARCH_PRCTL],
        ("seccomp", "op") => &[&process::SECCOMP],
        ("seccomp", "flags") => &[&process::SECCOMP_FLAGS],
        ("pidfd_open", "flags") => &[&process::PIDFD],
        ("wait4" | "waitid", "options") => &[&process::WAIT],
        (_, "resource") => &[&process::RESOURCE],
        ("sched_setscheduler" | "sched_get_priority_max" | "sched_get_priority_min", "policy") => {
            &[&process::SCHEDULER]
        }
        ("getpriority" | "setpriority", "which") => &[&process::PRIORITY],
        ("getrusage", "who") => &[&process::USAGE],
        ("getrandom", "flags") => &[&process::GETRANDOM],
        ("ptrace", "request") => &[&process::PTRACE],
        ("keyctl", "option") => &[&process::KEYCTL],
        ("reboot", "cmd") => &[&process::REBOOT],
        ("rseq", _) => &[],
        (_, "sig") => &[&signal::SIGNALS],
        ("rt_sigprocmask", "how") => &[&signal::HOW],
        ("futex", "op") => &[&wait::FUTEX],
        ("futex", "val3") => &[&wait::FUTEX_BITSET],
        ("epoll_ctl", "op") => &[&wait::EPOLL_CTL],
        ("epoll_create1", "flags") => &[&wait::EPOLL_CREATE],
        ("eventfd2", "flags") => &[&wait::EVENTFD],
        ("timerfd_create", "flags") => &[&wait::TIMERFD],
        ("timerfd_settime" | "timer_settime" | "clock_nanosleep", "flags") => &[&wait::TIMER_FLAGS],
        ("signalfd4", "flags") => &[&wait::SIGNALFD],
        (_, "clockid" | "which_clock") => &[&wait::CLOCK],
        ("perf_event_open", "flags") => &[&wait::PERF],
        ("io_uring_enter", "flags") => &[&wait::IO_URING],
        ("socket" | "socketpair", "family") => &[&network::DOMAIN],
        ("socket" | "socketpair", "type") | ("accept4", "flags") => &[&network::TYPE],
        ("setsockopt" | "getsockopt", "level") => &[&network::LEVEL],
        ("setsockopt" | "getsockopt", "optname") => &[&network::SOCKET_OPTION],
        ("sendto" | "recvfrom" | "sendmsg" | "recvmsg" | "sendmmsg" | "recvmmsg", "flags") => {
            &[&network::MESSAGE]
        }
        ("shutdown", "how") => &[&network::SHUTDOWN],
        ("ioctl", "cmd") => {
            &[&kvm::REQUESTS, &ioctl::TERMINAL, &ioctl::FILE, &ioctl::TUN, &ioctl::PERF, &ioctl::BLOCK]
        }
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    const ARCHES: [Arch; 2] = [Arch::X86_64, Arch::Aarch64];

    #[test]
    fn a_name_has_one_value_on_an_architecture() {
        for arch in ARCHES {
            let mut values = HashMap::new();
            for constant in constants() {
                if let Some(value) = constant.value(arch) {
                    assert_eq!(
                        *values.entry(constant.name).or_insert(value),
                        value,
                        "{} on {arch}",
                        constant.name
                    );
                }
            }
        }
    }

    #[test]
    fn open_flags_differ_between_the_architectures_as_their_headers_do() {
        for (name, x86_64, aarch64) in [
            ("O_DIRECT", 0o40000, 0o200_000),
            ("O_DIRECTORY", 0o200_000, 0o40000),
            ("O_NOFOLLOW", 0o400_000, 0o100_000),
            ("O_CLOEXEC", 0o2_000_000, 0o2_000_000),
        ] {
            assert_eq!(
                (value(Arch::X86_64, name), value(Arch::Aarch64, name)),
                (Some(x86_64), Some(aarch64)),
                "{name}"
            );
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn constants_that_differ_between_the_architectures_agree_with_libc_on_this_one() {
        for (name, expected) in [
            ("O_DIRECT", libc::O_DIRECT),
            ("O_DIRECTORY", libc::O_DIRECTORY),
            ("O_NOFOLLOW", libc::O_NOFOLLOW),
            ("O_TMPFILE", libc::O_TMPFILE),
            ("MAP_32BIT", libc::MAP_32BIT),
        ] {
            assert_eq!(value(Arch::X86_64, name), Some(i64::from(expected)), "{name}");
        }
    }

    #[test]
    fn kvm_requests_have_the_numbers_of_the_kernels_header() {
        for (name, number) in [
            ("KVM_RUN", 0xae80),
            ("KVM_GET_API_VERSION", 0xae00),
            ("KVM_SET_USER_MEMORY_REGION", 0x4020_ae46),
            ("KVM_GET_REGS", 0x8090_ae81),
            ("KVM_SET_SREGS", 0x4138_ae84),
            ("KVM_IRQFD", 0x4020_ae76),
            ("KVM_IOEVENTFD", 0x4040_ae79),
            ("KVM_SET_CPUID2", 0x4008_ae90),
            ("KVM_GET_XSAVE", 0x9000_aea4),
        ] {
            assert_eq!(value(Arch::X86_64, name), Some(number), "{name}");
        }
        assert_eq!(value(Arch::Aarch64, "KVM_GET_REGS"), None);
        assert_eq!(value(Arch::Aarch64, "KVM_RUN"), Some(0xae80));
    }

    #[test]
    fn an_error_has_a_name_and_a_number() {
        assert_eq!((errno("EPERM"), errno("ENOSYS"), errno("EWHAT")), (Some(1), Some(38), None));
        assert_eq!(errno_name(2), Some("ENOENT"));
    }

    #[test]
    fn negative_constants_stay_negative_and_flags_do_not_become_so() {
        assert_eq!(value(Arch::X86_64, "AT_FDCWD"), Some(-100));
        assert_eq!(value(Arch::X86_64, "CLONE_IO"), Some(0x8000_0000));
        assert_eq!(value(Arch::X86_64, "EPOLLET"), Some(0x8000_0000));
    }
}
