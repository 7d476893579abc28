//! The PVH protocol: a start info that points to memory map, command line and initrd.
//!
//! Source: Xen docs/misc/pvh.pandoc and xen/include/public/arch-x86/hvm/start_info.h.
#![forbid(unsafe_code)]

use linux_loader::configurator::pvh::PvhBootConfigurator;
use linux_loader::configurator::{self, BootConfigurator as _, BootParams};
use linux_loader::loader::elf::start_info::{hvm_memmap_table_entry, hvm_modlist_entry, hvm_start_info};
use vm_memory::{GuestAddress, GuestMemoryMmap};

use super::super::layout::{ACPI_TABLES, COMMAND_LINE, PVH_MEMORY_MAP, PVH_MODULES, PVH_START_INFO, Range};
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
        rsdp_paddr: ACPI_TABLES,
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

#[cfg(test)]
mod tests {
    use vm_memory::Bytes as _;

    use super::super::super::layout::MemorySplit;
    use super::super::super::memory::{HugePages, map};
    use super::*;

    fn written(split: MemorySplit, initrd: Option<Initrd>) -> (GuestMemoryMmap, hvm_start_info) {
        let memory = map(split, HugePages::Off).unwrap();
        write(&memory, &split.memory_map(), initrd).unwrap();
        let info = memory.read_obj(GuestAddress(PVH_START_INFO)).unwrap();
        (memory, info)
    }

    #[test]
    fn start_info_points_to_the_whole_memory_map() {
        let split = MemorySplit::new(4608);
        let (memory, info) = written(split, None);
        assert_eq!((info.magic, info.version), (0x336e_c578, 1));
        assert_eq!(info.rsdp_paddr, ACPI_TABLES);
        let entries: Vec<(u64, u64, u32)> = (0..u64::from(info.memmap_entries))
            .map(|index| {
                let at = GuestAddress(info.memmap_paddr + index * 24);
                let entry: hvm_memmap_table_entry = memory.read_obj(at).unwrap();
                (entry.addr, entry.size, entry.type_)
            })
            .collect();
        let expected: Vec<_> =
            split.memory_map().iter().map(|range| (range.start, range.size, range.kind as u32)).collect();
        assert_eq!(entries, expected);
    }

    #[test]
    fn initrd_is_the_one_module() {
        let (memory, info) =
            written(MemorySplit::new(64), Some(Initrd { address: 0x3ff_0000, size: 0xabcd }));
        assert_eq!(info.nr_modules, 1);
        let module: hvm_modlist_entry = memory.read_obj(GuestAddress(info.modlist_paddr)).unwrap();
        assert_eq!((module.paddr, module.size), (0x3ff_0000, 0xabcd));
    }

    #[test]
    fn without_an_initrd_there_is_no_module_list() {
        let (_, info) = written(MemorySplit::new(64), None);
        assert_eq!((info.nr_modules, info.modlist_paddr), (0, 0));
    }
}
