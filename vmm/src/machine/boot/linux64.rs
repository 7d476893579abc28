//! The 64-bit Linux boot protocol: the "zero page", for bzImages and for ELF kernels without a PVH note.
//!
//! Source: Linux Documentation/arch/x86/boot.rst and zero-page.rst, arch/x86/include/uapi/asm/bootparam.h.
#![forbid(unsafe_code)]

use linux_loader::configurator::linux::LinuxBootConfigurator;
use linux_loader::configurator::{self, BootConfigurator as _, BootParams};
use linux_loader::loader::bootparam::{boot_e820_entry, boot_params, setup_header};
use vm_memory::{GuestAddress, GuestMemoryMmap};

use super::super::layout::{ACPI_TABLES, BOOT_PARAMS, COMMAND_LINE, Range};
use super::Initrd;

/// `type_of_loader` of a loader without a number of its own.
const LOADER_UNDEFINED: u8 = 0xff;

/// The setup header of an ELF kernel, which carries none.
pub fn header_of_elf() -> setup_header {
    setup_header {
        boot_flag: 0xaa55,
        header: u32::from_le_bytes(*b"HdrS"),
        version: 0x020c,
        kernel_alignment: 0x20_0000,
        ..Default::default()
    }
}

/// Writes `boot_params`, made from the kernel's own setup header.
///
/// # Errors
/// The guest has no memory there, which the least size rules out.
pub fn write(
    memory: &GuestMemoryMmap,
    header: setup_header,
    map: &[Range],
    command_line_size: usize,
    initrd: Option<Initrd>,
) -> Result<(), configurator::Error> {
    let mut params = boot_params { hdr: header, acpi_rsdp_addr: ACPI_TABLES, ..Default::default() };
    params.hdr.type_of_loader = LOADER_UNDEFINED;
    params.hdr.cmd_line_ptr = low(COMMAND_LINE);
    params.hdr.cmdline_size = low(command_line_size as u64);
    if let Some(initrd) = initrd {
        params.hdr.ramdisk_image = low(initrd.address);
        params.hdr.ramdisk_size = low(initrd.size);
    }
    let mut table = params.e820_table;
    for (entry, range) in table.iter_mut().zip(map) {
        *entry = boot_e820_entry { addr: range.start, size: range.size, r#type: range.kind as u32 };
    }
    params.e820_table = table;
    params.e820_entries = u8::try_from(map.len()).unwrap_or_default();
    LinuxBootConfigurator::write_bootparams(&BootParams::new(&params, GuestAddress(BOOT_PARAMS)), memory)
}

/// A number below 4 GiB: everything that the zero page names lies below the hole.
fn low(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use vm_memory::Bytes as _;

    use super::super::super::layout::MemorySplit;
    use super::super::super::memory::{HugePages, map};
    use super::*;

    /// A field of the zero page, by its offset in zero-page.rst and boot.rst.
    fn field<const N: usize>(memory: &GuestMemoryMmap, offset: u64) -> [u8; N] {
        let mut bytes = [0; N];
        memory.read_slice(&mut bytes, GuestAddress(BOOT_PARAMS + offset)).unwrap();
        bytes
    }

    fn written(split: MemorySplit, header: setup_header, initrd: Option<Initrd>) -> GuestMemoryMmap {
        let memory = map(split, HugePages::Off).unwrap();
        write(&memory, header, &split.memory_map(), 5, initrd).unwrap();
        memory
    }

    #[test]
    fn zero_page_has_the_fields_that_a_loader_must_write_at_their_offsets() {
        let initrd = Initrd { address: 0x3ff_0000, size: 0xabcd };
        let memory = written(MemorySplit::new(64), header_of_elf(), Some(initrd));
        assert_eq!(u64::from_le_bytes(field(&memory, 0x070)), ACPI_TABLES, "acpi_rsdp_addr");
        assert_eq!(field(&memory, 0x1fe), [0x55, 0xaa]);
        assert_eq!(&field(&memory, 0x202), b"HdrS");
        assert_eq!(field(&memory, 0x210), [0xff], "type_of_loader");
        assert_eq!(u32::from_le_bytes(field(&memory, 0x218)), 0x3ff_0000, "ramdisk_image");
        assert_eq!(u32::from_le_bytes(field(&memory, 0x21c)), 0xabcd, "ramdisk_size");
        assert_eq!(u64::from(u32::from_le_bytes(field(&memory, 0x228))), COMMAND_LINE, "cmd_line_ptr");
        assert_eq!(u32::from_le_bytes(field(&memory, 0x238)), 5, "cmdline_size");
    }

    #[test]
    fn zero_page_has_the_whole_memory_map() {
        let split = MemorySplit::new(4608);
        let memory = written(split, header_of_elf(), None);
        assert_eq!(usize::from(field::<1>(&memory, 0x1e8)[0]), split.memory_map().len());
        for (index, range) in (0..).zip(split.memory_map()) {
            let at = 0x2d0 + index * 20;
            assert_eq!(u64::from_le_bytes(field(&memory, at)), range.start);
            assert_eq!(u64::from_le_bytes(field(&memory, at + 8)), range.size);
            assert_eq!(u32::from_le_bytes(field(&memory, at + 16)), range.kind as u32);
        }
    }

    #[test]
    fn kernel_s_own_header_is_kept() {
        let header = setup_header { init_size: 0x1234_5678, ..header_of_elf() };
        let memory = written(MemorySplit::new(64), header, None);
        assert_eq!(u32::from_le_bytes(field(&memory, 0x260)), 0x1234_5678, "init_size");
        assert_eq!(u64::from_le_bytes(field(&memory, 0x218)), 0, "no initrd");
    }
}
