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
