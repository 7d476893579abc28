//! A descriptor table of one's own, with each descriptor at its slot and nothing else.

use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::pipe::PipeFlags;

use super::bell::Slot;

/// A descriptor of the present table and the slot where it shall lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    /// Its number now.
    pub from: RawFd,
    /// Its number then.
    pub slot: RawFd,
}

/// Why a thread could not get its table.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Two descriptors for one slot.
    #[error("two descriptors are meant for slot {0}")]
    Twice(RawFd),
    /// A descriptor that a library made is not where the policy expects it.
    #[error("no descriptor lies at slot {0}, where one was expected")]
    Missing(RawFd),
    /// A call of the kernel failed.
    #[error("{call} failed while the thread made its own descriptor table: {errno}{}", remedy(call, *errno))]
    Call {
        /// The system call.
        call: &'static str,
        /// Its error.
        errno: Errno,
    },
}

fn remedy(call: &str, errno: Errno) -> &'static str {
    match errno {
        _ if call == OPEN_NULL && errno != Errno::MFILE => {
            "; make it what it should be, also in a chroot: mknod -m 666 /dev/null c 1 3"
        }
        Errno::NOSYS => "; use Linux 5.9 or later",
        Errno::PERM => "; a filter around this process refuses it: allow close_range",
        Errno::MFILE => "; raise the limit of open files (ulimit -n)",
        _ => "",
    }
}

fn call<T>(name: &'static str, result: Result<T, Errno>) -> Result<T, Error> {
    result.map_err(|errno| Error::Call { call: name, errno })
}

const OPEN_NULL: &str = "open(/dev/null)";

/// The standard descriptors, which hold [`null`] where the role has no use for them, so that no descriptor
/// made later can pass for one.
const STANDARD: std::ops::RangeInclusive<RawFd> = 0..=2;

/// Gives the calling thread a table of its own that holds just the `placements`, and `/dev/null` at those of 0
/// to 2 that are not placed.
///
/// # Errors
/// See [`Error`]. The table may be incomplete then; the thread must end.
///
/// # Safety
/// Every descriptor number that this thread has seen means something else afterwards or nothing. No value that
/// owns or borrows a descriptor by its number may be used, or dropped, by this thread afterwards.
pub unsafe fn take_own(placements: &[Placement]) -> Result<(), Error> {
    if let Some(twice) = twice(placements) {
        return Err(Error::Twice(twice));
    }
    // A range above every number: nothing is closed yet. Not `unshare`, which the profiles of container engines refuse.
    close_range(NO_NUMBER, NO_NUMBER, CLOSE_RANGE_UNSHARE)?;
    // First out of the way, above every number that is in use or wanted, then down to the slots: so no order of
    // moves can overwrite a descriptor that is still needed.
    let above =
        placements.iter().map(|placement| placement.from.max(placement.slot)).max().unwrap_or(2).max(2) + 1;
    let mut parked = Vec::with_capacity(placements.len());
    for placement in placements {
        parked.push((duplicate_above(placement.from, above)?, placement.slot));
    }
    close_range(0, above.unsigned_abs() - 1, 0)?;
    fill_standard(placements)?;
    for (descriptor, slot) in parked {
        place(&descriptor, slot)?;
        // Closed with all others above.
        std::mem::forget(descriptor);
    }
    close_range(above.unsigned_abs(), NO_NUMBER, 0)?;
    for number in 3..above {
        if !placements.iter().any(|placement| placement.slot == number) {
            debug_assert!(!is_open(number), "descriptor {number} is open and has no slot");
        }
    }
    Ok(())
}

fn twice(placements: &[Placement]) -> Option<RawFd> {
    let mut slots: Vec<RawFd> = placements.iter().map(|placement| placement.slot).collect();
    slots.sort_unstable();
    slots.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0])
}

fn duplicate_above(number: RawFd, above: RawFd) -> Result<OwnedFd, Error> {
    // SAFETY: F_DUPFD_CLOEXEC takes two integers and touches no memory.
    let duplicate = unsafe { libc::fcntl(number, libc::F_DUPFD_CLOEXEC, above) };
    if duplicate < 0 {
        return Err(Error::Call { call: "fcntl(F_DUPFD_CLOEXEC)", errno: last_errno() });
    }
    // SAFETY: the kernel has just made this descriptor and nobody else knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(duplicate) })
}

fn fill_standard(placements: &[Placement]) -> Result<(), Error> {
    if STANDARD.into_iter().all(|number| placements.iter().any(|placement| placement.slot == number)) {
        return Ok(());
    }
    let null = null()?;
    // The table is empty below, so the lowest number is 0. A placed descriptor takes the place of this one later.
    debug_assert_eq!(null.as_raw_fd(), *STANDARD.start());
    for number in STANDARD.skip(1) {
        place(&null, number)?;
    }
    std::mem::forget(null);
    Ok(())
}

/// Puts `/dev/null` at every number below `first` that is free in the calling thread's table.
///
/// # Errors
/// [`Error::Call`]
pub fn fill_below(first: RawFd) -> Result<(), Error> {
    // The kernel gives the lowest number that is free, so the first from `first` on is the sign that none is left below.
    loop {
        let null = null()?;
        if null.as_raw_fd() >= first {
            return Ok(());
        }
        // The table owns it from here on.
        std::mem::forget(null);
    }
}

/// `/dev/null` at the lowest number that is free; in a jail without one, the reading end of a pipe that nobody writes: it too
/// is at its end at once, and takes nothing.
fn null() -> Result<OwnedFd, Error> {
    match rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()) {
        Err(Errno::NOENT) => {
            let (reader, _) = call("pipe2", rustix::pipe::pipe_with(PipeFlags::CLOEXEC))?;
            Ok(reader)
        }
        opened => call(OPEN_NULL, opened),
    }
}

fn place(descriptor: &OwnedFd, slot: RawFd) -> Result<(), Error> {
    // SAFETY: dup3 takes integers; what it closes at `slot` is /dev/null or nothing, and has no owner.
    match unsafe { libc::dup3(descriptor.as_raw_fd(), slot, libc::O_CLOEXEC) } {
        -1 => Err(Error::Call { call: "dup3", errno: last_errno() }),
        _ => Ok(()),
    }
}

/// Above every descriptor number: they are not negative as a C `int`.
const NO_NUMBER: u32 = u32::MAX;
/// Gives the calling thread a table of its own first: Linux `include/uapi/linux/close_range.h`, since 5.9.
const CLOSE_RANGE_UNSHARE: u32 = 1 << 1;

fn close_range(first: u32, last: u32, flags: u32) -> Result<(), Error> {
    // SAFETY: close_range takes integers; the caller of `take_own` answers for owners of what is closed.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) };
    if result != 0 {
        return Err(Error::Call { call: "close_range", errno: last_errno() });
    }
    Ok(())
}

/// Whether the calling thread's table holds something at this number.
pub(super) fn is_open(number: RawFd) -> bool {
    // SAFETY: F_GETFD takes an integer and touches no memory.
    unsafe { libc::fcntl(number, libc::F_GETFD) >= 0 }
}

/// Moves a descriptor of the calling thread to the lowest free number from `lowest` up.
///
/// # Errors
/// The kernel's, when there is no such number.
pub fn raise(descriptor: impl IntoRawFd, lowest: RawFd) -> io::Result<Slot> {
    // SAFETY: the number comes from the value that owned it, and has no other owner now.
    let descriptor = unsafe { OwnedFd::from_raw_fd(descriptor.into_raw_fd()) };
    let raised = duplicate_above(descriptor.as_raw_fd(), lowest).map_err(io::Error::other)?;
    // The table owns it from here on.
    Ok(Slot::placed(raised.into_raw_fd()))
}

/// Holds every free number below this one, until the result is dropped: what is opened meanwhile lies from there on.
pub fn take_below(lowest: RawFd) -> Vec<OwnedFd> {
    // Where no more can be had, what is opened next fails likewise, and says so.
    let next = || rustix::io::dup(rustix::stdio::stderr()).ok().filter(|taken| taken.as_raw_fd() < lowest);
    std::iter::from_fn(next).collect()
}

/// A descriptor that came to a fenced thread, as a connection does.
///
/// The standard library's owner asks by `fcntl` whether the descriptor is open before it closes it, where debug assertions
/// are on: a call for which no role has a rule. This one is closed by `close` and nothing else.
#[derive(Debug)]
pub struct Taken(ManuallyDrop<OwnedFd>);

impl From<OwnedFd> for Taken {
    fn from(descriptor: OwnedFd) -> Self {
        Self(ManuallyDrop::new(descriptor))
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        // SAFETY: the number is open and this value its only owner, which nobody uses any more.
        unsafe { libc::close(self.0.as_raw_fd()) };
    }
}

impl AsRawFd for Taken {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl AsFd for Taken {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// How many descriptors a thread of this process holds; `None` where /proc does not tell.
pub fn count_of(tid: i32) -> Option<usize> {
    let entries = std::fs::read_dir(format!("/proc/self/task/{tid}/fd")).ok()?.count();
    // Looking takes a descriptor, which shows in the looker's own table.
    let own = rustix::thread::gettid().as_raw_nonzero().get() == tid;
    Some(entries - usize::from(own))
}

fn last_errno() -> Errno {
    Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::INVAL)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::event::{EventfdFlags, eventfd};

    /// The numbers that are open in the calling thread's table, without the one that reads the folder.
    fn open_numbers() -> Vec<RawFd> {
        (0..4096).filter(|&number| is_open(number)).collect()
    }

    fn in_thread<T: Send>(body: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| scope.spawn(body).join().expect("the thread ended well"))
    }

    fn eventfd_number(initial: u32) -> RawFd {
        let descriptor = eventfd(initial, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).unwrap();
        let number = descriptor.as_raw_fd();
        std::mem::forget(descriptor);
        number
    }

    fn count_of(number: RawFd) -> u64 {
        let mut count = [0; 8];
        // SAFETY: the number is open in this thread's table: the test has placed it.
        let descriptor = unsafe { BorrowedFd::borrow_raw(number) };
        rustix::io::read(descriptor, &mut count).unwrap();
        u64::from_ne_bytes(count)
    }

    #[test]
    fn the_table_holds_the_slots_and_the_standard_three() {
        let numbers = in_thread(|| {
            let placements = [
                Placement { from: eventfd_number(1), slot: 5 },
                Placement { from: eventfd_number(2), slot: 9 },
            ];
            // SAFETY: this thread holds no other descriptor.
            unsafe { take_own(&placements) }.unwrap();
            open_numbers()
        });
        assert_eq!(numbers, [0, 1, 2, 5, 9]);
    }

    #[test]
    fn descriptors_that_want_each_others_numbers_change_places() {
        let counts = in_thread(|| {
            let (one, two) = (eventfd_number(1), eventfd_number(2));
            let placements = [Placement { from: one, slot: two }, Placement { from: two, slot: one }];
            // SAFETY: this thread holds no other descriptor.
            unsafe { take_own(&placements) }.unwrap();
            (count_of(one), count_of(two))
        });
        assert_eq!(counts, (2, 1));
    }

    #[test]
    fn the_other_threads_keep_their_descriptors() {
        let number = eventfd_number(3);
        in_thread(|| {
            // SAFETY: this thread holds no descriptor.
            unsafe { take_own(&[]) }.unwrap();
            assert_eq!(open_numbers(), [0, 1, 2]);
        });
        assert_eq!(count_of(number), 3);
    }

    #[test]
    fn a_filled_table_has_no_free_number_below_the_first() {
        let numbers = in_thread(|| {
            // SAFETY: this thread holds no other descriptor.
            unsafe { take_own(&[Placement { from: eventfd_number(7), slot: 9 }]) }.unwrap();
            fill_below(20).unwrap();
            let next = eventfd_number(0);
            (open_numbers(), next, count_of(9))
        });
        assert_eq!(numbers, ((0..=20).collect(), 20, 7));
    }

    #[test]
    fn one_slot_for_two_descriptors_is_an_error() {
        let placements = [Placement { from: 0, slot: 7 }, Placement { from: 1, slot: 7 }];
        // SAFETY: refused before anything is changed.
        let error = unsafe { take_own(&placements) }.unwrap_err();
        assert_eq!(error.to_string(), "two descriptors are meant for slot 7");
    }
}
