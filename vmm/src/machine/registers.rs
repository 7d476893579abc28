//! Registers, segments and page tables of the first vCPU at its entry, and what its registers say when it stopped.
#![forbid(unsafe_code)]

use std::fmt;

use kvm_bindings::{kvm_fpu, kvm_regs, kvm_segment, kvm_sregs};
use kvm_ioctls::VcpuFd;
use vm_memory::{Bytes as _, GuestAddress, GuestMemoryError, GuestMemoryMmap};

use super::layout::{BOOT_PARAMS, BOOT_STACK, GDT, PAGE_SIZE, PAGE_TABLES, PVH_START_INFO};

/// Control register bits (Intel SDM volume 3, section 2.5): protection, extension type (always 1), paging.
const CR0_PE: u64 = 1;
const CR0_ET: u64 = 1 << 4;
const CR0_PG: u64 = 1 << 31;
const CR4_PAE: u64 = 1 << 5;
/// `IA32_EFER`: long mode enabled, and active (SDM volume 3, table 2-1).
const EFER_LME: u64 = 1 << 8;
const EFER_LMA: u64 = 1 << 10;
/// The bit of RFLAGS that is always 1; interrupts are off.
const RFLAGS_START: u64 = 2;
/// RFLAGS bit of virtual-8086 mode.
const RFLAGS_VM: u64 = 1 << 17;

/// Selectors: those that the 64-bit boot protocol demands (`__BOOT_CS`, `__BOOT_DS`; Linux
/// arch/x86/include/asm/segment.h), used for PVH too, which demands none.
const BOOT_CS: u16 = 0x10;
const BOOT_DS: u16 = 0x18;
const BOOT_TR: u16 = 0x20;

/// Page table bits: present and writable; in a directory, a 2 MiB page (SDM volume 3, section 4.5).
const PAGE_PRESENT_WRITABLE: u64 = 3;
const PAGE_2M: u64 = 1 << 7;
/// Entries of a table, and directories: four map 4 GiB.
const ENTRIES: usize = 512;
const DIRECTORIES: u64 = 4;

/// x87 control word and MXCSR after `fninit` and reset (SDM volume 1, sections 8.1.5 and 10.2.3): all exceptions masked.
const FPU_CONTROL: u16 = 0x37f;
const MXCSR_START: u32 = 0x1f80;

/// How the first vCPU is entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// 32-bit protected mode without paging, EBX points to the start info (Xen docs/misc/pvh.pandoc).
    Pvh {
        /// Physical address of the first instruction.
        address: u32,
    },
    /// Long mode with memory below 4 GiB mapped to itself, RSI points to `boot_params` (Linux
    /// Documentation/arch/x86/boot.rst, "64-bit Boot Protocol").
    Linux64 {
        /// Address of the first instruction.
        address: u64,
    },
}

/// Why registers could not be set or read.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// A KVM call failed.
    #[error("KVM cannot {what}: {source}")]
    Kvm {
        /// What was asked.
        what: &'static str,
        /// What it answered.
        source: kvm_ioctls::Error,
    },
    /// The tables could not be written.
    #[error("cannot write the first page and descriptor tables to guest memory: {0}")]
    Tables(#[from] GuestMemoryError),
}

fn kvm(what: &'static str) -> impl FnOnce(kvm_ioctls::Error) -> RegisterError {
    move |source| RegisterError::Kvm { what, source }
}

/// Brings the floating point unit of a vCPU into its state after reset.
///
/// # Errors
/// [`RegisterError::Kvm`].
pub fn reset_fpu(vcpu: &VcpuFd) -> Result<(), RegisterError> {
    let fpu = kvm_fpu { fcw: FPU_CONTROL, mxcsr: MXCSR_START, ..Default::default() };
    vcpu.set_fpu(&fpu).map_err(kvm("set the floating point state of a vCPU"))
}

/// Puts the first vCPU at its entry, and writes the tables that it runs on.
///
/// # Errors
/// [`RegisterError`].
pub fn enter(vcpu: &VcpuFd, memory: &GuestMemoryMmap, entry: Entry) -> Result<(), RegisterError> {
    let mut sregs = vcpu.get_sregs().map_err(kvm("read the system registers of a vCPU"))?;
    set_segments(&mut sregs, entry);
    write_gdt(memory, &sregs)?;
    sregs.cr4 = 0;
    sregs.efer = 0;
    sregs.cr0 = CR0_PE | CR0_ET;
    if matches!(entry, Entry::Linux64 { .. }) {
        write_page_tables(memory)?;
        sregs.cr3 = PAGE_TABLES;
        sregs.cr4 = CR4_PAE;
        sregs.cr0 |= CR0_PG;
        sregs.efer = EFER_LME | EFER_LMA;
    }
    vcpu.set_sregs(&sregs).map_err(kvm("set the system registers of a vCPU"))?;
    vcpu.set_regs(&general(entry)).map_err(kvm("set the registers of a vCPU"))
}

fn general(entry: Entry) -> kvm_regs {
    match entry {
        Entry::Pvh { address } => {
            kvm_regs { rip: address.into(), rbx: PVH_START_INFO, rflags: RFLAGS_START, ..Default::default() }
        }
        Entry::Linux64 { address } => kvm_regs {
            rip: address,
            rsi: BOOT_PARAMS,
            rsp: BOOT_STACK,
            rbp: BOOT_STACK,
            rflags: RFLAGS_START,
            ..Default::default()
        },
    }
}

fn set_segments(sregs: &mut kvm_sregs, entry: Entry) {
    let long = matches!(entry, Entry::Linux64 { .. });
    // Type 11: code, readable, accessed; type 3: data, writable, accessed (SDM volume 3, table 3-1).
    let flat = |selector, type_| kvm_segment {
        base: 0,
        limit: u32::MAX,
        selector,
        type_,
        present: 1,
        s: 1,
        g: 1,
        db: 1,
        ..Default::default()
    };
    let code = flat(BOOT_CS, 11);
    sregs.cs = if long { kvm_segment { l: 1, db: 0, ..code } } else { code };
    let data = flat(BOOT_DS, 3);
    for segment in [&mut sregs.ds, &mut sregs.es, &mut sregs.fs, &mut sregs.gs, &mut sregs.ss] {
        *segment = data;
    }
    // Type 11 of a system segment: a busy TSS (SDM volume 3, table 3-2), of 0x68 bytes as PVH demands.
    sregs.tr = kvm_segment { limit: 0x67, selector: BOOT_TR, type_: 11, present: 1, ..Default::default() };
    sregs.gdt.base = GDT;
    sregs.gdt.limit = 6 * 8 - 1;
    // No interrupt table: until the guest has made its own, a fault is a triple fault, at the fault.
    sregs.idt.base = 0;
    sregs.idt.limit = 0;
}

/// Writes the descriptors that the segment registers were, as it were, loaded from.
fn write_gdt(memory: &GuestMemoryMmap, sregs: &kvm_sregs) -> Result<(), GuestMemoryError> {
    // A TSS takes two places in long mode; the second holds the upper half of its base, 0.
    let table = [0, 0, descriptor(&sregs.cs), descriptor(&sregs.ds), descriptor(&sregs.tr), 0];
    let bytes: Vec<u8> = table.iter().flat_map(|entry| entry.to_le_bytes()).collect();
    memory.write_slice(&bytes, GuestAddress(GDT))
}

/// A segment as an 8-byte descriptor (SDM volume 3, figure 3-8).
fn descriptor(segment: &kvm_segment) -> u64 {
    let limit = u64::from(if segment.g == 1 { segment.limit >> 12 } else { segment.limit });
    let access = u64::from(segment.type_ | segment.s << 4 | segment.dpl << 5 | segment.present << 7);
    let flags = u64::from(segment.avl | segment.l << 1 | segment.db << 2 | segment.g << 3);
    (limit & 0xffff)
        | (segment.base & 0xff_ffff) << 16
        | access << 40
        | (limit >> 16 & 0xf) << 48
        | flags << 52
        | (segment.base >> 24 & 0xff) << 56
}

/// Maps the first 4 GiB to themselves with pages of 2 MiB: wherever a kernel and its tables were put.
fn write_page_tables(memory: &GuestMemoryMmap) -> Result<(), GuestMemoryError> {
    let pointers = PAGE_TABLES + PAGE_SIZE;
    let directories = pointers + PAGE_SIZE;
    let write = |table: &[u64], at| {
        let bytes: Vec<u8> = table.iter().flat_map(|entry| entry.to_le_bytes()).collect();
        memory.write_slice(&bytes, GuestAddress(at))
    };
    write(&[pointers | PAGE_PRESENT_WRITABLE], PAGE_TABLES)?;
    let tables: Vec<u64> =
        (0..DIRECTORIES).map(|n| (directories + n * PAGE_SIZE) | PAGE_PRESENT_WRITABLE).collect();
    write(&tables, pointers)?;
    let pages: Vec<u64> =
        (0..DIRECTORIES * ENTRIES as u64).map(|page| page << 21 | PAGE_2M | PAGE_PRESENT_WRITABLE).collect();
    write(&pages, directories)
}

/// Where a stopped vCPU is; its `Display` is for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Instruction pointer, relative to the code segment.
    pub rip: u64,
    /// Base of the code segment.
    pub cs_base: u64,
    /// Privilege level, 0 to 3.
    pub cpl: u8,
    /// Mode of execution.
    pub mode: Mode,
}

/// Modes of execution (SDM volume 3, section 2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Real mode, as after reset.
    Real,
    /// Virtual-8086 mode.
    Virtual8086,
    /// Protected mode with 16-bit code.
    Protected16,
    /// Protected mode with 32-bit code.
    Protected32,
    /// Long mode with 32-bit code.
    Compatibility,
    /// Long mode with 64-bit code.
    Long,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Real => "real mode",
            Self::Virtual8086 => "virtual-8086 mode",
            Self::Protected16 => "16-bit protected mode",
            Self::Protected32 => "32-bit protected mode",
            Self::Compatibility => "compatibility mode",
            Self::Long => "64-bit mode",
        })
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RIP {:#x}", self.rip)?;
        if self.cs_base != 0 {
            write!(f, " in the segment at {:#x}", self.cs_base)?;
        }
        write!(f, ", ring {}, {}", self.cpl, self.mode)
    }
}

impl Position {
    /// Whether the vCPU is where a reset puts it (SDM volume 3, table 10-1): 16 bytes below 4 GiB, in real mode.
    ///
    /// KVM for SVM resets a vCPU that shuts down, because the processor leaves its state undefined (Linux
    /// arch/x86/kvm/svm/svm.c, `shutdown_interception`); KVM for VMX leaves it where the fault was.
    pub fn is_reset_vector(&self) -> bool {
        (self.cs_base, self.rip, self.mode) == (0xffff_0000, 0xfff0, Mode::Real)
    }
}

/// Says where a vCPU is. It must not be inside `KVM_RUN` (KVM would make the caller wait).
///
/// # Errors
/// [`RegisterError::Kvm`].
pub fn describe_registers(vcpu: &VcpuFd) -> Result<Position, RegisterError> {
    let regs = vcpu.get_regs().map_err(kvm("read the registers of a vCPU"))?;
    let sregs = vcpu.get_sregs().map_err(kvm("read the system registers of a vCPU"))?;
    Ok(position(&regs, &sregs))
}

fn position(regs: &kvm_regs, sregs: &kvm_sregs) -> Position {
    let (protected, long) = (sregs.cr0 & CR0_PE != 0, sregs.efer & EFER_LMA != 0);
    let mode = match (protected, long) {
        (false, _) => Mode::Real,
        (true, true) if sregs.cs.l == 1 => Mode::Long,
        (true, true) => Mode::Compatibility,
        (true, false) if regs.rflags & RFLAGS_VM != 0 => Mode::Virtual8086,
        (true, false) if sregs.cs.db == 1 => Mode::Protected32,
        (true, false) => Mode::Protected16,
    };
    // KVM reports the privilege level as that of the stack segment (SDM volume 3, section 25.4.1 says the same).
    Position { rip: regs.rip, cs_base: sregs.cs.base, cpl: sregs.ss.dpl, mode }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::layout::MemorySplit;
    use crate::machine::memory::{HugePages, map};

    fn sregs(entry: Entry) -> kvm_sregs {
        let mut sregs = kvm_sregs::default();
        set_segments(&mut sregs, entry);
        sregs
    }

    const PVH: Entry = Entry::Pvh { address: 0x10_0000 };
    const LINUX: Entry = Entry::Linux64 { address: 0x10_0000 };

    #[test]
    fn descriptors_are_those_of_linux_own_boot_table() {
        // GDT_ENTRY(0xc09b, 0, 0xfffff) and its kind, arch/x86/boot/pm.c and arch/x86/kernel/head64.c.
        assert_eq!(descriptor(&sregs(PVH).cs), 0x00cf_9b00_0000_ffff);
        assert_eq!(descriptor(&sregs(LINUX).cs), 0x00af_9b00_0000_ffff);
        assert_eq!(descriptor(&sregs(LINUX).ds), 0x00cf_9300_0000_ffff);
        assert_eq!(descriptor(&sregs(PVH).tr), 0x0000_8b00_0000_0067);
    }

    #[test]
    fn descriptor_scatters_base_and_limit_over_its_fields() {
        let segment = kvm_segment { base: 0x1234_5678, limit: 0x9_abcd, ..Default::default() };
        assert_eq!(descriptor(&segment), 0x1209_0034_5678_abcd);
    }

    #[test]
    fn selectors_name_the_descriptors_that_were_written() {
        let memory = map(MemorySplit::new(2), HugePages::Off).unwrap();
        let sregs = sregs(LINUX);
        write_gdt(&memory, &sregs).unwrap();
        for segment in [sregs.cs, sregs.ds, sregs.ss, sregs.tr] {
            let at = GuestAddress(sregs.gdt.base + u64::from(segment.selector));
            assert_eq!(memory.read_obj::<u64>(at).unwrap(), descriptor(&segment));
        }
    }

    #[test]
    fn page_tables_map_every_address_below_4_gib_to_itself() {
        let memory = map(MemorySplit::new(2), HugePages::Off).unwrap();
        write_page_tables(&memory).unwrap();
        let entry = |table: u64, index: u64| memory.read_obj::<u64>(GuestAddress(table + index * 8)).unwrap();
        for address in [0, 0x10_0000, 0x3fff_ffff, 0x4000_0000, 0xd000_0000, 0xffff_ffff_u64] {
            let pointers = entry(PAGE_TABLES, address >> 39) & !0xfff;
            let directory = entry(pointers, address >> 30) & !0xfff;
            let page = entry(directory, address >> 21 & 511);
            assert_eq!(page & 0x83, 0x83, "{address:#x}");
            assert_eq!((page & !0x1f_ffff) | address & 0x1f_ffff, address);
        }
        assert_eq!(entry(PAGE_TABLES + PAGE_SIZE, 4), 0, "nothing above");
    }

    #[test]
    fn mode_is_told_from_control_registers_and_code_segment() {
        let mode = |cr0, efer, l, db, rflags| {
            let mut sregs = kvm_sregs { cr0, efer, ..Default::default() };
            (sregs.cs.l, sregs.cs.db) = (l, db);
            position(&kvm_regs { rflags, ..Default::default() }, &sregs).mode
        };
        assert_eq!(mode(0, 0, 0, 0, 2), Mode::Real);
        assert_eq!(mode(CR0_PE, 0, 0, 0, 2 | RFLAGS_VM), Mode::Virtual8086);
        assert_eq!(mode(CR0_PE, 0, 0, 0, 2), Mode::Protected16);
        assert_eq!(mode(CR0_PE, 0, 0, 1, 2), Mode::Protected32);
        assert_eq!(mode(CR0_PE, EFER_LMA, 0, 1, 2), Mode::Compatibility);
        assert_eq!(mode(CR0_PE, EFER_LMA, 1, 0, 2), Mode::Long);
    }

    #[test]
    fn position_in_real_mode_names_its_segment() {
        let position = Position { rip: 0xfff0, cs_base: 0xffff_0000, cpl: 0, mode: Mode::Real };
        assert_eq!(position.to_string(), "RIP 0xfff0 in the segment at 0xffff0000, ring 0, real mode");
    }

    #[test]
    fn only_real_mode_16_bytes_below_4_gib_is_the_reset_vector() {
        let reset = Position { rip: 0xfff0, cs_base: 0xffff_0000, cpl: 0, mode: Mode::Real };
        assert!(reset.is_reset_vector());
        for other in [
            Position { rip: 0xfff1, ..reset },
            Position { cs_base: 0xf_0000, ..reset },
            Position { mode: Mode::Protected32, ..reset },
        ] {
            assert!(!other.is_reset_vector(), "{other}");
        }
    }
}
