//! The guest physical address map: where everything lies that the monitor puts into guest memory, and what the
//! guest is told of it.
//!
//! ```text
//! 0x0000_0500  global descriptor table           0x0002_0000  command line
//! 0x0000_6000  start info, modules (PVH)         0x0009_fc00  MP table, reserved up to 1 MiB
//! 0x0000_6100  memory map (PVH)                  0x000e_0000  ACPI tables
//! 0x0000_7000  boot_params (Linux protocol)      0x0010_0000  the kernel, and RAM up to the hole
//! 0x0000_8ff0  first stack (64-bit protocol)     0xc000_0000  hole for MMIO, up to 4 GiB; RAM goes on above
//! 0x0000_9000  page tables (64-bit protocol)
//! ```
#![forbid(unsafe_code)]

/// Bytes of a mebibyte.
pub const MIB: u64 = 1 << 20;
/// Bytes of a base page.
pub const PAGE_SIZE: u64 = 4096;

/// Global descriptor table: five descriptors, below everything that a boot protocol names.
pub const GDT: u64 = 0x500;
/// `struct hvm_start_info`, 56 bytes, and after it the module list (Xen `public/arch-x86/hvm/start_info.h`).
pub const PVH_START_INFO: u64 = 0x6000;
/// `struct hvm_modlist_entry` of the initrd, 32 bytes.
pub const PVH_MODULES: u64 = 0x6040;
/// Array of `struct hvm_memmap_table_entry`, 24 bytes each.
pub const PVH_MEMORY_MAP: u64 = 0x6100;
/// `struct boot_params`, one page: the "zero page" of Linux Documentation/arch/x86/zero-page.rst.
pub const BOOT_PARAMS: u64 = 0x7000;
/// Top of the stack that the first instruction of a 64-bit kernel finds; it grows down towards `BOOT_PARAMS`' end.
pub const BOOT_STACK: u64 = 0x8ff0;
/// Page tables for the 64-bit protocol: one PML4, one PDPT, and four page directories.
pub const PAGE_TABLES: u64 = 0x9000;
/// Command line, a C string.
pub const COMMAND_LINE: u64 = 0x2_0000;
/// Bytes kept for the command line, its NUL included; no kernel accepts more than a fraction of it.
pub const COMMAND_LINE_ROOM: u64 = 0x1_0000;

/// MP floating pointer and table. Linux looks in the last KiB of 639 KiB of base memory (`mpparse_find_mptable` in
/// arch/x86/kernel/mpparse.c); Intel `MultiProcessor` Specification 1.4, chapter 4, names the same place.
pub const MP_TABLE: u64 = 0x9_fc00;
/// End of the room for the MP table: what follows is the VGA window on a PC.
pub const MP_TABLE_END: u64 = 0xa_0000;
/// ACPI tables, the RSDP first: a kernel that nobody tells its address looks for it from here on (ACPI 6.5, section
/// 5.2.5.1).
pub const ACPI_TABLES: u64 = 0xe_0000;
/// End of the room for the ACPI tables, which take 3 KiB of it at most.
pub const ACPI_TABLES_END: u64 = 0xf_0000;
/// Where conventional memory of a PC ends and its BIOS begins; kernels are loaded above it.
pub const HIGH_MEMORY: u64 = MIB;

/// First byte of the hole that is kept for MMIO: 1 GiB below 4 GiB, the same as Firecracker 1.14's.
pub const MMIO_HOLE: u64 = 0xc000_0000;
/// First byte after the hole: memory goes on here.
pub const MMIO_HOLE_END: u64 = 1 << 32;

/// Page of the boot timer, where Firecracker has it too.
pub const BOOT_TIMER: u64 = MMIO_HOLE;
/// Registers of the first virtio device, where Firecracker has them too; the others follow.
pub const VIRTIO: u64 = BOOT_TIMER + PAGE_SIZE;
/// Bytes from one device's registers to the next one's.
pub const VIRTIO_WINDOW: u64 = PAGE_SIZE;
/// Interrupt line of the first virtio device; the others follow. The lines from 16 on belong to no ISA device.
pub const VIRTIO_IRQ: u32 = 16;
/// The most virtio devices: as many as there are such lines.
pub const MAX_VIRTIO: u8 = IOAPIC_PINS - 16;

/// I/O APIC registers, where PCs have them and KVM's in-kernel chip answers (`IOAPIC_DEFAULT_BASE_ADDRESS`, Linux
/// arch/x86/kvm/ioapic.h).
pub const IOAPIC: u32 = 0xfec0_0000;
/// Local APIC registers (`APIC_DEFAULT_PHYS_BASE`, Linux arch/x86/include/asm/apicdef.h).
pub const LOCAL_APIC: u32 = 0xfee0_0000;
/// Page that KVM uses as an identity page table for real mode on Intel hosts (KVM api.rst 4.64): its default.
pub const KVM_IDENTITY_MAP: u64 = 0xfffb_c000;
/// Three pages that KVM uses as a task state segment for real mode on Intel hosts (KVM api.rst 4.31).
pub const KVM_TSS: u64 = 0xfffb_d000;
/// Bytes of the pages that KVM keeps for itself: identity map and TSS.
pub const KVM_PAGES_SIZE: u64 = 4 * PAGE_SIZE;

/// Pins of KVM's in-kernel I/O APIC (`IOAPIC_NUM_PINS`, Linux arch/x86/kvm/ioapic.h).
pub const IOAPIC_PINS: u8 = 24;

/// What a piece of the physical address space is, in the numbers that e820 and PVH share
/// (Linux arch/x86/include/asm/e820/types.h; Xen `start_info.h` `XEN_HVM_MEMMAP_TYPE_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum RangeKind {
    /// Memory that the guest may use.
    Ram = 1,
    /// Not to be touched: tables for it, or nothing.
    Reserved = 2,
}

/// One entry of the memory map that the guest is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// First guest physical address.
    pub start: u64,
    /// Bytes.
    pub size: u64,
    /// What it is.
    pub kind: RangeKind,
}

impl Range {
    fn between(start: u64, end: u64, kind: RangeKind) -> Self {
        Self { start, size: end - start, kind }
    }

    /// First address after the range.
    pub fn end(&self) -> u64 {
        self.start + self.size
    }
}

/// How much memory lies below and above the hole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemorySplit {
    /// Bytes from address 0.
    pub low: u64,
    /// Bytes from [`MMIO_HOLE_END`]; 0 when all memory fits below the hole.
    pub high: u64,
}

impl MemorySplit {
    /// Splits `memory_mib` MiB of memory around the hole.
    pub fn new(memory_mib: u32) -> Self {
        let size = u64::from(memory_mib) * MIB;
        let low = size.min(MMIO_HOLE);
        Self { low, high: size - low }
    }

    /// First physical address after all memory.
    pub fn end(&self) -> u64 {
        if self.high == 0 { self.low } else { MMIO_HOLE_END + self.high }
    }

    /// The memory map, in ascending order, without overlaps.
    pub fn memory_map(&self) -> Vec<Range> {
        let mut map = vec![
            Range::between(0, MP_TABLE, RangeKind::Ram),
            Range::between(MP_TABLE, HIGH_MEMORY, RangeKind::Reserved),
            Range::between(HIGH_MEMORY, self.low, RangeKind::Ram),
            Range { start: KVM_IDENTITY_MAP, size: KVM_PAGES_SIZE, kind: RangeKind::Reserved },
        ];
        if self.high > 0 {
            map.push(Range { start: MMIO_HOLE_END, size: self.high, kind: RangeKind::Ram });
        }
        map
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes of RAM in the map that the guest is given, and of the reserved KiB below 1 MiB, which memory backs.
    fn described(split: MemorySplit) -> u64 {
        let ram: u64 = split.memory_map().iter().filter(|r| r.kind == RangeKind::Ram).map(|r| r.size).sum();
        ram + (HIGH_MEMORY - MP_TABLE)
    }

    #[test]
    fn memory_up_to_the_hole_lies_below_it() {
        assert_eq!(MemorySplit::new(128), MemorySplit { low: 128 * MIB, high: 0 });
        assert_eq!(MemorySplit::new(3072), MemorySplit { low: MMIO_HOLE, high: 0 });
        assert_eq!(MemorySplit::new(3072).end(), MMIO_HOLE);
    }

    #[test]
    fn memory_beyond_the_hole_goes_on_at_4_gib() {
        let split = MemorySplit::new(4608);
        assert_eq!(split, MemorySplit { low: MMIO_HOLE, high: (4608 - 3072) * MIB });
        assert_eq!(split.end(), (1 << 32) + 1536 * MIB);
        assert_eq!(split.memory_map().last().unwrap().start, 1 << 32);
    }

    #[test]
    fn memory_map_is_ascending_without_overlap_and_describes_every_byte() {
        for memory_mib in [2, 128, 3071, 3072, 3073, 4608, u32::MAX] {
            let split = MemorySplit::new(memory_mib);
            for pair in split.memory_map().windows(2) {
                assert!(pair[0].end() <= pair[1].start, "{memory_mib} MiB: {pair:?}");
            }
            assert_eq!(described(split), u64::from(memory_mib) * MIB);
        }
    }

    #[test]
    fn tables_do_not_overlap() {
        let tables = [
            (GDT, 5 * 8),
            (PVH_START_INFO, 56),
            (PVH_MODULES, 32),
            (PVH_MEMORY_MAP, 24 * 8),
            (BOOT_PARAMS, PAGE_SIZE),
            (BOOT_STACK - 0xff0, 0xff0),
            (PAGE_TABLES, 6 * PAGE_SIZE),
            (COMMAND_LINE, COMMAND_LINE_ROOM),
            (MP_TABLE, MP_TABLE_END - MP_TABLE),
            (ACPI_TABLES, ACPI_TABLES_END - ACPI_TABLES),
            (HIGH_MEMORY, 1),
        ];
        for pair in tables.windows(2) {
            assert!(pair[0].0 + pair[0].1 <= pair[1].0, "{pair:x?}");
        }
    }
}
