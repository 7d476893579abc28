//! Where virtio devices lie in the guest's memory map: a page of registers each, from the start of the MMIO hole.

use super::transport::{Asked, Transport};

/// The transports of a machine, in the order of their windows.
#[derive(Debug, Default)]
pub struct Windows {
    first: u64,
    size: u64,
    transports: Vec<&'static Transport>,
}

impl Windows {
    /// Windows of `size` bytes from address `first`, one after the other.
    pub fn new(first: u64, size: u64, transports: Vec<&'static Transport>) -> Self {
        Self { first, size, transports }
    }

    /// The device that an access meets, and its offset into the registers; `None` where no device is.
    fn at(&self, address: u64) -> Option<(&'static Transport, u64)> {
        let offset = address.checked_sub(self.first)?;
        let index = usize::try_from(offset.checked_div(self.size)?).ok()?;
        Some((*self.transports.get(index)?, offset % self.size))
    }

    /// The guest reads; `data` is what it gets. What no device drives reads as all ones.
    pub fn read(&self, address: u64, data: &mut [u8]) {
        data.fill(0xff);
        if let Some((transport, offset)) = self.at(address) {
            transport.read(offset, data);
        }
    }

    /// The guest writes. `None`: done, or no device is there.
    pub fn write(&self, address: u64, data: &[u8]) -> Option<(&'static Transport, Asked)> {
        let (transport, offset) = self.at(address)?;
        transport.write(offset, data).map(|asked| (transport, asked))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::devices::virtio::{Configuration, rng};

    fn windows(count: usize) -> Windows {
        let transport = || Transport::new(rng::IDENTITY, Configuration::new(Vec::new()));
        let transports = (0..count).map(|_| &*Box::leak(Box::new(transport()))).collect();
        Windows::new(0xd000_0000, 0x1000, transports)
    }

    fn read(windows: &Windows, address: u64) -> u32 {
        let mut data = [0; 4];
        windows.read(address, &mut data);
        u32::from_le_bytes(data)
    }

    #[test]
    fn each_device_has_a_page_and_beside_them_is_nothing() {
        let windows = windows(2);
        for (address, value) in [
            (0xcfff_fffc, u32::MAX),
            (0xd000_0000, 0x7472_6976),
            (0xd000_1000, 0x7472_6976),
            (0xd000_2000, u32::MAX),
            (u64::MAX - 3, u32::MAX),
        ] {
            assert_eq!(read(&windows, address), value, "{address:#x}");
        }
        assert!(windows.write(0xd000_2070, &1u32.to_le_bytes()).is_none());
        assert_eq!(read(&self::windows(0), 0xd000_0000), u32::MAX);
        assert_eq!(read(&Windows::default(), 0), u32::MAX);
    }
}
