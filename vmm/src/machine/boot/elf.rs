//! ELF64 kernels: which parts go where, where they are entered, and whether they are Linux.
//!
//! Every field is checked here before a byte of guest memory is touched. The structures are those of the System V ABI,
//! "Object Files" (gABI 4.1, chapters 4 and 5), little-endian.
#![forbid(unsafe_code)]

use std::io;

use super::super::image::Source;
use super::super::layout::HIGH_MEMORY;
use super::notes::{self, Notes};

/// First bytes of every ELF file (`ELFMAG`).
pub const MAGIC: &[u8] = b"\x7fELF";

/// Sizes of an ELF64 file header and of a program header (`Elf64_Ehdr`, `Elf64_Phdr`).
const FILE_HEADER_SIZE: usize = 64;
const PROGRAM_HEADER_SIZE: usize = 56;

/// The most bytes of program headers that are read: Linux' own limit for programs (`load_elf_phdrs`, `fs/binfmt_elf.c`).
const MAX_PROGRAM_HEADERS_SIZE: usize = 65536;

/// The most bytes of one note segment that are read; a kernel's notes take some hundreds.
const MAX_NOTES_SIZE: u64 = 65536;

/// `EM_X86_64`.
const MACHINE_X86_64: u16 = 62;

/// A part of the file that goes into memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Where it begins in the file.
    pub offset: u64,
    /// Bytes in the file.
    pub file_size: u64,
    /// Guest physical address.
    pub address: u64,
    /// Bytes in memory; those beyond `file_size` are zero.
    pub memory_size: u64,
}

impl Segment {
    /// First address after the segment; it fits, as `parse` checked.
    pub fn end(&self) -> u64 {
        self.address + self.memory_size
    }

    fn contains(&self, address: u64) -> bool {
        (self.address..self.end()).contains(&address)
    }
}

/// A checked ELF64 kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elf {
    /// Segments in ascending order of address, without overlap, all above 1 MiB.
    pub segments: Vec<Segment>,
    /// `e_entry`, in one of the segments unless there is a PVH entry.
    pub entry: u64,
    /// Entry for the PVH protocol, in one of the segments.
    pub pvh_entry: Option<u32>,
    /// Whether it carries Linux' own notes.
    pub linux: bool,
}

/// Why an ELF file cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum ElfError {
    /// The file ends inside its headers.
    #[error("it is cut short: {what} would end at byte {end}, the file has {length}")]
    CutShort {
        /// Which part.
        what: &'static str,
        /// Where it would end.
        end: u64,
        /// The file's length.
        length: u64,
    },
    /// Not 64-bit.
    #[error("it is a 32-bit ELF file: build the kernel for x86-64")]
    Not64Bit,
    /// Not little-endian.
    #[error("it is a big-endian ELF file: build the kernel for x86-64")]
    BigEndian,
    /// For another processor.
    #[error("it is for {}, not x86-64", machine_name(*machine))]
    WrongMachine {
        /// `e_machine`.
        machine: u16,
    },
    /// An object file, a core dump.
    #[error("it is not an executable ELF file (its type is {found}): link it first")]
    NotExecutable {
        /// `e_type`.
        found: u16,
    },
    /// An ordinary program.
    #[error(
        "it is a program for Linux user space (it asks for an interpreter, or has the mark of a C library), not a kernel"
    )]
    UserProgram,
    /// No or too many program headers, or of an unknown size.
    #[error("its program headers are not usable: {count} of {size} bytes each")]
    ProgramHeaders {
        /// `e_phnum`.
        count: u16,
        /// `e_phentsize`.
        size: u16,
    },
    /// Nothing to load.
    #[error("it has no segment to load")]
    NothingToLoad,
    /// Bytes in the file exceed those in memory, or the address wraps.
    #[error(
        "its segment {index} is not usable: {file_size:#x} bytes of the file, {memory_size:#x} in memory at {address:#x}"
    )]
    Segment {
        /// Number of the program header, from 0.
        index: usize,
        /// `p_paddr`.
        address: u64,
        /// `p_filesz`.
        file_size: u64,
        /// `p_memsz`.
        memory_size: u64,
    },
    /// A segment where the monitor puts its own tables.
    #[error(
        "its segment at {address:#x} lies below 1 MiB, where the boot tables are: link the kernel at 1 MiB or above"
    )]
    BelowHighMemory {
        /// `p_paddr`.
        address: u64,
    },
    /// Two segments on one place.
    #[error("its segments at {first:#x} and {second:#x} overlap in memory")]
    Overlap {
        /// The one that begins first.
        first: u64,
        /// The other.
        second: u64,
    },
    /// An entry outside what is loaded.
    #[error("its {protocol} entry {entry:#x} lies in none of its segments")]
    Entry {
        /// "PVH" or "64-bit".
        protocol: &'static str,
        /// The address.
        entry: u64,
    },
    /// A note segment that is too large, or a PVH note that is no 32-bit address.
    #[error("its notes are not usable: {0}")]
    Notes(#[from] notes::NotesError),
    /// Reading failed.
    #[error("cannot read it: {0}")]
    Read(#[from] io::Error),
}

/// Names of the machines that people have kernels for (gABI, `e_machine`).
fn machine_name(machine: u16) -> String {
    match machine {
        3 => "32-bit x86".to_owned(),
        8 => "MIPS".to_owned(),
        21 => "64-bit PowerPC".to_owned(),
        22 => "S/390".to_owned(),
        40 => "32-bit ARM".to_owned(),
        183 => "64-bit ARM (aarch64)".to_owned(),
        243 => "RISC-V".to_owned(),
        258 => "LoongArch".to_owned(),
        other => format!("the machine with ELF number {other}"),
    }
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(std::array::from_fn(|i| bytes[at + i]))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(std::array::from_fn(|i| bytes[at + i]))
}

impl Elf {
    /// Reads and checks the headers of `source`, of which `head` holds the first bytes.
    ///
    /// # Errors
    /// [`ElfError`].
    pub fn parse(source: &Source, head: &[u8]) -> Result<Self, ElfError> {
        let header = head.get(..FILE_HEADER_SIZE).ok_or(ElfError::CutShort {
            what: "the file header",
            end: FILE_HEADER_SIZE as u64,
            length: source.length(),
        })?;
        check_file_header(header)?;
        let entry = u64_at(header, 24);
        let table = program_headers(source, head, header)?;
        let mut segments = Vec::new();
        let mut notes = Notes::default();
        for (index, header) in table.chunks_exact(PROGRAM_HEADER_SIZE).enumerate() {
            match u32_at(header, 0) {
                1 /* PT_LOAD */ => segments.extend(segment(source, index, header)?),
                3 /* PT_INTERP */ => return Err(ElfError::UserProgram),
                4 /* PT_NOTE */ => read_notes(source, header, &mut notes)?,
                _ => {}
            }
        }
        if notes.user_program {
            return Err(ElfError::UserProgram);
        }
        let elf =
            Self { segments: in_order(segments)?, entry, pvh_entry: notes.pvh_entry, linux: notes.linux };
        elf.check_entry()?;
        Ok(elf)
    }

    /// First address after all segments.
    pub fn end(&self) -> u64 {
        self.segments.last().map_or(0, Segment::end)
    }

    fn check_entry(&self) -> Result<(), ElfError> {
        let (protocol, entry) = match self.pvh_entry {
            Some(entry) => ("PVH", u64::from(entry)),
            None => ("64-bit", self.entry),
        };
        if self.segments.iter().any(|segment| segment.contains(entry)) {
            Ok(())
        } else {
            Err(ElfError::Entry { protocol, entry })
        }
    }
}

/// Checks the fields that say what kind of ELF file it is; `header` has [`FILE_HEADER_SIZE`] bytes.
fn check_file_header(header: &[u8]) -> Result<(), ElfError> {
    // EI_CLASS (2 is ELFCLASS64), EI_DATA (1 is ELFDATA2LSB).
    if header[4] != 2 {
        return Err(ElfError::Not64Bit);
    }
    if header[5] != 1 {
        return Err(ElfError::BigEndian);
    }
    let machine = u16_at(header, 18);
    if machine != MACHINE_X86_64 {
        return Err(ElfError::WrongMachine { machine });
    }
    // ET_EXEC or ET_DYN.
    let found = u16_at(header, 16);
    if found != 2 && found != 3 {
        return Err(ElfError::NotExecutable { found });
    }
    Ok(())
}

fn program_headers(source: &Source, head: &[u8], header: &[u8]) -> Result<Vec<u8>, ElfError> {
    let (offset, size, count) = (u64_at(header, 32), u16_at(header, 54), u16_at(header, 56));
    let length = usize::from(count) * PROGRAM_HEADER_SIZE;
    if usize::from(size) != PROGRAM_HEADER_SIZE || count == 0 || length > MAX_PROGRAM_HEADERS_SIZE {
        return Err(ElfError::ProgramHeaders { count, size });
    }
    in_file(source, "the program headers", offset, length as u64)?;
    let start = usize::try_from(offset).unwrap_or(usize::MAX);
    match head.get(start..start.saturating_add(length)) {
        Some(bytes) => Ok(bytes.to_vec()),
        None => Ok(source.read(offset, length)?),
    }
}

/// Checks that a part of the file lies in the file.
fn in_file(source: &Source, what: &'static str, offset: u64, length: u64) -> Result<(), ElfError> {
    let end = offset.saturating_add(length);
    if end > source.length() {
        return Err(ElfError::CutShort { what, end, length: source.length() });
    }
    Ok(())
}

/// A `PT_LOAD` header, checked by itself; none if it takes no memory.
fn segment(source: &Source, index: usize, header: &[u8]) -> Result<Option<Segment>, ElfError> {
    let (offset, address) = (u64_at(header, 8), u64_at(header, 24));
    let (file_size, memory_size) = (u64_at(header, 32), u64_at(header, 40));
    if file_size > memory_size || address.checked_add(memory_size).is_none() {
        return Err(ElfError::Segment { index, address, file_size, memory_size });
    }
    if memory_size == 0 {
        return Ok(None);
    }
    in_file(source, "a segment", offset, file_size)?;
    Ok(Some(Segment { offset, file_size, address, memory_size }))
}

fn in_order(mut segments: Vec<Segment>) -> Result<Vec<Segment>, ElfError> {
    segments.sort_by_key(|segment| segment.address);
    let Segment { address, .. } = *segments.first().ok_or(ElfError::NothingToLoad)?;
    if address < HIGH_MEMORY {
        return Err(ElfError::BelowHighMemory { address });
    }
    match segments.windows(2).find(|pair| pair[0].end() > pair[1].address) {
        Some(pair) => Err(ElfError::Overlap { first: pair[0].address, second: pair[1].address }),
        None => Ok(segments),
    }
}

fn read_notes(source: &Source, header: &[u8], notes: &mut Notes) -> Result<(), ElfError> {
    let (offset, length, align) = (u64_at(header, 8), u64_at(header, 32), u64_at(header, 48));
    in_file(source, "a note segment", offset, length)?;
    if length > MAX_NOTES_SIZE {
        return Err(notes::NotesError::TooLarge { length }.into());
    }
    let bytes = source.read(offset, usize::try_from(length).unwrap_or_default())?;
    notes.add(&bytes, align)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::super::image::source_of;
    use super::super::super::test_image::{CODE, ElfImage};
    use super::*;

    fn parse(bytes: &[u8]) -> Result<Elf, ElfError> {
        Elf::parse(&source_of(bytes), &bytes[..bytes.len().min(4096)])
    }

    fn good() -> Vec<u8> {
        ElfImage::with_code(b"code").pvh(CODE).segment(0x20_0000, b"data", 0x1000).bytes()
    }

    /// What parsing says after `bytes` were put at `at`.
    fn with(at: usize, bytes: &[u8]) -> String {
        let mut file = good();
        file[at..at + bytes.len()].copy_from_slice(bytes);
        match parse(&file) {
            Ok(elf) => format!("{elf:x?}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn segments_come_in_order_with_their_sizes() {
        let file =
            ElfImage::with_code(b"code").segment(0x40_0000, b"x", 0).segment(0x20_0000, b"data", 8).bytes();
        let elf = parse(&file).unwrap();
        let places: Vec<_> = elf.segments.iter().map(|s| (s.address, s.file_size, s.memory_size)).collect();
        assert_eq!(places, [(0x10_0000, 4, 4), (0x20_0000, 4, 12), (0x40_0000, 1, 1)]);
        assert_eq!((elf.end(), elf.entry, elf.pvh_entry), (0x40_0001, CODE.into(), None));
    }

    #[test]
    fn hostile_fields_are_refused_each_with_its_reason() {
        // Offsets: 4 class, 5 data, 16 type, 18 machine, 32 e_phoff, 54 e_phentsize, 56 e_phnum; the first program
        // header at 64 (its p_offset at 72, p_paddr 88, p_filesz 96, p_memsz 104), the note's at 120, the next at 176.
        let all = &[0xff; 8][..];
        let cases = [
            (4, &[1][..], "it is a 32-bit ELF file"),
            (5, &[2], "it is a big-endian ELF file"),
            (16, &[1, 0], "it is not an executable ELF file (its type is 1)"),
            (18, &[183, 0], "it is for 64-bit ARM (aarch64), not x86-64"),
            (18, &[0xff, 0xff], "it is for the machine with ELF number 65535, not x86-64"),
            (32, all, "it is cut short: the program headers would end at byte 18446744073709551615"),
            (54, &[32, 0], "its program headers are not usable: 3 of 32 bytes each"),
            (56, &[0, 0], "its program headers are not usable: 0 of 56 bytes each"),
            (56, &[0xff, 0xff], "its program headers are not usable: 65535 of 56 bytes each"),
            (64, &[3], "it is a program for Linux user space"),
            (72, all, "it is cut short: a segment would end at byte 18446744073709551615"),
            (88, all, "its segment 0 is not usable"),
            (88, &[0; 8], "its segment at 0x0 lies below 1 MiB"),
            (88, &[0, 0, 0x20], "its segments at 0x200000 and 0x200000 overlap in memory"),
            (96, all, "its segment 0 is not usable"),
            (104, &[1, 0, 0, 0], "its segment 0 is not usable"),
            (104, &[0, 0, 0x11], "its segments at 0x100000 and 0x200000 overlap in memory"),
            (152, all, "it is cut short: a note segment would end at byte 18446744073709551615"),
        ];
        for (at, bytes, reason) in cases {
            let said = with(at, bytes);
            assert!(said.starts_with(reason), "{at}: {said}");
        }
    }

    #[test]
    fn entry_outside_every_segment_is_refused_for_both_protocols() {
        let said = parse(&ElfImage::with_code(b"code").pvh(CODE + 4).bytes()).unwrap_err().to_string();
        assert_eq!(said, "its PVH entry 0x100004 lies in none of its segments");
        let mut file = ElfImage::with_code(b"code").bytes();
        file[24..32].copy_from_slice(&u64::MAX.to_le_bytes());
        let said = parse(&file).unwrap_err().to_string();
        assert_eq!(said, "its 64-bit entry 0xffffffffffffffff lies in none of its segments");
    }

    #[test]
    fn file_cut_short_anywhere_is_refused() {
        let file = good();
        for length in 0..file.len() {
            assert!(parse(&file[..length]).is_err(), "{length} bytes of {}", file.len());
        }
        assert!(parse(&file).is_ok());
    }

    #[test]
    fn note_segment_larger_than_any_kernel_s_is_refused() {
        let mut file = good();
        file.resize(1 << 20, 0);
        file[152..160].copy_from_slice(&(MAX_NOTES_SIZE + 1).to_le_bytes());
        assert!(parse(&file).unwrap_err().to_string().contains("a note segment has 65537 bytes"));
    }

    #[test]
    fn program_headers_beyond_the_first_page_are_read() {
        let mut file = good();
        let table = file[64..232].to_vec();
        file.resize(10_000, 0);
        file.extend(table);
        file[32..40].copy_from_slice(&10_000u64.to_le_bytes());
        assert_eq!(parse(&file).unwrap().pvh_entry, Some(CODE));
    }

    proptest! {
        #[test]
        fn no_bytes_after_the_magic_make_the_parser_panic(tail in proptest::collection::vec(any::<u8>(), 0..512)) {
            let _ = parse(&[MAGIC, &tail].concat());
        }

        #[test]
        fn whatever_is_changed_in_a_good_file_what_is_accepted_is_sound(
            changes in proptest::collection::vec((4usize..300, any::<u8>()), 1..6)
        ) {
            let mut file = good();
            for (at, byte) in changes {
                if let Some(place) = file.get_mut(at) {
                    *place = byte;
                }
            }
            if let Ok(elf) = parse(&file) {
                for segment in &elf.segments {
                    prop_assert!(segment.address >= HIGH_MEMORY && segment.file_size <= segment.memory_size);
                    prop_assert!(segment.offset + segment.file_size <= file.len() as u64);
                }
                prop_assert!(elf.segments.windows(2).all(|pair| pair[0].end() <= pair[1].address));
            }
        }
    }
}
