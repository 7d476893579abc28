//! The listener of a filter: refused calls come out, answers go in.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};

use seccomp_policies::call::Call;

/// A refused call whose thread the kernel holds until it is answered.
#[derive(Debug)]
pub(crate) struct Notice {
    /// The kernel's name for it.
    id: u64,
    /// The thread that made the call.
    pub(super) tid: i32,
    /// The call.
    pub(super) call: Call,
}

/// The listener's descriptor.
#[derive(Debug)]
pub(crate) struct Listener(OwnedFd);

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Listener {
    /// `descriptor` must be a listener, or every call on it fails.
    pub(crate) const fn new(descriptor: OwnedFd) -> Self {
        Self(descriptor)
    }

    /// The next refused call; `None` if its thread has ended or was interrupted meanwhile.
    pub(crate) fn receive(&self) -> io::Result<Option<Notice>> {
        let mut notice = MaybeUninit::<libc::seccomp_notif>::zeroed();
        // SAFETY: the kernel writes a structure of this size, which the request carries, and wants it zeroed.
        let outcome =
            unsafe { libc::ioctl(self.0.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_RECV, notice.as_mut_ptr()) };
        if outcome < 0 {
            return match io::Error::last_os_error() {
                gone if matches!(gone.raw_os_error(), Some(libc::ENOENT | libc::EINTR)) => Ok(None),
                error => Err(error),
            };
        }
        // SAFETY: zeroed is a valid value of every member, and the kernel has written over it.
        let notice = unsafe { notice.assume_init() };
        let libc::seccomp_data { nr, arch, instruction_pointer, args } = notice.data;
        let call = Call { number: nr.cast_unsigned(), arch, instruction_pointer, arguments: args };
        Ok(Some(Notice { id: notice.id, tid: notice.pid.cast_signed(), call }))
    }

    /// Whether the thread still waits for its answer, and so is still the one that made the call.
    pub(super) fn is_waiting(&self, notice: &Notice) -> bool {
        // SAFETY: the kernel reads the number behind the pointer.
        unsafe {
            libc::ioctl(self.0.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_ID_VALID, &raw const notice.id) == 0
        }
    }

    /// Has the kernel carry out the call after all.
    pub(crate) fn carry_out(&self, notice: &Notice) -> io::Result<()> {
        let flags = u32::try_from(libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE).expect("it is 1");
        self.answer(&libc::seccomp_notif_resp { id: notice.id, val: 0, error: 0, flags })
    }

    /// Lets the call fail with this error number.
    pub(super) fn fail(&self, notice: &Notice, errno: u16) -> io::Result<()> {
        self.answer(&libc::seccomp_notif_resp { id: notice.id, val: 0, error: -i32::from(errno), flags: 0 })
    }

    /// A thread that no longer waits needs no answer.
    fn answer(&self, answer: &libc::seccomp_notif_resp) -> io::Result<()> {
        // SAFETY: the kernel reads a structure of this size, which the request carries.
        let outcome =
            unsafe { libc::ioctl(self.0.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SEND, &raw const *answer) };
        match io::Error::last_os_error() {
            error if outcome < 0 && error.raw_os_error() != Some(libc::ENOENT) => Err(error),
            _ => Ok(()),
        }
    }
}
