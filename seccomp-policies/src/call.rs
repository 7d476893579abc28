//! A system call as a filter sees it.

/// The 64 bytes that the kernel hands to a filter: `struct seccomp_data`, Linux
/// `include/uapi/linux/seccomp.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Call {
    /// System call number. On `x86_64` bit 30 marks the x32 ABI.
    pub number: u32,
    /// `AUDIT_ARCH_*` of the entry that the thread used.
    pub arch: u32,
    /// Address of the instruction after the call.
    pub instruction_pointer: u64,
    /// The six argument registers, whole.
    pub arguments: [u64; 6],
}

impl Call {
    /// The word at an offset in bytes into `struct seccomp_data`, as a program loads it on a little-endian
    /// machine; `None` where the offset is not aligned or lies outside.
    pub const fn word(&self, offset: u32) -> Option<u32> {
        if !offset.is_multiple_of(4) {
            return None;
        }
        Some(match offset / 4 {
            0 => self.number,
            1 => self.arch,
            word @ 2..=3 => half(self.instruction_pointer, word),
            word @ 4..=15 => half(self.arguments[(word as usize - 4) / 2], word),
            _ => return None,
        })
    }
}

/// The lower half of a register for an even word, the upper half for an odd one.
#[expect(clippy::cast_possible_truncation, reason = "half of the register is what is asked for")]
const fn half(register: u64, word: u32) -> u32 {
    (register >> (32 * (word % 2))) as u32
}
