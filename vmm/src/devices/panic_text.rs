//! Notices the words by which a Linux console says that its kernel has panicked.

/// What Linux prints first: `panic()` in `kernel/panic.c`.
const WORDS: &[u8] = b"Kernel panic - not syncing";

/// Looks at a stream of bytes for the words of a Linux kernel panic, a byte at a time and without keeping any.
#[derive(Debug, Default)]
pub struct PanicText {
    matched: usize,
    seen: bool,
}

impl PanicText {
    /// The next byte of the stream.
    pub fn look(&mut self, byte: u8) {
        if byte == WORDS[self.matched] {
            self.matched += 1;
            if self.matched == WORDS.len() {
                self.seen = true;
                self.matched = 0;
            }
        } else {
            // `K` stands in the words once, so a mismatch can only begin anew.
            self.matched = usize::from(byte == WORDS[0]);
        }
    }

    /// Whether the words have gone by.
    pub fn seen(&self) -> bool {
        self.seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sees(text: &[u8]) -> bool {
        let mut watch = PanicText::default();
        for &byte in text {
            watch.look(byte);
        }
        watch.seen()
    }

    #[test]
    fn the_words_are_noticed_wherever_they_stand() {
        assert!(sees(b"[ 0.1] Kernel panic - not syncing: test\n"));
        assert!(sees(b"KKernel panic - not syncing"));
        assert!(sees(b"Kernel Kernel panic - not syncing"));
    }

    #[test]
    fn other_words_are_not() {
        assert!(!sees(b"Kernel panic - not sync"));
        assert!(!sees(b"kernel panic - not syncing"));
        assert!(!WORDS[1..].contains(&WORDS[0]), "a mismatch can only begin anew");
    }
}
