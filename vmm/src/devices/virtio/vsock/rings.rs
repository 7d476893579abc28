//! What the guest has sent and the host's side has not taken yet.

use super::credit::BUFFER;
use super::host::StreamId;

const SIZE: usize = BUFFER as usize;

/// A ring of [`BUFFER`] bytes for each stream, made at once. A ring that was never used takes no memory, only addresses: its
/// pages are there from their first write on.
#[derive(Debug)]
pub(super) struct Rings {
    bytes: Vec<u8>,
    spans: Vec<Span>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Span {
    start: usize,
    length: usize,
}

impl Rings {
    /// Empty rings for `count` streams.
    pub(super) fn new(count: u16) -> Self {
        let count = usize::from(count);
        Self { bytes: vec![0; count * SIZE], spans: vec![Span::default(); count] }
    }

    /// Bytes in a ring.
    pub(super) fn length(&self, stream: StreamId) -> usize {
        self.spans[usize::from(stream)].length
    }

    /// Adds bytes at the end; there is room for them.
    pub(super) fn push(&mut self, stream: StreamId, bytes: &[u8]) {
        let base = usize::from(stream) * SIZE;
        let span = &mut self.spans[usize::from(stream)];
        debug_assert!(span.length + bytes.len() <= SIZE, "credit is never more than there is room");
        let end = (span.start + span.length) % SIZE;
        let (before, after) = bytes.split_at(bytes.len().min(SIZE - end));
        self.bytes[base + end..][..before.len()].copy_from_slice(before);
        self.bytes[base..][..after.len()].copy_from_slice(after);
        span.length += bytes.len();
    }

    /// The first bytes, all of them up to where the ring wraps.
    pub(super) fn first(&self, stream: StreamId) -> &[u8] {
        let Span { start, length } = self.spans[usize::from(stream)];
        &self.bytes[usize::from(stream) * SIZE + start..][..length.min(SIZE - start)]
    }

    /// Takes so many away from the front.
    pub(super) fn take(&mut self, stream: StreamId, count: usize) {
        let span = &mut self.spans[usize::from(stream)];
        span.length -= count;
        // An empty ring begins again where its pages are.
        span.start = if span.length == 0 { 0 } else { (span.start + count) % SIZE };
    }

    /// Takes all away, and says how many they were.
    pub(super) fn clear(&mut self, stream: StreamId) -> usize {
        std::mem::take(&mut self.spans[usize::from(stream)]).length
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn bytes_come_out_in_order_and_stay_in_their_ring(
            steps in proptest::collection::vec((0..3u16, any::<bool>(), 0..=SIZE), 0..60),
        ) {
            let mut rings = Rings::new(3);
            let mut models = [const { VecDeque::new() }; 3];
            let mut next = 0u8;
            for (stream, pushes, count) in steps {
                let model = &mut models[usize::from(stream)];
                if pushes {
                    let bytes: Vec<u8> = (0..count.min(SIZE - model.len()))
                        .map(|_| { next = next.wrapping_mul(5).wrapping_add(1); next })
                        .collect();
                    rings.push(stream, &bytes);
                    model.extend(bytes);
                } else {
                    let first = rings.first(stream).to_vec();
                    let count = count.min(first.len());
                    prop_assert!(model.iter().take(first.len()).eq(&first));
                    prop_assert!(!first.is_empty() || model.is_empty());
                    rings.take(stream, count);
                    model.drain(..count);
                }
                prop_assert_eq!(rings.length(stream), model.len());
            }
        }
    }
}
