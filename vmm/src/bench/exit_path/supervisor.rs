//! A supervisor that is asked about each `KVM_RUN` and has it carried out: what people use who want to see every call without
//! tracing: `seccomp_unotify(2)`.

use std::io;
use std::os::fd::{FromRawFd as _, OwnedFd, RawFd};
use std::thread;

use rustix::thread::set_no_new_privs;
use seccomp_policies::bpf::write::{NUMBER, argument, branch, load, ret};
use seccomp_policies::bpf::{Comparison, Instruction};
use seccomp_policies::syscalls::{Arch, by_name};

use super::thread::KVM_RUN_REQUEST;
use crate::bench::Error;
use crate::exec::Listener;

/// The program: `KVM_RUN` is asked about, and every other call allowed.
pub(super) fn program() -> Vec<Instruction> {
    let ioctl = by_name(Arch::X86_64, "ioctl").map_or(u32::MAX, |call| call.number);
    let request = u32::try_from(KVM_RUN_REQUEST).unwrap_or(u32::MAX);
    vec![
        load(NUMBER),
        branch(Comparison::Equal, ioctl, 0, 3),
        load(argument(1)),
        branch(Comparison::Equal, request, 0, 1),
        ret(libc::SECCOMP_RET_USER_NOTIF),
        ret(libc::SECCOMP_RET_ALLOW),
    ]
}

/// Puts the calling thread under a supervisor, which is a thread of this process with its old table of descriptors.
///
/// # Errors
/// [`Error::Supervisor`]
pub(super) fn start() -> Result<(), Error> {
    let listener = install().map_err(Error::Supervisor)?;
    let listener = Listener::new(listener);
    // It has the filter too, and makes no call that is asked about.
    let supervise = move || while answer(&listener).is_ok() {};
    thread::Builder::new().name("supervisor".into()).spawn(supervise).map_err(Error::Spawn)?;
    Ok(())
}

fn answer(listener: &Listener) -> io::Result<()> {
    match listener.receive()? {
        Some(notice) => listener.carry_out(&notice),
        None => Ok(()),
    }
}

fn install() -> io::Result<OwnedFd> {
    set_no_new_privs(true)?;
    let filter = program();
    let length = u16::try_from(filter.len()).map_err(io::Error::other)?;
    let program = libc::sock_fprog { len: length, filter: filter.as_ptr().cast_mut().cast() };
    // SAFETY: the kernel copies the program, which is there meanwhile, and makes a descriptor.
    let descriptor = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            libc::SECCOMP_FILTER_FLAG_NEW_LISTENER,
            &raw const program,
        )
    };
    match RawFd::try_from(descriptor) {
        // SAFETY: the kernel has just made it for this caller.
        Ok(descriptor) if descriptor >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(descriptor) }),
        _ => Err(io::Error::last_os_error()),
    }
}
