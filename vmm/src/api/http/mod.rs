//! HTTP/1.1 (RFC 9112) as far as a local API needs it: bytes to requests, answers to bytes. Heads are read by `httparse`;
//! `docs/decisions/0007-http-by-httparse.md` says why not by a whole server.

mod connection;
mod head;

pub use connection::{Connection, Message};

/// How large a request may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a body.
    pub body: usize,
}

/// Firecracker's default, `--http-api-max-payload-size`.
pub const BODY_BYTES: usize = 51200;

/// Bytes of a request line and headers. Far more than any client of such an API sends.
pub const HEAD_BYTES: usize = 8192;

impl Default for Limits {
    fn default() -> Self {
        Self { body: BODY_BYTES }
    }
}
