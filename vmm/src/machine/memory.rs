//! Guest memory: anonymous mappings of this process, given to KVM as memory slots.

use std::fs;
use std::io;

use kvm_bindings::kvm_userspace_memory_region;
use kvm_ioctls::VmFd;
use rustix::mm::Advice;
use vm_memory::mmap::{MmapRegionBuilder, MmapRegionError};
use vm_memory::{
    Address, GuestAddress, GuestMemoryBackend, GuestMemoryMmap, GuestMemoryRegion, GuestRegionMmap,
};

use super::layout::{MIB, MMIO_HOLE_END, MemorySplit};

/// Least memory of a machine, in MiB: the tables below 1 MiB and some room for a kernel above.
pub const MIN_MEMORY_MIB: u32 = 2;

/// Bytes of the pages that [`HugePages::Explicit2M`] takes.
const HUGE_PAGE: u64 = 2 * MIB;

/// Which pages of the host back the guest's memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HugePages {
    /// Base pages, each taken from the host when it is first touched, also where the host's default is huge pages.
    #[default]
    Off,
    /// Huge pages wherever the kernel can make them (`madvise(MADV_HUGEPAGE)`).
    Transparent,
    /// 2 MiB pages from the pool that the administrator reserved (`MAP_HUGETLB`), all of them taken at the start.
    Explicit2M,
}

/// Why guest memory could not be made.
#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    /// Less than [`MIN_MEMORY_MIB`].
    #[error(
        "a machine with {memory_mib} MiB of memory cannot start anything: give it {MIN_MEMORY_MIB} MiB or more"
    )]
    TooSmall {
        /// What was asked for.
        memory_mib: u32,
    },
    /// The guest could not address all of it.
    #[error(
        "{memory_mib} MiB of memory would end beyond the {address_bits} address bits of this host's processors: \
         give the machine {max_mib} MiB or less"
    )]
    BeyondAddressWidth {
        /// What was asked for.
        memory_mib: u32,
        /// Physical address bits of the host (CPUID leaf `0x8000_0008`, EAX bits 7 to 0).
        address_bits: u8,
        /// The most that fits.
        max_mib: u64,
    },
    /// 2 MiB pages do not divide it.
    #[error("{memory_mib} MiB of memory cannot be made of 2 MiB pages: give an even number")]
    OddForHugePages {
        /// What was asked for.
        memory_mib: u32,
    },
    /// The pool of 2 MiB pages has too few.
    #[error(
        "no {needed} free huge pages of 2 MiB for the guest's memory ({free} are free): \
         reserve them with `echo N > /proc/sys/vm/nr_hugepages`, or use other pages"
    )]
    HugePagePool {
        /// Pages the guest needs.
        needed: u64,
        /// Pages the kernel says are free.
        free: u64,
        /// What mmap answered.
        source: MmapRegionError,
    },
    /// mmap refused.
    #[error(
        "cannot map {size} bytes for guest memory: {source}; give the machine less memory, or raise the limit (ulimit -v)"
    )]
    Map {
        /// Bytes asked for.
        size: u64,
        /// What mmap answered.
        source: MmapRegionError,
    },
    /// Regions overlap or wrap: cannot happen with a split made by [`MemorySplit`].
    #[error("guest memory at {start:#x} does not fit the address space")]
    Region {
        /// Guest physical address.
        start: u64,
    },
    /// madvise refused.
    #[error("cannot {what} for guest memory: {source}")]
    Advise {
        /// What was asked.
        what: &'static str,
        /// What madvise answered.
        source: io::Error,
    },
    /// KVM refused a slot.
    #[error("KVM does not take {size} bytes of memory at guest address {start:#x}: {source}")]
    Slot {
        /// Guest physical address.
        start: u64,
        /// Bytes.
        size: u64,
        /// What `KVM_SET_USER_MEMORY_REGION` answered.
        source: kvm_ioctls::Error,
    },
}

/// Checks a size against what a machine needs and the host can address.
///
/// # Errors
/// [`MemoryError::TooSmall`], [`MemoryError::BeyondAddressWidth`], [`MemoryError::OddForHugePages`].
pub fn check_size(memory_mib: u32, pages: HugePages, address_bits: u8) -> Result<MemorySplit, MemoryError> {
    if memory_mib < MIN_MEMORY_MIB {
        return Err(MemoryError::TooSmall { memory_mib });
    }
    if pages == HugePages::Explicit2M && !memory_mib.is_multiple_of(2) {
        return Err(MemoryError::OddForHugePages { memory_mib });
    }
    let split = MemorySplit::new(memory_mib);
    let limit = 1u64.checked_shl(u32::from(address_bits)).unwrap_or(u64::MAX);
    if split.end() > limit {
        let hole = MMIO_HOLE_END - super::layout::MMIO_HOLE;
        let max_mib = limit.saturating_sub(hole) / MIB;
        return Err(MemoryError::BeyondAddressWidth { memory_mib, address_bits, max_mib });
    }
    Ok(split)
}

/// Maps memory for the guest; no page of it is touched. It is left out of core dumps.
///
/// # Errors
/// [`MemoryError`]: the host has no such memory.
pub fn map(split: MemorySplit, pages: HugePages) -> Result<GuestMemoryMmap, MemoryError> {
    let whole = |error| match error {
        // Both regions come from the pool, and the user has to fill it for both.
        MemoryError::HugePagePool { free, source, .. } => {
            MemoryError::HugePagePool { needed: (split.low + split.high) / HUGE_PAGE, free, source }
        }
        other => other,
    };
    let mut regions = vec![map_region(0, split.low, pages).map_err(whole)?];
    if split.high > 0 {
        regions.push(map_region(MMIO_HOLE_END, split.high, pages).map_err(whole)?);
    }
    GuestMemoryMmap::from_regions(regions).map_err(|_| MemoryError::Region { start: MMIO_HOLE_END })
}

fn map_region(start: u64, size: u64, pages: HugePages) -> Result<GuestRegionMmap, MemoryError> {
    let base = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // MAP_NORESERVE lets memory be overcommitted, as for any process. Not for huge pages: there the reservation
    // is what turns a pool that is too small into an error here instead of a SIGBUS while the guest runs.
    let flags = match pages {
        HugePages::Explicit2M => base | libc::MAP_HUGETLB | libc::MAP_HUGE_2MB,
        HugePages::Off | HugePages::Transparent => base | libc::MAP_NORESERVE,
    };
    let length = usize::try_from(size).map_err(|_| MemoryError::Region { start })?;
    let mapping = MmapRegionBuilder::new(length)
        .with_mmap_prot(libc::PROT_READ | libc::PROT_WRITE)
        .with_mmap_flags(flags)
        .with_hugetlbfs(pages == HugePages::Explicit2M)
        .build()
        .map_err(|source| match pages {
            HugePages::Explicit2M => {
                MemoryError::HugePagePool { needed: size / HUGE_PAGE, free: free_huge_pages(), source }
            }
            _ => MemoryError::Map { size, source },
        })?;
    let region = GuestRegionMmap::new(mapping, GuestAddress(start)).ok_or(MemoryError::Region { start })?;
    advise(&region, Advice::LinuxDontDump)
        .map_err(|source| MemoryError::Advise { what: "turn core dumps off", source: source.into() })?;
    match pages {
        HugePages::Explicit2M => {}
        HugePages::Transparent => advise(&region, Advice::LinuxHugepage).map_err(|source| {
            MemoryError::Advise { what: "ask for transparent huge pages", source: source.into() }
        })?,
        HugePages::Off => match advise(&region, Advice::LinuxNoHugepage) {
            // A kernel built without transparent huge pages answers EINVAL, and has none to turn off.
            Ok(()) | Err(rustix::io::Errno::INVAL) => {}
            Err(source) => {
                return Err(MemoryError::Advise { what: "turn huge pages off", source: source.into() });
            }
        },
    }
    Ok(region)
}

fn advise(region: &GuestRegionMmap, advice: Advice) -> rustix::io::Result<()> {
    let mapping = region.get_mmap();
    // SAFETY: pointer and length are those of a mapping that `region` owns, and none of the advices used here
    // (DONTDUMP, HUGEPAGE, NOHUGEPAGE) changes what the memory holds.
    unsafe { rustix::mm::madvise(mapping.as_ptr().cast(), mapping.size(), advice) }
}

/// Free 2 MiB pages in the host's pool; 0 where the kernel does not say.
fn free_huge_pages() -> u64 {
    fs::read_to_string("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages")
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(0)
}

/// Gives the memory to the virtual machine, one slot a region.
///
/// The caller keeps `memory` as long as the machine runs: KVM does not hold the mappings.
/// # Errors
/// [`MemoryError::Slot`].
pub fn give_to(vm: &VmFd, memory: &GuestMemoryMmap) -> Result<(), MemoryError> {
    for (slot, region) in (0..).zip(memory.iter()) {
        let start = region.start_addr().raw_value();
        let size = region.len();
        let slot = kvm_userspace_memory_region {
            slot,
            flags: 0,
            guest_phys_addr: start,
            memory_size: size,
            userspace_addr: region.get_mmap().as_ptr() as u64,
        };
        // SAFETY: the address and size are those of a live private mapping used for nothing but guest memory; it
        // is unmapped only when `memory` is dropped, which `Machine` does after the VM, and if it were earlier
        // the guest would get a memory fault, not other memory, as nothing maps with MAP_FIXED.
        unsafe { vm.set_user_memory_region(slot) }.map_err(|source| MemoryError::Slot {
            start,
            size,
            source,
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use vm_memory::Bytes;

    #[test]
    fn memory_of_zero_or_one_mib_is_refused_with_the_least_size() {
        for memory_mib in [0, 1] {
            let error = check_size(memory_mib, HugePages::Off, 48).unwrap_err();
            assert!(error.to_string().contains("give it 2 MiB or more"), "{error}");
        }
    }

    #[test]
    fn memory_that_ends_beyond_the_address_bits_is_refused_with_the_most_that_fits() {
        // 36 bits: 64 GiB of addresses, 1 GiB of them the hole.
        assert_eq!(check_size(64 * 1024 - 1024, HugePages::Off, 36).unwrap().end(), 1 << 36);
        let error = check_size(64 * 1024 - 1023, HugePages::Off, 36).unwrap_err();
        assert!(error.to_string().contains("give the machine 64512 MiB or less"), "{error}");
    }

    #[test]
    fn odd_memory_cannot_be_made_of_2_mib_pages() {
        assert!(matches!(
            check_size(129, HugePages::Explicit2M, 48),
            Err(MemoryError::OddForHugePages { .. })
        ));
        assert!(check_size(130, HugePages::Explicit2M, 48).is_ok());
    }

    #[test]
    fn memory_is_two_regions_with_a_hole_between() {
        let memory = map(MemorySplit::new(4608), HugePages::Off).unwrap();
        memory.write_obj(7u8, GuestAddress(super::super::layout::MMIO_HOLE - 1)).unwrap();
        memory.write_obj(7u8, GuestAddress(1 << 32)).unwrap();
        memory.write_obj(7u8, GuestAddress(super::super::layout::MMIO_HOLE)).unwrap_err();
        memory.write_obj(7u8, GuestAddress((1 << 32) - 1)).unwrap_err();
    }

    #[test]
    fn mapped_memory_is_left_out_of_core_dumps() {
        let memory = map(MemorySplit::new(16), HugePages::Off).unwrap();
        let address = memory.get_host_address(GuestAddress(0)).unwrap() as usize;
        let smaps = fs::read_to_string("/proc/self/smaps").unwrap();
        let flags = smaps
            .split("\nVmFlags:")
            .zip(smaps.split("\nVmFlags:").skip(1))
            .find(|(header, _)| header.contains(&format!("\n{address:x}-")))
            .map(|(_, flags)| flags.lines().next().unwrap_or_default())
            .expect("the mapping is its own line in smaps");
        assert!(flags.split_whitespace().any(|flag| flag == "dd"), "{flags}");
    }

    #[test]
    fn pool_without_enough_huge_pages_is_an_error_that_says_how_to_fill_it() {
        let needed = free_huge_pages() + 1;
        let memory_mib = u32::try_from(needed * 2).unwrap().max(2);
        let error = map(MemorySplit::new(memory_mib), HugePages::Explicit2M).unwrap_err();
        assert!(error.to_string().contains("/proc/sys/vm/nr_hugepages"), "{error}");
    }
}
