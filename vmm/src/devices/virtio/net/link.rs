//! What frames come from and go to.

/// What may be left to do in frames that come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offloads {
    /// A checksum may be missing.
    pub checksums: bool,
    /// A frame may be a row of TCP segments. Only with `checksums`.
    pub segments: Segments,
}

/// Rows of TCP segments that pass as one frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Segments {
    /// Over IPv4.
    pub v4: bool,
    /// Over IPv6.
    pub v6: bool,
    /// They may carry a mark of congestion (ECN). Only with one of the two.
    pub congestion: bool,
}

/// What came of looking for a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// One of so many bytes, its header among them.
    Frame(usize),
    /// There is none.
    Nothing,
}

/// The wire of an interface. Every frame has a header before it, of [`HEADER_BYTES`](super::HEADER_BYTES).
pub trait Link: std::fmt::Debug {
    /// Frames that come may be like this from now on.
    fn set_offloads(&mut self, offloads: Offloads);

    /// Takes the next frame that has come. `frame` holds [`MOST_BYTES`](super::MOST_BYTES).
    fn receive(&mut self, frame: &mut [u8]) -> Received;

    /// Sends a frame, or drops it.
    fn send(&mut self, frame: &[u8]);
}
