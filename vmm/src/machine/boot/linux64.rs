//! The 64-bit Linux boot protocol: the "zero page", for bzImages and for ELF kernels without a PVH note.
//!
//! Source: Linux Documentation/arch/x86/boot.rst and zero-page.rst, arch/x86/include/uapi/asm/bootparam.h.
#![forbid(unsafe_code)]

use linux_loader::configurator::linux::LinuxBootConfigurator;
use linux_loader::configurator::{self, BootConfigurator as _, BootParams};
use linux_loader::loader::bootparam::{boot_e820_entry, boot_params, setup_header};
use vm_memory::{GuestAddress, GuestMemoryMmap};

use super::super::layout::{BOOT_PARAMS, COMMAND_LINE, Range};
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
    let mut params = boot_params { hdr: header, ..Default::default() };
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
