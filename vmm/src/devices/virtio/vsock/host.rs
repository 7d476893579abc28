//! The host's side of streams, as the device needs it.

/// A stream's place in the device's table.
pub type StreamId = u16;

/// What came of reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// So many bytes, one at least.
    Bytes(usize),
    /// None now; the device hears when there are.
    Nothing,
    /// None any more: the other side sends nothing.
    End,
    /// The stream broke.
    Broken,
}

/// What came of writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// The other side took so many bytes, which may be none.
    Bytes(usize),
    /// It takes nothing any more.
    Gone,
}

/// A direction, as the guest sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To the host.
    Sending,
    /// From the host.
    Receiving,
}

/// What the device hears of a stream's host side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// There is something to read, or the end.
    pub readable: bool,
    /// It takes bytes again.
    pub writable: bool,
    /// Neither direction is open any more; what was sent before may still be read.
    pub hung_up: bool,
}

/// Nobody takes the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused;

/// The host's side. Nothing here waits, and nothing allocates.
pub trait Host: std::fmt::Debug {
    /// Makes a stream to what the host has at a port of its own.
    ///
    /// # Errors
    /// [`Refused`]
    fn connect(&mut self, stream: StreamId, port: u32) -> Result<(), Refused>;

    /// Takes a stream that somebody on the host began; false if nobody did.
    fn accept(&mut self, stream: StreamId) -> bool;

    /// Fills as much of `bytes` as there is, and leaves it to be read.
    fn peek(&mut self, stream: StreamId, bytes: &mut [u8]) -> Read;

    /// Fills as much of `bytes`, at least one, as there is.
    fn read(&mut self, stream: StreamId, bytes: &mut [u8]) -> Read;

    /// Writes as many of `bytes`, at least one, as are taken.
    fn write(&mut self, stream: StreamId, bytes: &[u8]) -> Written;

    /// Whether the device wants to hear when bytes are taken again.
    fn await_room(&mut self, stream: StreamId, wanted: bool);

    /// Ends one direction.
    fn shut(&mut self, stream: StreamId, direction: Direction);

    /// Ends the stream; its place may be used again.
    fn close(&mut self, stream: StreamId);
}
