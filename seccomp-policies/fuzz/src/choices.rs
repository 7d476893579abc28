//! Policies, programs and calls out of bytes.

use seccomp_policies::call::Call;
use seccomp_policies::syscalls::{Arch, X32_BIT};

/// Values where something begins or ends: bits, halves of a register, signs, and constants that policies name.
const VALUES: [u64; 24] = [
    0,
    1,
    2,
    3,
    4,
    7,
    8,
    0x7f,
    0x80,
    0x81,
    0x5401,
    0xae80,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ff9c,
    0xffff_fffe,
    0xffff_ffff,
    0x1_0000_0000,
    0x1_0000_0001,
    0x7e02_0000,
    0x7fff_ffff_ffff_ffff,
    0x8000_0000_0000_0000,
    u64::MAX - 1,
    u64::MAX,
];

/// Bytes that are read as choices. At their end every choice is the first one.
pub struct Choices<'a>(&'a [u8]);

impl<'a> Choices<'a> {
    /// The choices of an input.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// A number below `count`, which is 1 to 256.
    pub fn below(&mut self, count: usize) -> usize {
        usize::from(self.byte()) % count
    }

    /// One of several.
    pub fn of<T: Copy>(&mut self, several: &[T]) -> T {
        several[self.below(several.len())]
    }

    /// A value that is likely to matter, or one of eight bytes.
    pub fn value(&mut self) -> u64 {
        let choice = self.below(VALUES.len() + 8);
        VALUES
            .get(choice)
            .copied()
            .unwrap_or_else(|| u64::from_le_bytes(std::array::from_fn(|_| self.byte())))
    }
}

/// Numbers that follow from an input without taking anything of it: `SplitMix64` (Steele, Lea and Flood, 2014).
pub struct Sequence(u64);

impl Sequence {
    /// The sequence of an input.
    pub fn new(bytes: &[u8]) -> Self {
        Self(bytes.iter().fold(0, |sum: u64, byte| sum.wrapping_mul(31).wrapping_add(u64::from(*byte))))
    }

    /// The next number.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// One of several, of which there is at least one.
    pub fn of<T: Copy>(&mut self, several: &[T]) -> T {
        let index = self.next() % several.len() as u64;
        several[usize::try_from(index).expect("an index of a slice")]
    }

    /// Calls with these numbers, and registers on and beside these values; some of another architecture, and some of
    /// the x32 ABI.
    pub fn calls(&mut self, count: usize, arch: Arch, numbers: &[u32], values: &[u64]) -> Vec<Call> {
        (0..count).map(|_| self.call(arch, numbers, values)).collect()
    }

    fn call(&mut self, arch: Arch, numbers: &[u32], values: &[u64]) -> Call {
        let own = arch.audit_value();
        let near = self.of(&[0, 0, 0, 0, 1, u32::MAX]);
        let x32 = self.of(&[0, 0, 0, 0, 0, X32_BIT]);
        Call {
            number: self.of(numbers).wrapping_add(near) ^ x32,
            arch: self.of(&[own, own, own, own, own, own, own, own ^ 1]),
            instruction_pointer: self.register(values),
            arguments: std::array::from_fn(|_| self.register(values)),
        }
    }

    fn register(&mut self, values: &[u64]) -> u64 {
        let beside = self.of(&[0, 0, 0, 1, u64::MAX]);
        let upper = self.of(&[0, 0, 0, 0, 0xffff_ffff_0000_0000, 1 << 32]);
        let likely = self.of(&VALUES);
        let value = if values.is_empty() || self.next().is_multiple_of(4) { likely } else { self.of(values) };
        value.wrapping_add(beside) ^ upper
    }
}
