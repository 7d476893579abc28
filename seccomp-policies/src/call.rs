//! A system call as a filter sees it.

/// The 64 bytes that the kernel hands to a filter: `struct seccomp_data`, Linux
/// `include/uapi/linux/seccomp.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Call {
    /// System call number. On x86_64 bit 30 marks the x32 ABI.
    pub number: u32,
    /// `AUDIT_ARCH_*` of the entry that the thread used.
    pub arch: u32,
    /// Address of the instruction after the call.
    pub instruction_pointer: u64,
    /// The six argument registers, whole.
    pub arguments: [u64; 6],
}
