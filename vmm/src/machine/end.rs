//! How a vCPU came to its end, in words.
#![forbid(unsafe_code)]

use std::fmt;
use std::io;

use kvm_bindings::{
    KVM_SYSTEM_EVENT_CRASH, KVM_SYSTEM_EVENT_RESET, KVM_SYSTEM_EVENT_SHUTDOWN, KVM_SYSTEM_EVENT_SUSPEND,
    KVM_SYSTEM_EVENT_WAKEUP,
};

/// Why a vCPU cannot go on. Plain data; its `Display` is a sentence for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// `hlt` with interrupts off, where the interrupt controllers are not KVM's.
    Halted,
    /// A triple fault, or another shutdown of the processor.
    Shutdown,
    /// KVM's emulator met an instruction that it does not know.
    EmulationFailed {
        /// The instruction, as far as KVM says.
        instruction: Instruction,
    },
    /// KVM met something that it cannot handle.
    InternalError {
        /// `KVM_INTERNAL_ERROR_*`.
        suberror: u32,
        /// What KVM says of it; undocumented.
        data: InternalData,
    },
    /// The processor refused to enter the guest.
    FailEntry {
        /// The processor's reason: a VMX or SVM exit code.
        reason: u64,
        /// The host's processor.
        cpu: u32,
    },
    /// KVM handled a power event of the guest.
    SystemEvent {
        /// `KVM_SYSTEM_EVENT_*`.
        kind: u32,
    },
    /// Guest memory could not be reached.
    MemoryFault {
        /// Guest physical address.
        address: u64,
        /// Bytes from there.
        size: u64,
        /// `KVM_MEMORY_EXIT_FLAG_*`.
        flags: u64,
    },
    /// A hypercall that KVM leaves to the monitor.
    Hypercall {
        /// Its number.
        number: u64,
        /// Its arguments.
        arguments: [u64; 6],
    },
    /// The processor left the guest for a reason that KVM does not know.
    UnknownExit {
        /// The processor's reason.
        hardware_reason: u64,
    },
    /// An exit reason that this machine never asks for.
    Unsupported {
        /// `KVM_EXIT_*`.
        reason: u32,
    },
    /// `KVM_RUN` itself failed.
    RunFailed {
        /// The error number.
        errno: i32,
    },
}

/// The bytes at the instruction pointer, up to fifteen, the longest that an instruction can be; none where KVM does not
/// say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Instruction {
    bytes: [u8; 15],
    length: u8,
}

impl Instruction {
    /// From KVM's own layout: a count and fifteen bytes.
    pub(super) fn new(raw: [u8; 16]) -> Self {
        let [length, bytes @ ..] = raw;
        Self { bytes, length: length.min(15) }
    }

    /// The bytes that KVM fetched; the instruction may be shorter.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

/// Words that KVM gives with an internal error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InternalData {
    words: [u64; 16],
    count: u8,
}

impl InternalData {
    pub(super) fn new(words: &[u64; 16], count: u32) -> Self {
        Self { words: *words, count: u8::try_from(count.min(16)).unwrap_or(16) }
    }

    /// The words.
    pub fn words(&self) -> &[u64] {
        &self.words[..usize::from(self.count)]
    }
}

impl fmt::Display for Instruction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.length == 0 {
            return f.write_str("unknown bytes");
        }
        for (place, byte) in self.bytes().iter().enumerate() {
            let space = if place == 0 { "" } else { " " };
            write!(f, "{space}{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Display for InternalData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.words().iter().try_for_each(|word| write!(f, " {word:#x}"))
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Halted => f.write_str("the vCPU halted for good"),
            Self::Shutdown => f.write_str("the processor shut down (triple fault)"),
            Self::EmulationFailed { instruction } => {
                write!(f, "KVM cannot emulate the instruction at RIP ({instruction})")
            }
            Self::InternalError { suberror, data } => {
                write!(f, "KVM met an internal error: {} ({suberror}), details", internal_error(*suberror))?;
                if data.words().is_empty() { f.write_str(" none") } else { data.fmt(f) }
            }
            Self::FailEntry { reason, cpu } => {
                write!(f, "processor {cpu} refused to enter the guest, reason {reason:#x}")
            }
            Self::SystemEvent { kind } => write!(f, "the guest asked for {}", system_event(*kind)),
            Self::MemoryFault { address, size, flags } => {
                write!(f, "KVM cannot reach {size} bytes of guest memory at {address:#x} (flags {flags:#x})")
            }
            Self::Hypercall { number, arguments: [first, second, ..] } => {
                write!(
                    f,
                    "the guest made hypercall {number} ({first:#x}, {second:#x}, …), which has no meaning here"
                )
            }
            Self::UnknownExit { hardware_reason } => {
                write!(f, "the processor left the guest for a reason unknown to KVM ({hardware_reason:#x})")
            }
            Self::Unsupported { reason } => match exit_name(*reason) {
                Some(name) => write!(f, "KVM returned with {name}, which this machine does not use"),
                None => write!(f, "KVM returned for reason {reason}, which is newer than this program"),
            },
            Self::RunFailed { errno } => {
                write!(f, "KVM cannot run the vCPU: {}", io::Error::from_raw_os_error(*errno))
            }
        }
    }
}

/// `KVM_INTERNAL_ERROR_*` (Linux include/uapi/linux/kvm.h).
fn internal_error(suberror: u32) -> &'static str {
    match suberror {
        1 => "emulation failed",
        2 => "exceptions at the same time",
        3 => "a fault while an event was delivered",
        4 => "an unexpected exit of the processor",
        _ => "of a kind newer than this program",
    }
}

fn system_event(kind: u32) -> &'static str {
    match kind {
        KVM_SYSTEM_EVENT_SHUTDOWN => "power-off",
        KVM_SYSTEM_EVENT_RESET => "a reset",
        KVM_SYSTEM_EVENT_CRASH => "the end after a crash",
        KVM_SYSTEM_EVENT_WAKEUP => "a wake-up",
        KVM_SYSTEM_EVENT_SUSPEND => "suspension",
        _ => "a power event newer than this program",
    }
}

/// Names of the exit reasons by number (`KVM_EXIT_*`, Linux include/uapi/linux/kvm.h, up to 6.18).
const EXIT_NAMES: [&str; 41] = [
    "KVM_EXIT_UNKNOWN",
    "KVM_EXIT_EXCEPTION",
    "KVM_EXIT_IO",
    "KVM_EXIT_HYPERCALL",
    "KVM_EXIT_DEBUG",
    "KVM_EXIT_HLT",
    "KVM_EXIT_MMIO",
    "KVM_EXIT_IRQ_WINDOW_OPEN",
    "KVM_EXIT_SHUTDOWN",
    "KVM_EXIT_FAIL_ENTRY",
    "KVM_EXIT_INTR",
    "KVM_EXIT_SET_TPR",
    "KVM_EXIT_TPR_ACCESS",
    "KVM_EXIT_S390_SIEIC",
    "KVM_EXIT_S390_RESET",
    "KVM_EXIT_DCR",
    "KVM_EXIT_NMI",
    "KVM_EXIT_INTERNAL_ERROR",
    "KVM_EXIT_OSI",
    "KVM_EXIT_PAPR_HCALL",
    "KVM_EXIT_S390_UCONTROL",
    "KVM_EXIT_WATCHDOG",
    "KVM_EXIT_S390_TSCH",
    "KVM_EXIT_EPR",
    "KVM_EXIT_SYSTEM_EVENT",
    "KVM_EXIT_S390_STSI",
    "KVM_EXIT_IOAPIC_EOI",
    "KVM_EXIT_HYPERV",
    "KVM_EXIT_ARM_NISV",
    "KVM_EXIT_X86_RDMSR",
    "KVM_EXIT_X86_WRMSR",
    "KVM_EXIT_DIRTY_RING_FULL",
    "KVM_EXIT_AP_RESET_HOLD",
    "KVM_EXIT_X86_BUS_LOCK",
    "KVM_EXIT_XEN",
    "KVM_EXIT_RISCV_SBI",
    "KVM_EXIT_RISCV_CSR",
    "KVM_EXIT_NOTIFY",
    "KVM_EXIT_LOONGARCH_IOCSR",
    "KVM_EXIT_MEMORY_FAULT",
    "KVM_EXIT_TDX",
];

/// The name of an exit reason, if it is known.
fn exit_name(reason: u32) -> Option<&'static str> {
    EXIT_NAMES.get(usize::try_from(reason).ok()?).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_names_agree_with_the_numbers_of_the_kernel_header() {
        assert_eq!(exit_name(kvm_bindings::KVM_EXIT_IRQ_WINDOW_OPEN), Some("KVM_EXIT_IRQ_WINDOW_OPEN"));
        assert_eq!(exit_name(kvm_bindings::KVM_EXIT_SYSTEM_EVENT), Some("KVM_EXIT_SYSTEM_EVENT"));
        assert_eq!(exit_name(kvm_bindings::KVM_EXIT_X86_WRMSR), Some("KVM_EXIT_X86_WRMSR"));
        assert_eq!(exit_name(kvm_bindings::KVM_EXIT_MEMORY_FAULT), Some("KVM_EXIT_MEMORY_FAULT"));
        assert_eq!(exit_name(41), None);
    }

    #[test]
    fn instruction_never_shows_more_than_fifteen_bytes() {
        assert_eq!(Instruction::new([0xff; 16]).bytes().len(), 15);
        let mut raw = [0; 16];
        raw[..4].copy_from_slice(&[3, 0x0f, 0x01, 0xca]);
        let end = End::EmulationFailed { instruction: Instruction::new(raw) };
        assert_eq!(end.to_string(), "KVM cannot emulate the instruction at RIP (0f 01 ca)");
    }

    #[test]
    fn every_end_is_one_sentence_with_its_details() {
        let data = InternalData::new(&[0x21, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], 2);
        let cases = [
            (End::Shutdown, "the processor shut down (triple fault)"),
            (
                End::InternalError { suberror: 3, data },
                "KVM met an internal error: a fault while an event was delivered (3), details 0x21 0x7",
            ),
            (
                End::FailEntry { reason: 0x8000_0021, cpu: 1 },
                "processor 1 refused to enter the guest, reason 0x80000021",
            ),
            (
                End::Unsupported { reason: 4 },
                "KVM returned with KVM_EXIT_DEBUG, which this machine does not use",
            ),
            (
                End::RunFailed { errno: libc::EINVAL },
                "KVM cannot run the vCPU: Invalid argument (os error 22)",
            ),
        ];
        for (end, sentence) in cases {
            assert_eq!(end.to_string(), sentence);
        }
    }
}
