//! What the user gives to run: opening it, reading it once, and saying what it is.
#![forbid(unsafe_code)]

use std::fs::File;
use std::io::{self, Seek as _, SeekFrom};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use vm_memory::{Bytes as _, GuestAddress, GuestMemoryMmap};

use super::boot::bzimage::{self, BzImage, BzImageError};
use super::boot::elf::{self, Elf, ElfError};

/// Bytes that are read first: headers of both formats, and as a rule all program headers.
const HEAD_SIZE: u64 = 4096;

/// Where a kernel comes from.
#[derive(Clone, Debug)]
pub enum Image {
    /// One of the program's own guests.
    Embedded {
        /// Its name, for messages.
        name: &'static str,
        /// The whole file.
        bytes: &'static [u8],
    },
    /// A file.
    File(PathBuf),
}

/// An opened image or initrd, read by offset.
#[derive(Debug)]
pub struct Source {
    name: String,
    data: Data,
    length: u64,
}

#[derive(Debug)]
enum Data {
    Bytes(&'static [u8]),
    File(File),
}

/// What kind of image it is, with its headers checked.
#[derive(Debug)]
pub enum Kind {
    /// ELF64 for x86-64.
    Elf(Elf),
    /// Linux' own format.
    BzImage(BzImage),
}

/// Why something cannot be used as a kernel or an initrd.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// No such file.
    #[error("cannot open {what} {name}: there is no such file; check the path")]
    NotFound {
        /// "kernel" or "initrd".
        what: &'static str,
        /// Its path.
        name: String,
    },
    /// A directory.
    #[error("{what} {name} is a directory: name the file in it")]
    Directory {
        /// "kernel" or "initrd".
        what: &'static str,
        /// Its path.
        name: String,
    },
    /// A device, pipe or socket: those have no length and cannot be read by offset.
    #[error("{what} {name} is not a regular file: copy its contents to one")]
    NotRegular {
        /// "kernel" or "initrd".
        what: &'static str,
        /// Its path.
        name: String,
    },
    /// A file that this user may not read.
    #[error(
        "cannot open {what} {name}: permission denied; make it and the folders above it readable for this user"
    )]
    Permission {
        /// "kernel" or "initrd".
        what: &'static str,
        /// Its path.
        name: String,
    },
    /// Any other refusal.
    #[error("cannot open {what} {name}: {source}")]
    Open {
        /// "kernel" or "initrd".
        what: &'static str,
        /// Its path.
        name: String,
        /// What the kernel answered.
        source: io::Error,
    },
    /// Reading failed.
    #[error("cannot read {name}: {source}")]
    Read {
        /// Its path or name.
        name: String,
        /// What the kernel answered.
        source: io::Error,
    },
    /// Neither ELF nor bzImage.
    #[error(
        "{name} is not a guest image: it begins with {found}; give an ELF64 kernel (vmlinux) or a Linux bzImage (vmlinuz)"
    )]
    Unknown {
        /// Its path or name.
        name: String,
        /// Its first bytes, and what they are where that is known.
        found: String,
    },
    /// An ELF file that cannot be run.
    #[error("{name} cannot be run: {source}")]
    Elf {
        /// Its path or name.
        name: String,
        /// Why.
        source: ElfError,
    },
    /// A bzImage that cannot be run.
    #[error("{name} cannot be run: {source}")]
    BzImage {
        /// Its path or name.
        name: String,
        /// Why.
        source: BzImageError,
    },
}

impl Source {
    /// Opens a kernel image.
    ///
    /// # Errors
    /// [`ImageError`], if it is no regular file or cannot be read.
    pub fn open_image(image: &Image) -> Result<Self, ImageError> {
        match image {
            Image::Embedded { name, bytes } => {
                let length = bytes.len() as u64;
                Ok(Self { name: format!("the embedded guest {name}"), data: Data::Bytes(bytes), length })
            }
            Image::File(path) => Self::open("kernel", path),
        }
    }

    /// Opens the file at `path`; `what` names its use in messages.
    ///
    /// # Errors
    /// [`ImageError`], if it is no regular file or cannot be read.
    pub fn open(what: &'static str, path: &Path) -> Result<Self, ImageError> {
        let name = path.display().to_string();
        let refused = |source: io::Error| match source.kind() {
            io::ErrorKind::NotFound => ImageError::NotFound { what, name: name.clone() },
            io::ErrorKind::PermissionDenied => ImageError::Permission { what, name: name.clone() },
            _ => ImageError::Open { what, name: name.clone(), source },
        };
        // The kind is asked for first: opening a pipe would wait for a writer.
        let metadata = std::fs::metadata(path).map_err(refused)?;
        if metadata.is_dir() {
            return Err(ImageError::Directory { what, name });
        }
        if !metadata.is_file() {
            return Err(ImageError::NotRegular { what, name });
        }
        let file = File::open(path).map_err(refused)?;
        Ok(Self { name, data: Data::File(file), length: metadata.len() })
    }

    /// Bytes in all.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Its path, or what it is called if it has none.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is one of the program's own guests.
    pub fn is_embedded(&self) -> bool {
        matches!(self.data, Data::Bytes(_))
    }

    /// Reads `length` bytes from `offset`; the caller has bounded `length`.
    ///
    /// # Errors
    /// The kernel's, or `UnexpectedEof` where the image is shorter.
    pub fn read(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        match &self.data {
            Data::Bytes(bytes) => Ok(part(bytes, offset, length)?.to_vec()),
            Data::File(file) => {
                let mut buffer = vec![0; length];
                file.read_exact_at(&mut buffer, offset)?;
                Ok(buffer)
            }
        }
    }

    /// Reads `length` bytes from `offset` straight into guest memory at `address`.
    ///
    /// # Errors
    /// [`ImageError::Read`]: the file became shorter since it was checked, or the disk failed.
    pub fn load(
        &self,
        offset: u64,
        length: u64,
        memory: &GuestMemoryMmap,
        address: GuestAddress,
    ) -> Result<(), ImageError> {
        self.copy(offset, length, memory, address)
            .map_err(|source| ImageError::Read { name: self.name.clone(), source })
    }

    fn copy(&self, offset: u64, length: u64, memory: &GuestMemoryMmap, at: GuestAddress) -> io::Result<()> {
        let length = usize::try_from(length).map_err(io::Error::other)?;
        match &self.data {
            Data::Bytes(bytes) => {
                memory.write_slice(part(bytes, offset, length)?, at).map_err(io::Error::other)
            }
            Data::File(file) => {
                let mut file = file;
                file.seek(SeekFrom::Start(offset))?;
                memory.read_exact_volatile_from(at, &mut file, length).map_err(io::Error::other)
            }
        }
    }

    /// Says what kind of image this is, and checks its headers.
    ///
    /// # Errors
    /// [`ImageError`]: not an image, or one that cannot be run here.
    pub fn identify(&self) -> Result<Kind, ImageError> {
        let size = usize::try_from(self.length.min(HEAD_SIZE)).unwrap_or_default();
        let head =
            self.read(0, size).map_err(|source| ImageError::Read { name: self.name.clone(), source })?;
        if head.starts_with(elf::MAGIC) {
            return match Elf::parse(self, &head) {
                Ok(elf) => Ok(Kind::Elf(elf)),
                Err(source) => Err(ImageError::Elf { name: self.name.clone(), source }),
            };
        }
        if bzimage::is_bzimage(&head) {
            return match BzImage::parse(&head, self.length) {
                Ok(image) => Ok(Kind::BzImage(image)),
                Err(source) => Err(ImageError::BzImage { name: self.name.clone(), source }),
            };
        }
        Err(ImageError::Unknown { name: self.name.clone(), found: describe(&head) })
    }
}

fn part(bytes: &[u8], offset: u64, length: usize) -> io::Result<&[u8]> {
    let start = usize::try_from(offset).ok();
    let end = start.and_then(|start| start.checked_add(length));
    let part = start.zip(end).and_then(|(start, end)| bytes.get(start..end));
    part.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

/// The first bytes of something that is no image, and what they are where that is known.
fn describe(head: &[u8]) -> String {
    const KNOWN: [(usize, &[u8], &str); 9] = [
        (0, &[0x1f, 0x8b], "gzip data, unpack it first"),
        (0, &[0xfd, b'7', b'z', b'X', b'Z'], "xz data, unpack it first"),
        (0, &[0x28, 0xb5, 0x2f, 0xfd], "zstd data, unpack it first"),
        (0, b"BZh", "bzip2 data, unpack it first"),
        (0, b"070701", "a cpio archive: an initrd, give a kernel as well"),
        (0, b"#!", "a script"),
        (0, b"QFI\xfb", "a qcow2 disk image"),
        (0, b"MZ", "an EFI program"),
        (0x1fe, &[0x55, 0xaa], "a boot sector: a disk image, or a kernel of before 1998"),
    ];
    if head.is_empty() {
        return "nothing: it is empty".to_owned();
    }
    let bytes: Vec<String> = head.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let known =
        KNOWN.iter().find(|(at, magic, _)| head.get(*at..).is_some_and(|rest| rest.starts_with(magic)));
    match known {
        Some((_, _, what)) => format!("the bytes {} ({what})", bytes.join(" ")),
        None => format!("the bytes {}", bytes.join(" ")),
    }
}

/// An image in memory, for tests of the formats.
#[cfg(test)]
pub(crate) fn source_of(bytes: &[u8]) -> Source {
    let image = Image::Embedded { name: "test", bytes: bytes.to_vec().leak() };
    Source::open_image(&image).expect("bytes are always readable")
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use proptest::prelude::*;

    use super::*;
    use crate::machine::layout::MemorySplit;
    use crate::machine::memory::{HugePages, map};

    fn error_of(bytes: &[u8]) -> String {
        source_of(bytes).identify().unwrap_err().to_string()
    }

    #[test]
    fn missing_file_directory_and_device_are_told_apart() {
        let error = |path: &str| Source::open("kernel", Path::new(path)).unwrap_err();
        assert!(matches!(error("/no/such/file"), ImageError::NotFound { .. }));
        assert!(matches!(error("/"), ImageError::Directory { .. }));
        assert!(matches!(error("/dev/null"), ImageError::NotRegular { .. }));
        assert!(matches!(error("/proc/self/cmdline/x"), ImageError::Open { .. }));
    }

    #[test]
    fn what_is_no_image_is_described_by_its_first_bytes() {
        assert!(error_of(b"").contains("it is empty"));
        assert!(error_of(b"hello, world").contains("the bytes 68 65 6c 6c 6f 2c 20 77;"));
        assert!(error_of(&[0x1f, 0x8b, 8, 0]).contains("the bytes 1f 8b 08 00 (gzip data, unpack it first)"));
    }

    #[test]
    fn disk_image_is_not_taken_for_a_kernel() {
        let mut sector = vec![0; 512];
        sector[0x1fe..].copy_from_slice(&[0x55, 0xaa]);
        assert!(error_of(&sector).contains("a boot sector"));
    }

    #[test]
    fn reading_beyond_the_end_is_an_error_for_files_and_bytes_alike() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"12345678").unwrap();
        for source in [Source::open("kernel", file.path()).unwrap(), source_of(b"12345678")] {
            assert_eq!(source.read(6, 2).unwrap(), b"78");
            assert_eq!(source.read(7, 2).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
            assert!(source.read(u64::MAX, 1).is_err());
        }
    }

    #[test]
    fn file_that_became_shorter_since_it_was_checked_is_an_error_with_its_name() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&[1; 8192]).unwrap();
        let source = Source::open("kernel", file.path()).unwrap();
        file.as_file().set_len(4096).unwrap();
        let memory = map(MemorySplit::new(2), HugePages::Off).unwrap();
        let error = source.load(0, 8192, &memory, GuestAddress(0)).unwrap_err().to_string();
        assert!(error.starts_with(&format!("cannot read {}", file.path().display())), "{error}");
    }

    proptest! {
        #[test]
        fn no_bytes_make_identification_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..1200), kernel in any::<bool>()
        ) {
            let mut bytes = bytes;
            if kernel && bytes.len() >= 0x206 {
                bytes[0x1fe..0x200].copy_from_slice(&[0x55, 0xaa]);
                bytes[0x202..0x206].copy_from_slice(b"HdrS");
            }
            let _ = source_of(&bytes).identify();
        }
    }
}
