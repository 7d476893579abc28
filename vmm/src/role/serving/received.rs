//! Files that main sends: a disk's, in the place of the one that it has.

use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, IntoRawFd as _, RawFd};

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

use crate::role::policies::disk::slot;

/// Where they come by: the socket at [`slot::MAIN_SOCKET`]. Nothing lies there without an API, and nothing is sent then.
#[derive(Clone, Copy, Debug)]
pub(in crate::role) struct Files<S> {
    socket: S,
}

impl<S: AsFd> Files<S> {
    pub(in crate::role) fn new(socket: S) -> Self {
        Self { socket }
    }

    /// Takes the file of a message and puts it at a slot; what was there is closed. Messages before it are of changes that
    /// main has given up, and go. False if there is no such message, or no file with it; the slot is as it was then.
    pub(in crate::role) fn put_in_place(&self, message: u64, disk: RawFd) -> bool {
        let mut in_place = false;
        let mut take = |number| {
            let is_wanted = number == message;
            // Fails where nothing came to lie there.
            in_place = is_wanted && put(slot::RECEIVED, disk);
            is_wanted
        };
        while self.next(&mut take) == Some(false) {}
        in_place
    }

    /// Takes all messages that are there, and lets go of their files: main has given up what they were for.
    pub(in crate::role) fn forget(&self) {
        while self.next(|_| ()).is_some() {}
    }

    /// Takes the next message, and what `take` makes of its number while its file is at [`slot::RECEIVED`]; `None` if there is
    /// none.
    fn next<T>(&self, take: impl FnOnce(u64) -> T) -> Option<T> {
        // Every number below is taken, so that this one is the lowest that is free, which a file gets that comes.
        // SAFETY: nothing owns this number, at which the socket lies once more, or the file of a message.
        unsafe { libc::close(slot::RECEIVED) };
        let taken = receive(&self.socket).map(take);
        put(slot::MAIN_SOCKET, slot::RECEIVED);
        taken
    }
}

/// Puts what lies at a slot at another as well.
fn put(from: RawFd, to: RawFd) -> bool {
    // SAFETY: what is closed at `to` has no owner but the table: a disk's file, or what came by the socket.
    unsafe { libc::dup3(from, to, libc::O_CLOEXEC) == to }
}

/// Room for the header of a control message (cmsg(3)), which begins where a `size_t` may, and for one descriptor and not two: of a
/// second file in a message the kernel makes none.
#[repr(align(8))]
struct OneFile([MaybeUninit<u8>; size_of::<libc::cmsghdr>() + size_of::<RawFd>()]);

/// The number of the next message; `None` if there is none.
fn receive(socket: impl AsFd) -> Option<u64> {
    let mut number = [0; size_of::<u64>()];
    let mut space = OneFile([MaybeUninit::uninit(); _]);
    let mut ancillary = RecvAncillaryBuffer::new(&mut space.0);
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let received = recvmsg(socket, &mut [IoSliceMut::new(&mut number)], &mut ancillary, flags).ok()?;
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(files) = message {
            // The table owns them; `Files` knows where.
            files.for_each(|file| _ = file.into_raw_fd());
        }
    }
    (received.bytes == number.len()).then(|| u64::from_le_bytes(number))
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::IoSlice;
    use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};

    use rustix::net::{
        AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
    };

    use super::*;
    use crate::confine::table::{self, Placement};

    const DISK: RawFd = slot::DISK;

    fn send(socket: &OwnedFd, number: &[u8], files: &[BorrowedFd]) {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !files.is_empty() {
            assert!(ancillary.push(SendAncillaryMessage::ScmRights(files)));
        }
        let sent = rustix::net::sendmsg(socket, &[IoSlice::new(number)], &mut ancillary, SendFlags::empty());
        assert_eq!(sent, Ok(number.len()));
    }

    fn object(number: RawFd) -> Option<String> {
        let link = std::fs::read_link(format!("/proc/thread-self/fd/{number}")).ok()?;
        Some(link.display().to_string())
    }

    fn count() -> usize {
        std::fs::read_dir("/proc/thread-self/fd").unwrap().count()
    }

    /// In a thread with a table as io's, what `test` sees of it; it sends by a socket of the first table.
    fn in_io(test: impl FnOnce(&OwnedFd, &Files<&OwnedFd>) + Send) {
        let (main, io) =
            rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
                .unwrap();
        let disk = tempfile::NamedTempFile::new().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let placements = [
                    Placement { from: io.as_raw_fd(), slot: slot::MAIN_SOCKET },
                    Placement { from: io.as_raw_fd(), slot: slot::RECEIVED },
                    Placement { from: disk.as_raw_fd(), slot: DISK },
                    // The other end, above what io has.
                    Placement { from: main.as_raw_fd(), slot: 100 },
                ];
                // SAFETY: what this thread owns from here on, it makes anew.
                unsafe { table::take_own(&placements) }.unwrap();
                table::fill_below(slot::RECEIVED).unwrap();
                // SAFETY: the socket was just placed there, and is forgotten below.
                let main = unsafe { OwnedFd::from_raw_fd(100) };
                // SAFETY: likewise.
                let socket = unsafe { OwnedFd::from_raw_fd(slot::MAIN_SOCKET) };
                test(&main, &Files::new(&socket));
                std::mem::forget((main, socket));
            });
        });
    }

    #[test]
    fn the_file_of_a_message_takes_the_place_of_a_disk_s_and_leaves_no_descriptor_behind() {
        in_io(|main, socket| {
            let take = |message| socket.put_in_place(message, DISK);
            let before = count();
            for round in 0..1000_u64 {
                let name = if round % 2 == 0 { "/proc/self/maps" } else { "/dev/zero" };
                let file = File::open(name).unwrap();
                send(main, &round.to_le_bytes(), &[file.as_fd()]);
                drop(file);
                assert!(take(round));
                assert!(object(DISK).unwrap().ends_with(name.trim_start_matches("/proc/self")));
                assert!(object(slot::RECEIVED).unwrap().starts_with("socket:"));
                assert_eq!(count(), before);
            }
        });
    }

    #[test]
    fn what_is_no_file_leaves_a_disk_as_it_is() {
        in_io(|main, socket| {
            let take = |message| socket.put_in_place(message, DISK);
            let (before, disk) = (count(), object(DISK));
            let (zero, full) = (File::open("/dev/zero").unwrap(), File::open("/dev/full").unwrap());
            assert!(!take(1), "nothing came");
            send(main, &1_u64.to_le_bytes(), &[]);
            assert!(!take(1), "no file");
            send(main, &[1, 2], &[zero.as_fd()]);
            assert!(!take(1), "no number");
            assert_eq!(object(DISK), disk);
            // Given up, and then another.
            send(main, &2_u64.to_le_bytes(), &[full.as_fd()]);
            send(main, &3_u64.to_le_bytes(), &[zero.as_fd(), full.as_fd()]);
            assert!(take(3));
            assert_eq!(object(DISK).as_deref(), Some("/dev/zero"));
            drop((zero, full));
            assert_eq!(count(), before);
            assert!(!take(3), "it is taken once");
        });
    }

    #[test]
    fn of_what_is_given_up_nothing_stays_open() {
        in_io(|main, socket| {
            let (before, disk) = (count(), object(DISK));
            let file = tempfile::NamedTempFile::new().unwrap();
            let again = || File::open(file.path()).unwrap();
            for message in 1..=3_u64 {
                let locked = again();
                locked.try_lock().expect("nobody has it");
                send(main, &message.to_le_bytes(), &[locked.as_fd()]);
                drop(locked);
                assert!(again().try_lock().is_err(), "it waits in the socket");
                socket.forget();
            }
            assert_eq!((count(), object(DISK)), (before + 1, disk), "the test's own and no other");
            assert!(object(slot::RECEIVED).unwrap().starts_with("socket:"));
            again().try_lock().expect("nobody has it any more");
            assert!(!socket.put_in_place(3, DISK), "it is gone");
        });
    }
}
