//! What a driver asks for: the bytes of a request, section 5.2.6.

/// Bytes of a disk's name (`VIRTIO_BLK_ID_BYTES`, Linux `include/uapi/linux/virtio_blk.h`).
pub const ID_BYTES: usize = 20;

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asks {
    Read,
    Write,
    Flush,
    Id,
    Discard,
    WriteZeroes,
    Unknown,
}

/// `struct virtio_blk_req` up to its data: type, four bytes that mean nothing, first sector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) asks: Asks,
    pub(super) sector: u64,
}

impl Header {
    pub(super) const BYTES: usize = 16;

    pub(super) fn from_bytes(bytes: &[u8; Self::BYTES]) -> Self {
        let [a, b, c, d, _, _, _, _, sector @ ..] = *bytes;
        let asks = match u32::from_le_bytes([a, b, c, d]) {
            0 => Asks::Read,
            1 => Asks::Write,
            4 => Asks::Flush,
            8 => Asks::Id,
            11 => Asks::Discard,
            13 => Asks::WriteZeroes,
            _ => Asks::Unknown,
        };
        Self { asks, sector: u64::from_le_bytes(sector) }
    }
}

/// `struct virtio_blk_discard_write_zeroes`: sectors to discard or to zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) sector: u64,
    pub(super) sectors: u32,
    pub(super) flags: u32,
}

impl Range {
    pub(super) const BYTES: usize = 16;
    /// The sectors may become a hole.
    pub(super) const UNMAP: u32 = 1;

    pub(super) fn from_bytes(bytes: &[u8; Self::BYTES]) -> Self {
        let [s0, s1, s2, s3, s4, s5, s6, s7, n0, n1, n2, n3, flags @ ..] = *bytes;
        Self {
            sector: u64::from_le_bytes([s0, s1, s2, s3, s4, s5, s6, s7]),
            sectors: u32::from_le_bytes([n0, n1, n2, n3]),
            flags: u32::from_le_bytes(flags),
        }
    }
}

/// How a request ended, as its last byte says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Status {
    /// It was carried out.
    Done = 0,
    /// It could not be.
    Error = 1,
    /// The device does not know it.
    Unsupported = 2,
}
