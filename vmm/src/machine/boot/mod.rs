//! Bringing a kernel into guest memory, with its initrd, its command line and the tables of its boot protocol.
#![forbid(unsafe_code)]

use linux_loader::configurator;
use vm_memory::{Bytes as _, GuestAddress, GuestMemoryError, GuestMemoryMmap};

use super::command_line::{self, CommandLine, CommandLineError};
use super::image::{ImageError, Kind, Source};
use super::layout::{COMMAND_LINE, COMMAND_LINE_ROOM, MIB, MMIO_HOLE, MemorySplit, PAGE_SIZE};
use super::quirk::Quirk;
use super::registers::Entry;

pub mod bzimage;
pub mod elf;
pub mod linux64;
pub mod notes;
pub mod pvh;

/// How a kernel is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BootProtocol {
    /// ELF with a PVH note: 32-bit protected mode, start info.
    Pvh,
    /// ELF without: long mode, `boot_params`.
    Linux64,
    /// bzImage: long mode, `boot_params` with the kernel's own header.
    BzImage,
}

/// Where the initrd lies in guest memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Initrd {
    /// Guest physical address, page-aligned.
    pub address: u64,
    /// Bytes.
    pub size: u64,
}

/// Why a kernel cannot be started in this machine.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// The image, or the initrd as a file.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The kernel needs more memory.
    #[error(
        "{name} needs memory up to {end:#x}, the machine has {have_mib} MiB: give it {need_mib} MiB or more"
    )]
    TooLittleMemory {
        /// The image.
        name: String,
        /// First address after all that it needs.
        end: u64,
        /// Memory below the hole, in MiB.
        have_mib: u64,
        /// The least that would do, in MiB.
        need_mib: u64,
    },
    /// No amount of memory would do.
    #[error(
        "{name} reaches up to {end:#x}, into the addresses kept for devices ({MMIO_HOLE:#x} to 4 GiB): link it lower"
    )]
    IntoHole {
        /// The image.
        name: String,
        /// First address after all that it needs.
        end: u64,
    },
    /// An initrd without a byte.
    #[error("initrd {name} is empty")]
    EmptyInitrd {
        /// Its path.
        name: String,
    },
    /// The initrd does not fit between the kernel and the end of memory.
    #[error(
        "initrd {name} has {size} bytes, the kernel leaves room for {room} of them between {start:#x} and {end:#x}: \
         give the machine {missing_mib} MiB more, or make the initrd smaller"
    )]
    InitrdTooBig {
        /// Its path.
        name: String,
        /// Its bytes.
        size: u64,
        /// Bytes that are free.
        room: u64,
        /// Where free memory begins.
        start: u64,
        /// Where it ends: memory, or what the kernel says it can reach.
        end: u64,
        /// How much more it would take.
        missing_mib: u64,
    },
    /// The command line.
    #[error(transparent)]
    CommandLine(#[from] CommandLineError),
    /// The protocol's tables could not be written.
    #[error("cannot write the boot tables to guest memory: {0}")]
    Tables(#[from] configurator::Error),
    /// The command line could not be written.
    #[error("cannot write the command line to guest memory: {0}")]
    Write(#[from] GuestMemoryError),
}

/// A kernel, checked against the memory of a machine; nothing has been written yet.
#[derive(Debug)]
pub struct Plan {
    kernel: Source,
    kind: Kind,
    initrd: Option<(Source, Initrd)>,
    /// What the guest will read.
    pub command_line: CommandLine,
}

/// What a machine is to start.
#[derive(Debug)]
pub struct Request<'a> {
    /// The kernel.
    pub kernel: Source,
    /// The initrd.
    pub initrd: Option<Source>,
    /// What the user wants the kernel to be told.
    pub command_line: &'a str,
    /// How many virtio devices it is told of.
    pub devices: u8,
    /// Quirk of the host: its switches are added for Linux.
    pub quirk: Option<Quirk>,
}

impl Plan {
    /// Looks at kernel and initrd, and finds a place for everything.
    ///
    /// # Errors
    /// [`BootError`]: not an image, or it does not fit.
    pub fn new(request: Request<'_>, split: MemorySplit) -> Result<Self, BootError> {
        let kind = request.kernel.identify()?;
        check_memory(request.kernel.name(), kind.end(), split)?;
        let quirk = request.quirk.filter(|_| kind.is_linux() && !request.kernel.is_embedded());
        let command_line =
            CommandLine::new(request.command_line, quirk, request.devices, kind.command_line_limit())?;
        let initrd = match request.initrd {
            None => None,
            Some(source) => {
                let place = place_initrd(&source, &kind, split)?;
                Some((source, place))
            }
        };
        Ok(Self { kernel: request.kernel, kind, initrd, command_line })
    }

    /// How the kernel is started.
    pub fn protocol(&self) -> BootProtocol {
        self.kind.protocol()
    }

    /// Where the initrd goes.
    pub fn initrd(&self) -> Option<Initrd> {
        self.initrd.as_ref().map(|(_, place)| *place)
    }

    /// How the first vCPU is entered.
    pub fn entry(&self) -> Entry {
        match &self.kind {
            Kind::BzImage(image) => Entry::Linux64 { address: image.entry() },
            Kind::Elf(elf) => match elf.pvh_entry {
                Some(address) => Entry::Pvh { address },
                None => Entry::Linux64 { address: elf.entry },
            },
        }
    }

    /// Brings everything into guest memory.
    ///
    /// # Errors
    /// [`BootError`]: a file could not be read to its end.
    pub fn load(&self, memory: &GuestMemoryMmap, split: MemorySplit) -> Result<(), BootError> {
        match &self.kind {
            Kind::BzImage(image) => {
                self.kernel.load(image.offset, image.size, memory, GuestAddress(image.address))?;
            }
            Kind::Elf(elf) => {
                for segment in elf.segments.iter().filter(|segment| segment.file_size > 0) {
                    let at = GuestAddress(segment.address);
                    self.kernel.load(segment.offset, segment.file_size, memory, at)?;
                }
            }
        }
        if let Some((source, place)) = &self.initrd {
            source.load(0, place.size, memory, GuestAddress(place.address))?;
        }
        // The NUL is there already: guest memory is zero.
        memory.write_slice(self.command_line.text.as_bytes(), GuestAddress(COMMAND_LINE))?;
        self.write_tables(memory, split)
    }

    fn write_tables(&self, memory: &GuestMemoryMmap, split: MemorySplit) -> Result<(), BootError> {
        let map = split.memory_map();
        let header = match &self.kind {
            Kind::Elf(elf) if elf.pvh_entry.is_some() => {
                return Ok(pvh::write(memory, &map, self.initrd())?);
            }
            Kind::Elf(_) => linux64::header_of_elf(),
            Kind::BzImage(image) => image.header,
        };
        Ok(linux64::write(memory, header, &map, self.command_line.text.len(), self.initrd())?)
    }
}

impl Kind {
    fn protocol(&self) -> BootProtocol {
        match self {
            Self::BzImage(_) => BootProtocol::BzImage,
            Self::Elf(elf) if elf.pvh_entry.is_some() => BootProtocol::Pvh,
            Self::Elf(_) => BootProtocol::Linux64,
        }
    }

    /// First address after all memory that the kernel needs.
    fn end(&self) -> u64 {
        match self {
            Self::Elf(elf) => elf.end(),
            Self::BzImage(image) => image.end,
        }
    }

    fn is_linux(&self) -> bool {
        match self {
            Self::Elf(elf) => elf.linux || elf.pvh_entry.is_none(),
            Self::BzImage(_) => true,
        }
    }

    fn command_line_limit(&self) -> usize {
        let limit = match self {
            Self::Elf(_) => command_line::LINUX_LIMIT,
            Self::BzImage(image) => image.command_line_limit(),
        };
        limit.min(usize::try_from(COMMAND_LINE_ROOM).unwrap_or(usize::MAX) - 1)
    }

    /// First address that the initrd may not reach.
    fn initrd_end(&self, split: MemorySplit) -> u64 {
        match self {
            Self::Elf(_) => split.low,
            Self::BzImage(image) => split.low.min(image.initrd_max().saturating_add(1)),
        }
    }
}

fn check_memory(name: &str, end: u64, split: MemorySplit) -> Result<(), BootError> {
    if end <= split.low {
        return Ok(());
    }
    let name = name.to_owned();
    if end > MMIO_HOLE {
        return Err(BootError::IntoHole { name, end });
    }
    Err(BootError::TooLittleMemory { name, end, have_mib: split.low / MIB, need_mib: end.div_ceil(MIB) })
}

/// As high as allowed, so that the kernel has the memory behind it for itself.
fn place_initrd(source: &Source, kind: &Kind, split: MemorySplit) -> Result<Initrd, BootError> {
    let (size, name) = (source.length(), source.name());
    if size == 0 {
        return Err(BootError::EmptyInitrd { name: name.to_owned() });
    }
    let start = kind.end().next_multiple_of(PAGE_SIZE);
    let end = kind.initrd_end(split);
    let address = end.checked_sub(size).map(|address| address / PAGE_SIZE * PAGE_SIZE);
    match address {
        Some(address) if address >= start => Ok(Initrd { address, size }),
        _ => {
            let room = end.saturating_sub(start);
            let missing_mib = size.saturating_sub(room).div_ceil(MIB).max(1);
            Err(BootError::InitrdTooBig { name: name.to_owned(), size, room, start, end, missing_mib })
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::super::image::source_of;
    use super::super::test_image::{CODE, ElfImage, bzimage};
    use super::*;

    fn plan(kernel: &[u8], initrd: Option<&[u8]>, memory_mib: u32) -> Result<Plan, BootError> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(initrd.unwrap_or_default()).unwrap();
        let initrd = initrd.map(|_| Source::open("initrd", file.path()).unwrap());
        let request =
            Request { kernel: source_of(kernel), initrd, command_line: "", devices: 0, quirk: None };
        Plan::new(request, MemorySplit::new(memory_mib))
    }

    fn place(kernel: &[u8], initrd: &[u8], memory_mib: u32) -> u64 {
        plan(kernel, Some(initrd), memory_mib).unwrap().initrd().unwrap().address
    }

    fn elf() -> Vec<u8> {
        ElfImage::with_code(b"code").pvh(CODE).bytes()
    }

    #[test]
    fn initrd_lies_page_aligned_at_the_top_of_memory_below_the_hole() {
        assert_eq!(place(&elf(), &[1; 5000], 64), 64 * MIB - 8192);
        assert_eq!(place(&elf(), &[1; 4096], 8192), MMIO_HOLE - 4096);
    }

    #[test]
    fn initrd_of_a_bzimage_stays_below_what_the_kernel_can_reach() {
        assert_eq!(place(&bzimage(b"code"), &[1; 4096], 3000), 0x7fff_f000);
        assert_eq!(place(&bzimage(b"code"), &[1; 4096], 64), 64 * MIB - 4096);
    }

    #[test]
    fn initrd_that_just_fits_is_taken_and_one_byte_more_is_refused_with_what_is_missing() {
        // Kernel up to 0x101000 (rounded), 2 MiB of memory: 0xff000 bytes are left.
        assert_eq!(place(&elf(), &vec![1; 0xff000], 2), 0x10_1000);
        let error = plan(&elf(), Some(&vec![1; 0xff001]), 2).unwrap_err().to_string();
        assert!(error.contains("has 1044481 bytes, the kernel leaves room for 1044480 of them"), "{error}");
        assert!(error.contains("give the machine 1 MiB more"), "{error}");
    }

    #[test]
    fn empty_initrd_is_refused() {
        let error = plan(&elf(), Some(b""), 64).unwrap_err().to_string();
        assert!(error.ends_with("is empty"), "{error}");
    }

    #[test]
    fn kernel_that_needs_more_memory_is_refused_with_how_much() {
        let kernel = ElfImage::with_code(b"code").segment(0x200_0000, b"x", 0x10_0000).bytes();
        let error = plan(&kernel, None, 32).unwrap_err().to_string();
        assert!(
            error.contains("needs memory up to 0x2100001, the machine has 32 MiB: give it 34 MiB"),
            "{error}"
        );
        assert!(plan(&kernel, None, 34).is_ok());
        // A bzImage needs room to unpack itself: 16 MiB (preferred address) and 1 MiB.
        assert!(matches!(
            plan(&bzimage(b"x"), None, 16),
            Err(BootError::TooLittleMemory { need_mib: 17, .. })
        ));
        assert!(plan(&bzimage(b"x"), None, 17).is_ok());
    }

    #[test]
    fn kernel_that_reaches_into_the_hole_is_refused_whatever_the_memory() {
        let kernel = ElfImage::with_code(b"code").segment(MMIO_HOLE - 1, b"xy", 0).bytes();
        assert!(matches!(plan(&kernel, None, 8192), Err(BootError::IntoHole { .. })));
        let kernel = ElfImage::with_code(b"code").segment(1 << 32, b"xy", 0).bytes();
        assert!(matches!(plan(&kernel, None, 8192), Err(BootError::IntoHole { .. })));
    }

    #[test]
    fn command_line_limit_is_the_kernel_s_own() {
        let with_limit = |limit: u32| {
            let mut kernel = bzimage(b"code");
            kernel[0x238..0x23c].copy_from_slice(&limit.to_le_bytes());
            source_of(&kernel).identify().unwrap().command_line_limit()
        };
        assert_eq!(with_limit(255), 255);
        assert_eq!(with_limit(u32::MAX), 65535, "the room below the MP table");
        assert_eq!(source_of(&elf()).identify().unwrap().command_line_limit(), 2047);
    }
}
