//! Builds kernel images for tests, field by field, so that each field can be made hostile.
#![forbid(unsafe_code)]

use super::boot::notes::note;

/// Where tests load their code.
pub(crate) const CODE: u32 = 0x10_0000;

/// Place of the first program header, and bytes of one.
const PROGRAM_HEADERS: usize = 64;
const PROGRAM_HEADER_SIZE: usize = 56;

/// An ELF64 file under construction: a header, program headers, and then the contents of the segments.
pub(crate) struct ElfImage {
    entry: u64,
    /// Type, address, bytes in memory beyond those in the file, contents.
    segments: Vec<(u32, u64, u64, Vec<u8>)>,
}

impl ElfImage {
    /// An ELF file with `code` at [`CODE`], which is also its entry.
    pub(crate) fn with_code(code: &[u8]) -> Self {
        Self { entry: CODE.into(), segments: vec![(1, CODE.into(), 0, code.to_vec())] }
    }

    /// Adds a PVH note that names `entry`, in a note segment of its own.
    pub(crate) fn pvh(mut self, entry: u32) -> Self {
        self.segments.push((4, 0, 0, note(b"Xen\0", 18, &entry.to_le_bytes(), 4)));
        self
    }

    /// Adds the note that Linux kernels carry.
    pub(crate) fn linux(mut self) -> Self {
        self.segments.push((4, 0, 0, note(b"Linux\0", 0x100, b"\0", 4)));
        self
    }

    /// Adds a segment of `contents` at `address` with `zeros` zero bytes after it.
    pub(crate) fn segment(mut self, address: u64, contents: &[u8], zeros: u64) -> Self {
        self.segments.push((1, address, zeros, contents.to_vec()));
        self
    }

    /// The file.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let count = self.segments.len();
        let mut offset = PROGRAM_HEADERS + count * PROGRAM_HEADER_SIZE;
        let mut file = vec![0; offset];
        file[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
        file[16..20].copy_from_slice(&[2, 0, 62, 0]);
        file[24..32].copy_from_slice(&self.entry.to_le_bytes());
        file[32..40].copy_from_slice(&(PROGRAM_HEADERS as u64).to_le_bytes());
        file[54..58].copy_from_slice(&[56, 0, u8::try_from(count).unwrap(), 0]);
        for (index, (kind, address, zeros, contents)) in self.segments.iter().enumerate() {
            let size = contents.len() as u64;
            let words = [offset as u64, *address, *address, size, size + zeros, 4];
            let header: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            let at = PROGRAM_HEADERS + index * PROGRAM_HEADER_SIZE;
            file[at..at + 4].copy_from_slice(&kind.to_le_bytes());
            file[at + 8..at + 56].copy_from_slice(&header);
            file.extend(contents);
            offset += contents.len();
        }
        file
    }
}

/// A bzImage whose 64-bit entry holds `code`: one setup sector after the boot sector.
pub(crate) fn bzimage(code: &[u8]) -> Vec<u8> {
    let mut file = vec![0; 1024 + 0x200];
    file.extend(code);
    file.resize(file.len().next_multiple_of(16), 0);
    let syssize = u32::try_from((file.len() - 1024) / 16).unwrap();
    let mut field = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    field(0x1f1, &[1]); // setup_sects
    field(0x1f4, &syssize.to_le_bytes());
    field(0x1fe, &[0x55, 0xaa, 0xeb, 0x66]); // boot_flag; jump over the header: it ends at 0x268
    field(0x202, b"HdrS");
    field(0x206, &0x020fu16.to_le_bytes()); // version
    field(0x211, &[1]); // loadflags: LOADED_HIGH
    field(0x214, &CODE.to_le_bytes()); // code32_start
    field(0x22c, &0x7fff_ffffu32.to_le_bytes()); // initrd_addr_max
    field(0x230, &0x20_0000u32.to_le_bytes()); // kernel_alignment
    field(0x234, &[1]); // relocatable_kernel
    field(0x236, &1u16.to_le_bytes()); // xloadflags: XLF_KERNEL_64
    field(0x238, &2047u32.to_le_bytes()); // cmdline_size
    field(0x258, &0x100_0000u64.to_le_bytes()); // pref_address
    field(0x260, &0x10_0000u32.to_le_bytes()); // init_size
    file
}
