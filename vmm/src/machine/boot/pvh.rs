//! The PVH protocol: a start info that points to memory map, command line and initrd.
//!
//! Source: Xen docs/misc/pvh.pandoc and xen/include/public/arch-x86/hvm/start_info.h.
#![forbid(unsafe_code)]

use linux_loader::configurator::pvh::PvhBootConfigurator;
use linux_loader::configurator::{self, BootConfigurator as _, BootParams};
use linux_loader::loader::elf::start_info::{hvm_memmap_table_entry, hvm_modlist_entry, hvm_start_info};
use vm_memory::{GuestAddress, GuestMemoryMmap};

use super::super::layout::{COMMAND_LINE, PVH_MEMORY_MAP, PVH_MODULES, PVH_START_INFO, Range};
use super::Initrd;

/// `XEN_HVM_START_MAGIC_VALUE`.
const MAGIC: u32 = 0x336e_c578;
/// The version with a memory map.
const VERSION: u32 = 1;

/// Writes the start info and what it points to.
///
/// # Errors
/// The guest has no memory there, which the least size rules out.
pub fn write(
    memory: &GuestMemoryMmap,
    map: &[Range],
    initrd: Option<Initrd>,
) -> Result<(), configurator::Error> {
    let map: Vec<hvm_memmap_table_entry> = map
        .iter()
        .map(|range| hvm_memmap_table_entry {
            addr: range.start,
            size: range.size,
            type_: range.kind as u32,
            reserved: 0,
        })
        .collect();
    let modules: Vec<hvm_modlist_entry> = initrd
        .into_iter()
        .map(|initrd| hvm_modlist_entry { paddr: initrd.address, size: initrd.size, ..Default::default() })
        .collect();
    let info = hvm_start_info {
        magic: MAGIC,
        version: VERSION,
        nr_modules: u32::try_from(modules.len()).unwrap_or_default(),
        modlist_paddr: if modules.is_empty() { 0 } else { PVH_MODULES },
        cmdline_paddr: COMMAND_LINE,
        memmap_paddr: PVH_MEMORY_MAP,
        memmap_entries: u32::try_from(map.len()).unwrap_or_default(),
        ..Default::default()
    };
    let mut params = BootParams::new(&info, GuestAddress(PVH_START_INFO));
    params.set_sections(&map, GuestAddress(PVH_MEMORY_MAP));
    if !modules.is_empty() {
        params.set_modules(&modules, GuestAddress(PVH_MODULES));
    }
    PvhBootConfigurator::write_bootparams(&params, memory)
}
