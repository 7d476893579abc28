//! Entering the guest, and why it came back.
//!
//! Made for a loop that neither allocates nor calls anything but `KVM_RUN`: an [`Exit`] borrows the data of a port or
//! memory access from the page that KVM shares with the vCPU, an [`End`] is plain data that may be copied anywhere.

use kvm_bindings::{
    KVM_EXIT_FAIL_ENTRY, KVM_EXIT_HLT, KVM_EXIT_HYPERCALL, KVM_EXIT_INTERNAL_ERROR, KVM_EXIT_INTR,
    KVM_EXIT_IO, KVM_EXIT_IO_IN, KVM_EXIT_MEMORY_FAULT, KVM_EXIT_MMIO, KVM_EXIT_SHUTDOWN,
    KVM_EXIT_SYSTEM_EVENT, KVM_EXIT_UNKNOWN, KVM_INTERNAL_ERROR_EMULATION,
    KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES, kvm_run,
};
use kvm_ioctls::{Error as Errno, VcpuFd};

pub use super::end::{End, Instruction, InternalData};

/// Why `KVM_RUN` returned. Data to be read by the guest is filled in before the next [`run`].
#[derive(Debug)]
pub enum Exit<'a> {
    /// `in`, or `rep ins`: `data` takes as many elements of `size` bytes as fit.
    PortIn {
        /// The port.
        port: u16,
        /// Bytes of an element: 1, 2 or 4.
        size: u8,
        /// What the guest will get.
        data: &'a mut [u8],
    },
    /// `out`, or `rep outs`: `data` holds one or more elements of `size` bytes, all for the same port.
    PortOut {
        /// The port.
        port: u16,
        /// Bytes of an element: 1, 2 or 4.
        size: u8,
        /// What the guest wrote.
        data: &'a [u8],
    },
    /// A read where there is no memory, of 1 to 8 bytes.
    MmioRead {
        /// Guest physical address.
        address: u64,
        /// What the guest will get.
        data: &'a mut [u8],
    },
    /// A write where there is no memory, of 1 to 8 bytes.
    MmioWrite {
        /// Guest physical address.
        address: u64,
        /// What the guest wrote.
        data: &'a [u8],
    },
    /// A signal, `immediate_exit`, or an AP that still waits: nothing happened, enter again.
    Interrupted,
    /// The vCPU cannot go on.
    Ended(End),
}

/// Enters the guest, and says why it came back.
pub fn run(vcpu: &mut VcpuFd) -> Exit<'_> {
    // Only the result is taken from here: kvm-ioctls' own decoding drops the element size of port accesses and the
    // details of internal errors. It turns the -1 of KVM_EXIT_MEMORY_FAULT into success.
    let result = vcpu.run().map(|_| ()).map_err(Errno::errno);
    let run = vcpu.get_kvm_run();
    match result {
        Ok(()) => decode(run),
        Err(libc::EINTR | libc::EAGAIN) => Exit::Interrupted,
        Err(errno) => Exit::Ended(End::RunFailed { errno }),
    }
}

/// Decodes the page that KVM shares with a vCPU; `run` is its beginning.
fn decode(run: &mut kvm_run) -> Exit<'_> {
    match run.exit_reason {
        KVM_EXIT_IO => port_access(run),
        KVM_EXIT_MMIO => memory_access(run),
        KVM_EXIT_INTR => Exit::Interrupted,
        _ => Exit::Ended(decode_end(run)),
    }
}

fn port_access(run: &mut kvm_run) -> Exit<'_> {
    // SAFETY: the kernel filled `io` for this exit reason, and it is plain integers.
    let io = unsafe { run.__bindgen_anon_1.io };
    let (port, size) = (io.port, io.size);
    let length = usize::from(size) * io.count as usize;
    // The data lie outside the structure, in the page after it (KVM api.rst, section 5, "KVM_EXIT_IO").
    let offset = usize::try_from(io.data_offset).unwrap_or(usize::MAX);
    let start = std::ptr::from_mut(run).cast::<u8>().wrapping_add(offset);
    // SAFETY: the kernel keeps offset and length inside the area that kvm-ioctls mapped from the vCPU
    // (KVM_GET_VCPU_MMAP_SIZE), which lives as long as the vCPU that `run` is borrowed from; the kernel writes it in
    // KVM_RUN alone, for which the vCPU must be borrowed again.
    let data = unsafe { std::slice::from_raw_parts_mut(start, length) };
    if u32::from(io.direction) == KVM_EXIT_IO_IN {
        Exit::PortIn { port, size, data }
    } else {
        Exit::PortOut { port, size, data }
    }
}

fn memory_access(run: &mut kvm_run) -> Exit<'_> {
    // SAFETY: the kernel filled `mmio` for this exit reason, and any bytes are valid for it.
    let mmio = unsafe { &mut run.__bindgen_anon_1.mmio };
    let (address, is_write) = (mmio.phys_addr, mmio.is_write != 0);
    let length = (mmio.len as usize).min(mmio.data.len());
    let data = &mut mmio.data[..length];
    if is_write { Exit::MmioWrite { address, data } } else { Exit::MmioRead { address, data } }
}

fn decode_end(run: &kvm_run) -> End {
    let details = &run.__bindgen_anon_1;
    match run.exit_reason {
        KVM_EXIT_HLT => End::Halted,
        KVM_EXIT_SHUTDOWN => End::Shutdown,
        KVM_EXIT_INTERNAL_ERROR => internal_error(run),
        KVM_EXIT_UNKNOWN => {
            // SAFETY: the kernel filled `hw` for this exit reason, and it is an integer.
            let hw = unsafe { details.hw };
            End::UnknownExit { hardware_reason: hw.hardware_exit_reason }
        }
        KVM_EXIT_FAIL_ENTRY => {
            // SAFETY: the kernel filled `fail_entry` for this exit reason, and it is plain integers.
            let fail = unsafe { details.fail_entry };
            End::FailEntry { reason: fail.hardware_entry_failure_reason, cpu: fail.cpu }
        }
        KVM_EXIT_SYSTEM_EVENT => {
            // SAFETY: the kernel filled `system_event` for this exit reason, and it is plain integers.
            let kind = unsafe { details.system_event }.type_;
            End::SystemEvent { kind }
        }
        KVM_EXIT_MEMORY_FAULT => {
            // SAFETY: the kernel filled `memory_fault` for this exit reason, and it is plain integers.
            let fault = unsafe { details.memory_fault };
            End::MemoryFault { address: fault.gpa, size: fault.size, flags: fault.flags }
        }
        KVM_EXIT_HYPERCALL => {
            // SAFETY: the kernel filled `hypercall` for this exit reason, and it is plain integers.
            let call = unsafe { details.hypercall };
            End::Hypercall { number: call.nr, arguments: call.args }
        }
        reason => End::Unsupported { reason },
    }
}

/// The details of an internal error (KVM api.rst, section 5, "`KVM_EXIT_INTERNAL_ERROR`").
fn internal_error(run: &kvm_run) -> End {
    // SAFETY: the kernel filled `internal` for this exit reason, and it is plain integers.
    let internal = unsafe { run.__bindgen_anon_1.internal };
    if internal.suberror != KVM_INTERNAL_ERROR_EMULATION {
        return End::InternalError {
            suberror: internal.suberror,
            data: InternalData::new(&internal.data, internal.ndata),
        };
    }
    // The bytes are valid if there is a word of flags, the flag is set, and three words are there in all: flags, then
    // the count and fifteen bytes.
    let flagged = internal.ndata >= 3
        && internal.data[0] & u64::from(KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES) != 0;
    let bytes = std::array::from_fn(|i| internal.data[1 + i / 8].to_le_bytes()[i % 8]);
    End::EmulationFailed {
        instruction: if flagged { Instruction::new(bytes) } else { Instruction::default() },
    }
}
