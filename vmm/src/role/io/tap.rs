//! A TAP on its slot.

use std::os::fd::{AsRawFd as _, RawFd};

use event_manager::{EventOps, Events};
use rustix::io::Errno;
use rustix::ioctl::{IntegerSetter, Opcode};
use vmm_sys_util::epoll::EventSet;

use crate::confine::Slot;
use crate::devices::virtio::Configuration;
use crate::devices::virtio::net::{Link, Net, Offloads, Received};
use crate::role::serving::{Files, Hosted};
use crate::role::shared::desk::{Change, End};

/// The TAP at a slot of this thread's table.
#[derive(Debug)]
pub(super) struct Tap {
    pub(super) slot: Slot,
    /// Which of the interfaces it is, from 0.
    pub(super) index: u8,
}

#[expect(clippy::cast_possible_truncation, reason = "a request has 32 bits")]
const SET_OFFLOADS: Opcode = libc::TUNSETOFFLOAD as Opcode;

impl Link for Tap {
    fn set_offloads(&mut self, offloads: Offloads) {
        let flags = [
            (offloads.checksums, libc::TUN_F_CSUM),
            (offloads.segments.v4, libc::TUN_F_TSO4),
            (offloads.segments.v6, libc::TUN_F_TSO6),
            (offloads.segments.congestion, libc::TUN_F_TSO_ECN),
        ];
        let flags = flags.into_iter().filter(|(wanted, _)| *wanted).fold(0, |all, (_, flag)| all | flag);
        // SAFETY: the request's argument is a number and no address (Linux drivers/net/tun.c).
        let setter = unsafe { IntegerSetter::<SET_OFFLOADS>::new_usize(flags as usize) };
        // The kernel knows these since before it had this call's filters. Where the TAP is gone, or a refused call answers
        // with an error, nothing is offloaded that was not before.
        // SAFETY: the descriptor is a TAP's, and the request is one of TAPs.
        let _ = unsafe { rustix::ioctl::ioctl(self.slot, setter) };
    }

    fn receive(&mut self, frame: &mut [u8]) -> Received {
        loop {
            match rustix::io::read(self.slot, &mut *frame) {
                Ok(length) => return Received::Frame(length),
                Err(Errno::INTR) => {}
                // None is there, or the interface was taken away: then no more will come, and epoll says nothing again.
                Err(_) => return Received::Nothing,
            }
        }
    }

    fn send(&mut self, frame: &[u8]) {
        // What the kernel does not take is lost, as on any wire: a header that contradicts itself, an interface that is down.
        while rustix::io::write(self.slot, frame) == Err(Errno::INTR) {}
    }
}

impl Hosted for Net<Tap> {
    fn listen(&mut self, ops: &mut EventOps) {
        // At each frame that comes and not as long as one is there: so a guest without buffers keeps nobody busy.
        let events = Events::new(&self.link().slot, EventSet::IN | EventSet::EDGE_TRIGGERED);
        ops.add(events).expect("epoll takes a TAP");
    }

    fn ready(&mut self, number: RawFd, _events: EventSet, _ops: &mut EventOps) -> bool {
        let is_mine = number == self.link().slot.as_raw_fd();
        if is_mine {
            self.announce();
        }
        is_mine
    }

    fn change(
        &mut self,
        change: &Change,
        _configuration: &Configuration,
        _files: Files<Slot>,
    ) -> Option<End> {
        let &Change::Interface { index, rates } = change else { return None };
        if index != self.link().index {
            return None;
        }
        self.change_rates(&rates);
        Some(Ok(()))
    }
}
