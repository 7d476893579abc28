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

#[cfg(test)]
mod tests {
    use kvm_bindings::{KVM_EXIT_DEBUG, KVM_EXIT_IO_OUT};

    use super::*;

    /// The shared page as the kernel lays it out, with room for port data after the structure.
    #[repr(C)]
    struct Page {
        run: kvm_run,
        port_data: [u8; 64],
    }

    impl Page {
        fn new(exit_reason: u32) -> Box<Self> {
            Box::new(Self { run: kvm_run { exit_reason, ..Default::default() }, port_data: [0; 64] })
        }
    }

    fn end_of(page: &mut Page) -> End {
        match decode(&mut page.run) {
            Exit::Ended(end) => end,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn port_access_covers_all_elements_and_keeps_their_size() {
        for direction in [KVM_EXIT_IO_IN, KVM_EXIT_IO_OUT] {
            let mut page = Page::new(KVM_EXIT_IO);
            page.port_data = std::array::from_fn(|i| u8::try_from(i).unwrap());
            let io = kvm_bindings::kvm_run__bindgen_ty_1__bindgen_ty_4 {
                direction: u8::try_from(direction).unwrap(),
                size: 2,
                port: 0x1f0,
                count: 3,
                data_offset: (std::mem::offset_of!(Page, port_data) + 8) as u64,
            };
            page.run.__bindgen_anon_1.io = io;
            let expected = [8, 9, 10, 11, 12, 13];
            match decode(&mut page.run) {
                Exit::PortIn { port: 0x1f0, size: 2, data } if direction == KVM_EXIT_IO_IN => {
                    assert_eq!(data, expected);
                    data.fill(0xee);
                    assert_eq!(page.port_data[8..15], [0xee, 0xee, 0xee, 0xee, 0xee, 0xee, 14]);
                }
                Exit::PortOut { port: 0x1f0, size: 2, data } if direction == KVM_EXIT_IO_OUT => {
                    assert_eq!(data, expected);
                }
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn memory_access_is_never_longer_than_its_room() {
        let mut page = Page::new(KVM_EXIT_MMIO);
        page.run.__bindgen_anon_1.mmio = kvm_bindings::kvm_run__bindgen_ty_1__bindgen_ty_6 {
            phys_addr: 0xd000_0000,
            len: 4096,
            is_write: 1,
            ..Default::default()
        };
        let Exit::MmioWrite { address, data } = decode(&mut page.run) else { panic!("a write") };
        assert_eq!((address, data.len()), (0xd000_0000, 8));
    }

    #[test]
    fn emulation_failure_without_the_flag_has_no_bytes() {
        let with = |ndata: u32, flags: u64| {
            let mut page = Page::new(KVM_EXIT_INTERNAL_ERROR);
            let mut data = [0; 16];
            data[..3].copy_from_slice(&[flags, u64::from_le_bytes([2, 0x0f, 0x0b, 0, 0, 0, 0, 0]), 0]);
            page.run.__bindgen_anon_1.internal = kvm_bindings::kvm_run__bindgen_ty_1__bindgen_ty_13 {
                suberror: KVM_INTERNAL_ERROR_EMULATION,
                ndata,
                data,
            };
            match end_of(&mut page) {
                End::EmulationFailed { instruction } => instruction.bytes().to_vec(),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(with(3, 1), [0x0f, 0x0b]);
        assert!(with(3, 0).is_empty());
        assert!(with(0, 1).is_empty());
    }

    #[test]
    fn other_internal_errors_keep_as_many_words_as_kvm_gave() {
        let mut page = Page::new(KVM_EXIT_INTERNAL_ERROR);
        page.run.__bindgen_anon_1.internal =
            kvm_bindings::kvm_run__bindgen_ty_1__bindgen_ty_13 { suberror: 3, ndata: 2, data: [7; 16] };
        let End::InternalError { suberror: 3, data } = end_of(&mut page) else { panic!("an internal error") };
        assert_eq!(data.words(), [7, 7]);
    }

    #[test]
    fn refused_entry_memory_fault_and_hypercall_keep_their_details() {
        let mut page = Page::new(KVM_EXIT_FAIL_ENTRY);
        page.run.__bindgen_anon_1.fail_entry = kvm_bindings::kvm_run__bindgen_ty_1__bindgen_ty_2 {
            hardware_entry_failure_reason: 0x8000_0021,
            cpu: 3,
        };
        assert_eq!(end_of(&mut page), End::FailEntry { reason: 0x8000_0021, cpu: 3 });

        let mut page = Page::new(KVM_EXIT_HYPERCALL);
        page.run.__bindgen_anon_1.hypercall.nr = 12;
        page.run.__bindgen_anon_1.hypercall.args = [1, 2, 3, 4, 5, 6];
        assert_eq!(end_of(&mut page), End::Hypercall { number: 12, arguments: [1, 2, 3, 4, 5, 6] });

        let mut page = Page::new(KVM_EXIT_SYSTEM_EVENT);
        page.run.__bindgen_anon_1.system_event.type_ = 2;
        assert_eq!(end_of(&mut page).to_string(), "the guest asked for a reset");
    }

    #[test]
    fn every_other_reason_is_an_end_that_names_it() {
        assert_eq!(end_of(&mut Page::new(KVM_EXIT_HLT)), End::Halted);
        assert_eq!(end_of(&mut Page::new(KVM_EXIT_DEBUG)), End::Unsupported { reason: KVM_EXIT_DEBUG });
        assert_eq!(end_of(&mut Page::new(1000)), End::Unsupported { reason: 1000 });
    }
}
