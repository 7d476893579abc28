//! Packets: the 44 bytes before a packet's data, virtio 1.2 section 5.10.6.

/// The host's address, well known (section 5.10.4).
pub const HOST_CID: u64 = 2;

/// What a packet is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Request,
    Response,
    Reset,
    Shutdown,
    Data,
    CreditUpdate,
    CreditRequest,
    Unknown(u16),
}

/// In the order of their numbers, which begin at 1.
const OPERATIONS: [Operation; 7] = [
    Operation::Request,
    Operation::Response,
    Operation::Reset,
    Operation::Shutdown,
    Operation::Data,
    Operation::CreditUpdate,
    Operation::CreditRequest,
];

impl Operation {
    fn from_number(number: u16) -> Self {
        let known = (1..).zip(OPERATIONS).find(|(known, _)| *known == number);
        known.map_or(Self::Unknown(number), |(_, operation)| operation)
    }

    fn number(self) -> u16 {
        match self {
            Self::Unknown(number) => number,
            known => (1..).zip(OPERATIONS).find(|(_, other)| *other == known).map_or(0, |(number, _)| number),
        }
    }
}

/// What a side says that it does no more: the flags of a shutdown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Over(pub(super) u32);

impl Over {
    pub(super) const RECEIVING: Self = Self(1);
    pub(super) const SENDING: Self = Self(2);
    pub(super) const BOTH: Self = Self(3);

    pub(super) fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    pub(super) fn add(&mut self, other: Self) {
        self.0 |= other.0 & Self::BOTH.0;
    }
}

/// The two ends of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ports {
    pub(super) guest: u32,
    pub(super) host: u32,
}

/// `struct virtio_vsock_hdr`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) source_cid: u64,
    pub(super) destination_cid: u64,
    pub(super) source_port: u32,
    pub(super) destination_port: u32,
    /// Bytes of data that follow.
    pub(super) length: u32,
    /// The kind of socket.
    pub(super) kind: u16,
    pub(super) operation: Operation,
    pub(super) flags: u32,
    /// Bytes that the sender has room for, all in all.
    pub(super) buffer: u32,
    /// Bytes that have left this room since the stream began, modulo 2^32.
    pub(super) forwarded: u32,
}

impl Header {
    pub(super) const BYTES: usize = 44;
    /// `VIRTIO_VSOCK_TYPE_STREAM`, the one kind of socket here.
    pub(super) const STREAM: u16 = 1;

    pub(super) fn from_bytes(bytes: &[u8; Self::BYTES]) -> Self {
        let mut rest = bytes.as_slice();
        Self {
            source_cid: u64::from_le_bytes(take(&mut rest)),
            destination_cid: u64::from_le_bytes(take(&mut rest)),
            source_port: u32::from_le_bytes(take(&mut rest)),
            destination_port: u32::from_le_bytes(take(&mut rest)),
            length: u32::from_le_bytes(take(&mut rest)),
            kind: u16::from_le_bytes(take(&mut rest)),
            operation: Operation::from_number(u16::from_le_bytes(take(&mut rest))),
            flags: u32::from_le_bytes(take(&mut rest)),
            buffer: u32::from_le_bytes(take(&mut rest)),
            forwarded: u32::from_le_bytes(take(&mut rest)),
        }
    }

    pub(super) fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        let fields: [&[u8]; 10] = [
            &self.source_cid.to_le_bytes(),
            &self.destination_cid.to_le_bytes(),
            &self.source_port.to_le_bytes(),
            &self.destination_port.to_le_bytes(),
            &self.length.to_le_bytes(),
            &self.kind.to_le_bytes(),
            &self.operation.number().to_le_bytes(),
            &self.flags.to_le_bytes(),
            &self.buffer.to_le_bytes(),
            &self.forwarded.to_le_bytes(),
        ];
        bytes.iter_mut().zip(fields.into_iter().flatten()).for_each(|(place, byte)| *place = *byte);
        bytes
    }

    /// The ends of the stream that a packet of the guest's speaks of.
    pub(super) fn ports(&self) -> Ports {
        Ports { guest: self.source_port, host: self.destination_port }
    }

    /// A packet for the guest, without data, room or flags.
    pub(super) fn to_guest(cid: u32, ports: Ports, operation: Operation) -> Self {
        Self {
            source_cid: HOST_CID,
            destination_cid: cid.into(),
            source_port: ports.host,
            destination_port: ports.guest,
            length: 0,
            kind: Self::STREAM,
            operation,
            flags: 0,
            buffer: 0,
            forwarded: 0,
        }
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> [u8; N] {
    let (first, after) = rest.split_first_chunk().expect("a header's fields are as long as the header");
    *rest = after;
    *first
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_header_s_fields_are_where_the_specification_has_them() {
        let header = Header {
            source_cid: 0x0102_0304_0506_0708,
            destination_cid: 2,
            source_port: 0x1112_1314,
            destination_port: 0x2122_2324,
            length: 0x3132_3334,
            kind: 0x4142,
            operation: Operation::Data,
            flags: 0x5152_5354,
            buffer: 0x6162_6364,
            forwarded: 0x7172_7374,
        };
        let bytes = header.to_bytes();
        let number = |at: usize, size: usize| {
            bytes[at..at + size].iter().rev().fold(0u64, |value, byte| value << 8 | u64::from(*byte))
        };
        let fields = [(0, 8), (8, 8), (16, 4), (20, 4), (24, 4), (28, 2), (30, 2), (32, 4), (36, 4), (40, 4)];
        assert_eq!(
            fields.map(|(at, size)| number(at, size)),
            [
                0x0102_0304_0506_0708,
                2,
                0x1112_1314,
                0x2122_2324,
                0x3132_3334,
                0x4142,
                5,
                0x5152_5354,
                0x6162_6364,
                0x7172_7374
            ]
        );
    }

    proptest! {
        #[test]
        fn every_44_bytes_are_a_header_that_says_the_same(bytes in any::<[u8; 22]>(), more in any::<[u8; 22]>()) {
            let bytes: [u8; Header::BYTES] = [bytes, more].concat().try_into().unwrap();
            prop_assert_eq!(Header::from_bytes(&bytes).to_bytes(), bytes);
        }
    }
}
