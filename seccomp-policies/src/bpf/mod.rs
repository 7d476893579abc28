//! Classic BPF programs: instructions, an interpreter and a disassembler.

/// One instruction, `struct sock_filter` (Linux `include/uapi/linux/filter.h`).
pub use seccompiler::sock_filter as Instruction;

/// The most instructions that the kernel takes in one program: `BPF_MAXINSNS`, Linux
/// `include/uapi/linux/bpf_common.h`.
pub const MAX_INSTRUCTIONS: usize = 4096;
