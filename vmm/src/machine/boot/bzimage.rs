//! bzImage, the format of Linux kernels that unpack themselves, entered by the 64-bit boot protocol.
//!
//! Source: Linux Documentation/arch/x86/boot.rst, whose field names are kept.
#![forbid(unsafe_code)]

use linux_loader::loader::bootparam::setup_header;
use vm_memory::ByteValued as _;

use super::super::layout::{HIGH_MEMORY, PAGE_SIZE};

/// Place of the setup header in the file, and of the fields that say how long it is.
const SETUP_HEADER: usize = 0x1f1;
const BOOT_FLAG: usize = 0x1fe;
const JUMP_OFFSET: usize = 0x201;
const MAGIC: usize = 0x202;

/// Protocol 2.12 (Linux 3.8), the first with `xloadflags`.
const MIN_VERSION: u16 = 0x020c;
/// `XLF_KERNEL_64`: there is a 64-bit entry, 0x200 bytes after the 32-bit one.
const XLF_KERNEL_64: u16 = 1;
const ENTRY_64: u64 = 0x200;
/// `LOADED_HIGH`: the protected-mode part belongs at 1 MiB or above.
const LOADED_HIGH: u8 = 1;
/// Bytes of a sector, and sectors where `setup_sects` is 0.
const SECTOR: u64 = 512;
const DEFAULT_SETUP_SECTORS: u8 = 4;

/// A checked bzImage.
#[derive(Clone, Debug)]
pub struct BzImage {
    /// The setup header as it stands in the file, without what lies beyond its own length.
    pub header: setup_header,
    /// Where the protected-mode part begins in the file.
    pub offset: u64,
    /// Its bytes.
    pub size: u64,
    /// Guest physical address it is loaded at (`code32_start`).
    pub address: u64,
    /// First address that the kernel does not use while it unpacks itself, its BSS included.
    pub end: u64,
}

/// Why a bzImage cannot be run.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BzImageError {
    /// The file ends too early.
    #[error("it is cut short: {what} would end at byte {end}, the file has {length}")]
    CutShort {
        /// Which part.
        what: &'static str,
        /// Where it would end.
        end: u64,
        /// The file's length.
        length: u64,
    },
    /// Before 2.12.
    #[error(
        "its boot protocol is {}.{:02}, the 64-bit entry needs 2.12: use a kernel of Linux 3.8 or later",
        version >> 8, version & 0xff
    )]
    Version {
        /// `version`.
        version: u16,
    },
    /// No 64-bit entry.
    #[error("it has no 64-bit entry (XLF_KERNEL_64 is off): it is a 32-bit kernel, build it for x86-64")]
    Not64Bit,
    /// A zImage.
    #[error("it is a zImage, to be loaded below 1 MiB (LOADED_HIGH is off): build a bzImage")]
    LoadedLow,
    /// Load address, preferred address or size make no sense.
    #[error("its setup header is not usable: {field} is {value:#x}")]
    Field {
        /// Name of the field.
        field: &'static str,
        /// What it says.
        value: u64,
    },
}

/// Whether `head`, the first bytes of a file, is that of a Linux kernel: `boot_flag` and `header` of the setup header.
pub fn is_bzimage(head: &[u8]) -> bool {
    head.get(BOOT_FLAG..BOOT_FLAG + 2) == Some(&[0x55, 0xaa]) && head.get(MAGIC..MAGIC + 4) == Some(b"HdrS")
}

impl BzImage {
    /// Checks the setup header in `head`, the first bytes of a file of `length` bytes.
    ///
    /// # Errors
    /// [`BzImageError`].
    pub fn parse(head: &[u8], length: u64) -> Result<Self, BzImageError> {
        let header = setup_header_of(head, length)?;
        let version = header.version;
        if version < MIN_VERSION {
            return Err(BzImageError::Version { version });
        }
        if header.xloadflags & XLF_KERNEL_64 == 0 {
            return Err(BzImageError::Not64Bit);
        }
        if header.loadflags & LOADED_HIGH == 0 {
            return Err(BzImageError::LoadedLow);
        }
        let sectors = if header.setup_sects == 0 { DEFAULT_SETUP_SECTORS } else { header.setup_sects };
        let offset = (u64::from(sectors) + 1) * SECTOR;
        // `syssize` counts 16 bytes; what follows in the file (a signature) is not part of the kernel.
        let size = u64::from(header.syssize) * 16;
        if offset + size > length {
            return Err(BzImageError::CutShort { what: "the kernel", end: offset + size, length });
        }
        if size <= ENTRY_64 {
            return Err(BzImageError::Field { field: "syssize", value: header.syssize.into() });
        }
        let address = u64::from(header.code32_start);
        if address < HIGH_MEMORY || !address.is_multiple_of(PAGE_SIZE) {
            return Err(BzImageError::Field { field: "code32_start", value: address });
        }
        let end = end_of(&header, address, size)?;
        Ok(Self { header, offset, size, address, end })
    }

    /// Address of the first instruction.
    pub fn entry(&self) -> u64 {
        self.address + ENTRY_64
    }

    /// The most characters that the kernel takes as its command line, without the NUL.
    pub fn command_line_limit(&self) -> usize {
        usize::try_from(self.header.cmdline_size).unwrap_or(usize::MAX)
    }

    /// The last address that may hold a byte of the initrd.
    pub fn initrd_max(&self) -> u64 {
        self.header.initrd_addr_max.into()
    }
}

/// The setup header, which is as long as the jump over it says (boot.rst, "the ending limit of this header").
fn setup_header_of(head: &[u8], length: u64) -> Result<setup_header, BzImageError> {
    let jump = head.get(JUMP_OFFSET).copied().unwrap_or_default();
    let end = (MAGIC + usize::from(jump)).min(SETUP_HEADER + size_of::<setup_header>());
    let bytes = head.get(SETUP_HEADER..end).ok_or(BzImageError::CutShort {
        what: "the setup header",
        end: end as u64,
        length,
    })?;
    let mut header = setup_header::default();
    header.as_mut_slice()[..bytes.len()].copy_from_slice(bytes);
    Ok(header)
}

/// Where the kernel ends while it runs: it unpacks itself where it was loaded, rounded up to its alignment, but not
/// below `pref_address`, and takes `init_size` bytes there (boot.rst, "`init_size`").
fn end_of(header: &setup_header, address: u64, size: u64) -> Result<u64, BzImageError> {
    let (preferred, init_size) = (header.pref_address, u64::from(header.init_size));
    let alignment = u64::from(header.kernel_alignment);
    if !alignment.is_power_of_two() {
        return Err(BzImageError::Field { field: "kernel_alignment", value: alignment });
    }
    let start = if header.relocatable_kernel == 0 {
        preferred
    } else {
        address.next_multiple_of(alignment).max(preferred)
    };
    let end = start
        .checked_add(init_size)
        .ok_or(BzImageError::Field { field: "pref_address", value: preferred })?;
    Ok(end.max(address + size))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::machine::test_image::bzimage;

    fn parse(file: &[u8]) -> Result<BzImage, BzImageError> {
        BzImage::parse(&file[..file.len().min(4096)], file.len() as u64)
    }

    /// What parsing says after `bytes` were put at `at`.
    fn with(at: usize, bytes: &[u8]) -> Result<BzImage, BzImageError> {
        let mut file = bzimage(b"code");
        file[at..at + bytes.len()].copy_from_slice(bytes);
        parse(&file)
    }

    #[test]
    fn kernel_is_what_syssize_says_and_not_what_follows_it() {
        let mut file = bzimage(b"code");
        let kernel = file.len() as u64 - 1024;
        file.extend(b"a signature");
        let image = parse(&file).unwrap();
        assert_eq!((image.offset, image.size), (1024, kernel));
        assert_eq!((image.address, image.entry()), (0x10_0000, 0x10_0200));
    }

    #[test]
    fn kernel_s_end_counts_from_where_it_unpacks_itself() {
        // Relocatable: at its load address, aligned, or its preferred one if that is higher (16 MiB here), for 1 MiB.
        assert_eq!(bzimage_end(|_| {}), 0x110_0000);
        assert_eq!(bzimage_end(|file| file[0x258..0x260].fill(0)), 0x20_0000 + 0x10_0000);
        // Not relocatable: at its preferred address, also where that is lower.
        assert_eq!(
            bzimage_end(|file| {
                file[0x234] = 0;
                file[0x258..0x25c].copy_from_slice(&0x18_0000u32.to_le_bytes());
            }),
            0x28_0000
        );
    }

    fn bzimage_end(change: impl FnOnce(&mut [u8])) -> u64 {
        let mut file = bzimage(b"code");
        change(&mut file);
        parse(&file).unwrap().end
    }

    #[test]
    fn hostile_fields_are_refused_each_with_its_reason() {
        let cases = [
            (0x206, &[0x0b, 0x02][..], "its boot protocol is 2.11, the 64-bit entry needs 2.12"),
            (0x236, &[0], "it has no 64-bit entry"),
            (0x211, &[0], "it is a zImage"),
            (0x1f1, &[0xff], "it is cut short: the kernel would end at byte"),
            (0x1f4, &[0xff; 4], "it is cut short: the kernel would end at byte"),
            (0x1f4, &[0x20, 0, 0, 0], "its setup header is not usable: syssize is 0x20"),
            (0x214, &[0, 0, 0x0f, 0], "its setup header is not usable: code32_start is 0xf0000"),
            (0x214, &[1, 0, 0x10, 0], "its setup header is not usable: code32_start is 0x100001"),
            (0x230, &[3, 0, 0, 0], "its setup header is not usable: kernel_alignment is 0x3"),
            (0x230, &[0, 0, 0, 0], "its setup header is not usable: kernel_alignment is 0x0"),
            (0x258, &[0xff; 8], "its setup header is not usable: pref_address is 0xffffffffffffffff"),
        ];
        for (at, bytes, reason) in cases {
            let error = with(at, bytes).unwrap_err().to_string();
            assert!(error.starts_with(reason), "{at:#x}: {error}");
        }
    }

    #[test]
    fn fields_beyond_the_header_s_own_end_are_not_read() {
        // A jump of 0x40 ends the header at 0x242: preferred address and size lie behind it.
        let image = with(JUMP_OFFSET, &[0x40]).unwrap();
        let (preferred, init_size) = (image.header.pref_address, image.header.init_size);
        assert_eq!((preferred, init_size), (0, 0));
    }

    #[test]
    fn file_cut_short_anywhere_is_refused_or_not_taken_for_a_kernel() {
        let file = bzimage(b"code");
        for length in 0..file.len() {
            assert!(!is_bzimage(&file[..length]) || parse(&file[..length]).is_err(), "{length} bytes");
        }
    }

    proptest! {
        #[test]
        fn no_setup_header_makes_the_parser_panic(
            header in proptest::collection::vec(any::<u8>(), 0x80), length in any::<u64>()
        ) {
            let mut file = bzimage(b"code");
            file[SETUP_HEADER..SETUP_HEADER + 0x80].copy_from_slice(&header);
            if let Ok(image) = BzImage::parse(&file, length) {
                prop_assert!(image.offset + image.size <= length);
                prop_assert!(image.address + image.size <= image.end);
            }
        }
    }
}
