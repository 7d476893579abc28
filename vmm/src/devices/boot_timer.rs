//! The register by which a guest says that it has started: Firecracker's pseudo device of `--boot-timer`.
//!
//! Source: Firecracker's description of the measurement (`tests/integration_tests/performance/test_boottime.py` and its init
//! program): the byte 123 at the first byte of the device's page.

use std::sync::atomic::{AtomicBool, Ordering};

/// What a guest writes.
const BOOTED: u8 = 123;

/// The device, at an address of the guest's.
#[derive(Debug)]
pub struct BootTimer {
    address: u64,
    booted: AtomicBool,
}

impl BootTimer {
    /// One that nobody has written to.
    pub fn new(address: u64) -> Self {
        Self { address, booted: AtomicBool::new(false) }
    }

    /// The guest writes somewhere. True if it says now that it has started, for the first time.
    pub fn write(&self, address: u64, data: &[u8]) -> bool {
        address == self.address && data == [BOOTED] && !self.booted.swap(true, Ordering::SeqCst)
    }

    /// Whether it has said so.
    pub fn has_booted(&self) -> bool {
        self.booted.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_has_started_once_and_by_one_byte_at_one_place() {
        let timer = BootTimer::new(0xc000_0000);
        for (address, data) in
            [(0xc000_0001, &[123][..]), (0xc000_0000, &[122]), (0xc000_0000, &[123, 0]), (0, &[123])]
        {
            assert!(!timer.write(address, data));
        }
        assert!(!timer.has_booted());
        assert!(timer.write(0xc000_0000, &[123]));
        assert!(!timer.write(0xc000_0000, &[123]), "the first time counts");
        assert!(timer.has_booted());
    }
}
