//! Answers to packets of no stream.

use std::collections::VecDeque;

use super::packet::Header;

/// Answers that wait for buffers of the guest's at most; then its packets wait as well. As many as its queue has.
const MOST: usize = 256;

/// Packets for the guest that belong to no stream, the oldest first.
#[derive(Debug)]
pub(super) struct Replies(VecDeque<Header>);

impl Replies {
    pub(super) fn new() -> Self {
        Self(VecDeque::with_capacity(MOST))
    }

    pub(super) fn is_full(&self) -> bool {
        self.0.len() >= MOST
    }

    pub(super) fn any(&self) -> bool {
        !self.0.is_empty()
    }

    /// Adds one; there is room, as [`Self::is_full`] says.
    pub(super) fn push(&mut self, reply: Header) {
        debug_assert!(!self.is_full(), "no packet is taken then");
        self.0.push_back(reply);
    }

    pub(super) fn pop(&mut self) -> Option<Header> {
        self.0.pop_front()
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}
