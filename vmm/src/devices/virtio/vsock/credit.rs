//! Credit: how many bytes each side may send before the other has passed on what it has, section 5.10.6.3.

/// Bytes that a stream keeps for its host side at most: what the guest may send ahead of it. Firecracker's, too.
pub const BUFFER: u32 = 64 * 1024;

/// What the guest has room for, as it says.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Guest {
    buffer: u32,
    sent: u32,
    forwarded: u32,
}

impl Guest {
    /// A packet of the guest's says how much room it has, and what has left it.
    ///
    /// A guest's processors may overtake each other with their packets, so an older count of what was forwarded is no lie;
    /// it is not taken, and neither is one of bytes that were never sent.
    pub(super) fn says(&mut self, buffer: u32, forwarded: u32) {
        self.buffer = buffer;
        if self.sent.wrapping_sub(forwarded) <= self.sent.wrapping_sub(self.forwarded) {
            self.forwarded = forwarded;
        }
    }

    /// Bytes that it may be sent now.
    pub(super) fn left(&self) -> u32 {
        self.buffer.saturating_sub(self.sent.wrapping_sub(self.forwarded))
    }

    /// So many were sent, of those that were left.
    pub(super) fn spend(&mut self, count: u32) {
        self.sent = self.sent.wrapping_add(count);
    }
}

/// What the guest was promised.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Own {
    received: u32,
    forwarded: u32,
    told: u32,
}

/// The guest sent more than it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Exceeded;

impl Own {
    /// Bytes that it may send now.
    pub(super) fn left(&self) -> u32 {
        BUFFER - self.received.wrapping_sub(self.forwarded)
    }

    /// It sent so many.
    pub(super) fn receive(&mut self, count: u32) -> Result<(), Exceeded> {
        if count > self.left() {
            return Err(Exceeded);
        }
        self.received = self.received.wrapping_add(count);
        Ok(())
    }

    /// So many of those received went to the host side.
    pub(super) fn forward(&mut self, count: u32) {
        self.forwarded = self.forwarded.wrapping_add(count);
    }

    /// Whether so much has left since the guest last heard of it that it should not be let wait.
    pub(super) fn is_worth_telling(&self) -> bool {
        self.forwarded.wrapping_sub(self.told) >= BUFFER / 2
    }

    /// What a packet to the guest says of it.
    pub(super) fn tell(&mut self) -> u32 {
        self.told = self.forwarded;
        self.forwarded
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_guest_s_room_counts_what_is_on_its_way_over_the_end_of_the_numbers() {
        let mut guest = Guest { buffer: 100, sent: u32::MAX - 9, forwarded: u32::MAX - 9 };
        guest.spend(60);
        assert_eq!(guest.left(), 40);
        guest.says(100, 10);
        assert_eq!(guest.left(), 60);
        guest.says(30, 10);
        assert_eq!(guest.left(), 0, "it took room back");
    }

    #[test]
    fn a_count_that_is_older_or_of_bytes_never_sent_changes_nothing() {
        let mut guest = Guest::default();
        guest.says(100, 0);
        guest.spend(50);
        guest.says(100, 30);
        for untrue in [20, 51, u32::MAX, 1 << 31] {
            guest.says(100, untrue);
            assert_eq!(guest.left(), 80, "{untrue}");
        }
        guest.says(100, 50);
        assert_eq!(guest.left(), 100);
    }

    #[test]
    fn what_the_guest_sends_beyond_its_room_is_told_and_not_counted() {
        let mut own = Own::default();
        assert_eq!(own.receive(BUFFER), Ok(()));
        assert_eq!(own.receive(1), Err(Exceeded));
        own.forward(1);
        assert_eq!(own.receive(2), Err(Exceeded));
        assert_eq!(own.receive(1), Ok(()));
    }

    proptest! {
        #[test]
        fn no_more_is_sent_than_there_is_room_for_whatever_the_guest_says(
            said in proptest::collection::vec((any::<u32>(), any::<u32>(), any::<u32>()), 0..50),
        ) {
            let mut guest = Guest::default();
            // Counted in numbers that have no end, by what a guest can know to be true.
            let (mut sent, mut forwarded) = (0u64, 0u64);
            for (buffer, claim, wanted) in said {
                let ahead = u64::from(claim.wrapping_sub(u32::try_from(forwarded & 0xffff_ffff).unwrap()));
                if forwarded + ahead <= sent {
                    forwarded += ahead;
                }
                guest.says(buffer, claim);
                let count = wanted.min(guest.left());
                prop_assert_eq!(u64::from(guest.left()), u64::from(buffer).saturating_sub(sent - forwarded));
                guest.spend(count);
                sent += u64::from(count);
            }
        }

        #[test]
        fn the_guest_s_room_is_never_more_than_a_buffer_nor_less_than_nothing(
            steps in proptest::collection::vec((0..=2 * BUFFER, 0..=BUFFER), 0..50),
        ) {
            let mut own = Own::default();
            let mut kept = 0;
            for (received, forwarded) in steps {
                let taken = own.receive(received).is_ok();
                prop_assert_eq!(taken, kept + received <= BUFFER);
                kept += if taken { received } else { 0 };
                let forwarded = forwarded.min(kept);
                own.forward(forwarded);
                kept -= forwarded;
                prop_assert_eq!(own.left(), BUFFER - kept);
            }
        }
    }
}
