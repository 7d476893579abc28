//! The entropy device, virtio 1.2 section 5.4: one queue, whose buffers it fills with random bytes.

use std::time::Duration;

use virtio_queue::DescriptorChain;
use vm_memory::GuestMemoryMmap;

use super::buffers::{self, Buffers};
use super::device::{Broken, Counts, Device, Features, Identity, Processed};
use super::queue::Queue;
use super::rate_limiter::Limiter;

/// Device type 4, a queue of 256 as in Firecracker, no configuration space.
pub const IDENTITY: Identity = Identity { device_type: 4, features: Features::COMMON, queues: &[256] };

/// Bytes that one chain of buffers gets at most; what is more stays as it was, which the length says. A driver that asks for
/// gigabytes at once holds the thread no longer than one that asks for this.
const MOST_BYTES: usize = 64 * 1024;

/// Bytes that are made at once. Up to 256 the kernel gives all or none, whatever signals come (getrandom(2)).
pub const AT_ONCE: usize = 256;

/// What the device counts, by Firecracker's names: requests, bytes, and requests that had to wait.
pub const COUNTS: &[&str] = &["entropy_event_count", "entropy_bytes", "entropy_rate_limiter_throttled"];

/// The device.
#[derive(Debug)]
pub struct Entropy {
    /// Fills a buffer of at most [`AT_ONCE`] bytes with random ones.
    source: fn(&mut [u8]),
    limiter: Limiter,
    requests: u64,
    bytes: u64,
}

impl Entropy {
    /// A device with this source of random bytes.
    pub fn new(source: fn(&mut [u8]), limiter: Limiter) -> Self {
        Self { source, limiter, requests: 0, bytes: 0 }
    }

    /// Fills one chain of buffers; the bytes that it wrote, or `None` if it has given enough for now.
    fn fill(
        &mut self,
        chain: DescriptorChain<&GuestMemoryMmap>,
        memory: &GuestMemoryMmap,
    ) -> Result<Option<u32>, Broken> {
        let mut writable = Buffers::new(chain)?.writable;
        if !self.limiter.take(writable.left().min(MOST_BYTES as u64)) {
            return Ok(None);
        }
        let mut written = 0;
        while let Some(piece) =
            writable.take(AT_ONCE.min(MOST_BYTES - written)).filter(|piece| piece.length > 0)
        {
            let mut bytes = [0; AT_ONCE];
            let part = &mut bytes[..piece.length];
            (self.source)(part);
            buffers::write(memory, piece, part)?;
            written += piece.length;
        }
        self.requests += 1;
        self.bytes += written as u64;
        // At most `MOST_BYTES`.
        Ok(Some(u32::try_from(written).unwrap_or(u32::MAX)))
    }
}

impl Device for Entropy {
    fn serve(
        &mut self,
        _index: usize,
        queue: &mut Queue,
        memory: &GuestMemoryMmap,
    ) -> Result<Processed, Broken> {
        self.limiter.begin_turn();
        queue.each(memory, |chain| self.fill(chain, memory))
    }

    fn has_work(&self, _index: usize) -> bool {
        self.limiter.may_go_on()
    }

    fn counts(&self) -> Counts {
        [self.requests, self.bytes, self.limiter.refused(), 0, 0, 0, 0]
    }

    fn resumes(&self) -> Option<Duration> {
        self.limiter.resumes()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use vm_memory::Bytes as _;

    use super::*;
    use crate::devices::virtio::test_driver::{BUFFERS, Driver, MEMORY, NEXT, SIZE, WRITE};

    fn process(driver: &Driver, queue: &mut Queue) -> Result<Processed, Broken> {
        Entropy::new(|bytes| bytes.fill(0xa5), Limiter::default()).serve(0, queue, &driver.memory)
    }

    #[test]
    fn a_buffer_is_filled_to_its_end_and_no_further() {
        let mut driver = Driver::new();
        let mut queue = driver.queue();
        driver.offer(&[(BUFFERS, 1000, WRITE)]);
        assert_eq!(process(&driver, &mut queue), Ok(Processed { interrupt: true, more: false }));
        assert_eq!(driver.used(), (1, 0, 1000));
        let bytes = driver.bytes(BUFFERS, 1001);
        assert!(bytes[..1000].iter().all(|byte| *byte == 0xa5));
        assert_eq!(bytes[1000], 0);
    }

    #[test]
    fn a_chain_is_filled_where_the_device_may_write() {
        let mut driver = Driver::new();
        let mut queue = driver.queue();
        driver.offer(&[(BUFFERS, 8, 0), (BUFFERS + 8, 8, WRITE), (BUFFERS + 32, 300, WRITE)]);
        process(&driver, &mut queue).unwrap();
        assert_eq!(driver.used(), (1, 0, 308));
        assert_eq!(driver.bytes(BUFFERS, 8), [0; 8], "the driver's own");
        assert_eq!(driver.bytes(BUFFERS + 8, 9), [[0xa5; 8].as_slice(), &[0]].concat());
        assert_eq!(driver.bytes(BUFFERS + 32 + 299, 2), [0xa5, 0]);
    }

    #[test]
    fn nothing_offered_is_no_interrupt_and_a_chain_that_takes_nothing_comes_back_empty() {
        let mut driver = Driver::new();
        let mut queue = driver.queue();
        assert_eq!(process(&driver, &mut queue), Ok(Processed { interrupt: false, more: false }));
        driver.offer(&[(BUFFERS, 8, 0)]);
        process(&driver, &mut queue).unwrap();
        assert_eq!(driver.used(), (1, 0, 0));
    }

    #[test]
    fn of_a_buffer_of_4_gib_64_kib_are_filled() {
        let mut driver = Driver::new();
        let mut queue = driver.queue();
        driver.offer(&[(BUFFERS, u32::MAX, WRITE), (BUFFERS, u32::MAX, WRITE)]);
        process(&driver, &mut queue).unwrap();
        assert_eq!(driver.used(), (1, 0, 64 * 1024));
        assert_eq!(driver.bytes(BUFFERS + 64 * 1024 - 1, 2), [0xa5, 0]);
    }

    #[test]
    fn a_loop_of_descriptors_is_gone_through_once() {
        let mut driver = Driver::new();
        let mut queue = driver.queue();
        for index in 0..SIZE {
            driver.describe(index, BUFFERS, 1, WRITE | NEXT, (index + 1) % SIZE);
        }
        driver.offer_head(0);
        process(&driver, &mut queue).unwrap();
        assert_eq!(driver.used(), (1, 0, SIZE.into()));
    }

    #[test]
    fn what_no_driver_may_do_breaks_the_queue_and_nothing_else() {
        for (what, broken) in [
            (
                "a buffer past the end of memory",
                &(|driver: &mut Driver| {
                    driver.offer(&[(MEMORY as u64 - 8, 300, WRITE)]);
                }) as &dyn Fn(&mut Driver),
            ),
            ("a buffer at the end of all addresses", &|driver| driver.offer(&[(u64::MAX - 7, 64, WRITE)])),
            ("a ring ahead of itself", &|driver| driver.set_available(SIZE + 1)),
            ("a descriptor beyond the table", &|driver| driver.offer_head(SIZE)),
        ] {
            let mut driver = Driver::new();
            let mut queue = driver.queue();
            broken(&mut driver);
            assert!(process(&driver, &mut queue).is_err(), "{what}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_in_the_rings_the_device_comes_back(
            rings in proptest::collection::vec(any::<u8>(), 0x400),
            index in any::<u16>(),
        ) {
            let mut driver = Driver::new();
            let mut queue = driver.queue();
            driver.memory.write_slice(&rings, vm_memory::GuestAddress(0x1000)).unwrap();
            driver.memory.write_slice(&rings, vm_memory::GuestAddress(0x2000)).unwrap();
            driver.set_available(index % (2 * SIZE));
            let _ = process(&driver, &mut queue);
        }
    }
}
