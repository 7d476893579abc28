//! A disk's file, opened and measured.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, FlockOperation, SeekFrom};
use rustix::io::Errno;

use crate::api::model::{CacheType, Drive, IoEngine, PartUuid, RateLimiter};
use crate::confine::table::Taken;
use crate::devices::virtio::Limits;
use crate::devices::virtio::block::{Cache, ID_BYTES, Properties, SECTOR};

/// What a disk is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskConfig {
    /// The file.
    pub path: PathBuf,
    /// What the guest may ask the disk for as its name; the first 20 bytes count.
    pub id: String,
    /// The guest may not write.
    pub read_only: bool,
    /// What a flush promises.
    pub cache: Cache,
    /// How much it may do in a time.
    pub limits: Limits,
    /// It has a thread of its own.
    pub own_thread: bool,
}

impl From<Drive> for DiskConfig {
    fn from(drive: Drive) -> Self {
        Self {
            path: drive.path_on_host,
            id: drive.drive_id,
            read_only: drive.is_read_only,
            cache: drive.cache_type.into(),
            limits: drive.rate_limiter.unwrap_or_default().into(),
            own_thread: drive.io_engine == IoEngine::Async,
        }
    }
}

impl DiskConfig {
    /// The disk as the API shows it.
    pub fn to_drive(&self, is_root_device: bool, partuuid: Option<PartUuid>) -> Drive {
        Drive {
            drive_id: self.id.clone(),
            path_on_host: self.path.clone(),
            is_root_device,
            partuuid,
            is_read_only: self.read_only,
            cache_type: match self.cache {
                Cache::Unsafe => CacheType::Unsafe,
                Cache::Writeback => CacheType::Writeback,
            },
            rate_limiter: RateLimiter::of(self.limits),
            io_engine: if self.own_thread { IoEngine::Async } else { IoEngine::Sync },
            socket: None,
        }
    }
}

/// An open disk.
#[derive(Debug)]
pub struct Disk {
    /// Its file, locked for as long as it is open.
    pub file: Taken,
    /// Which file that is.
    pub identity: Identity,
    /// What the guest is told of it.
    pub properties: Properties,
    /// How much it may do in a time.
    pub limits: Limits,
    /// It has a thread of its own.
    pub own_thread: bool,
    /// Bytes after the last whole sector, which the guest does not see.
    pub remainder: u64,
}

/// Which file: a name may be another's later, and a file may have several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    device: u64,
    inode: u64,
}

/// Why a file cannot be a disk.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It does not open as it has to.
    #[error("cannot open the disk {} {}: {source}{}", path.display(), mode(*read_only), advice(*read_only, source))]
    Open {
        /// The file.
        path: PathBuf,
        /// How it was to be opened.
        read_only: bool,
        /// The system's reason.
        source: io::Error,
    },
    /// It has no bytes at places.
    #[error("{} cannot be a disk: it is neither a file nor a block device", path.display())]
    Kind {
        /// The file.
        path: PathBuf,
    },
    /// It has no sector.
    #[error("{} cannot be a disk: it has {bytes} bytes, and a sector has {SECTOR}; make it larger, as by truncate -s 64M", path.display())]
    Small {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
    },
    /// Somebody else has it.
    #[error(
        "the disk {} is in use: another process, or another drive of this machine, has locked it{}", path.display(),
        if *read_only { " to write to it" } else { "; several machines may share a disk that all of them only read" }
    )]
    InUse {
        /// The file.
        path: PathBuf,
        /// How it was to be used.
        read_only: bool,
    },
}

fn mode(read_only: bool) -> &'static str {
    if read_only { "for reading" } else { "for reading and writing" }
}

fn advice(read_only: bool, source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem if !read_only => {
            "; a disk that is only read needs less: add ,ro"
        }
        _ => "",
    }
}

impl Disk {
    /// Opens a disk and locks it: alone where it is written, with other readers where it is not.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn open(config: &DiskConfig) -> Result<Self, Error> {
        Self::open_beside(config, None)
    }

    /// The same, but the file may be one that this process has locked already.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn open_beside(config: &DiskConfig, locked: Option<Identity>) -> Result<Self, Error> {
        let DiskConfig { path, read_only, .. } = config;
        let (path, read_only) = (path.clone(), *read_only);
        let failed = |source: io::Error| Error::Open { path: path.clone(), read_only, source };
        let opened = |errno: Errno| failed(errno.into());
        let file = open(&path, read_only).map_err(|error| match Errno::from_io_error(&error) {
            // A folder, which cannot be written to, and a socket.
            Some(Errno::ISDIR | Errno::NXIO) => Error::Kind { path: path.clone() },
            _ => failed(error),
        })?;
        let status = rustix::fs::fstat(&file).map_err(opened)?;
        if !matches!(FileType::from_raw_mode(status.st_mode), FileType::RegularFile | FileType::BlockDevice) {
            return Err(Error::Kind { path });
        }
        let identity = Identity { device: status.st_dev, inode: status.st_ino };
        if locked != Some(identity) {
            lock(&file, read_only).map_err(|errno| match errno {
                Errno::WOULDBLOCK => Error::InUse { path: path.clone(), read_only },
                errno => opened(errno),
            })?;
        }
        // A block device has no size in its status.
        let bytes = rustix::fs::seek(&file, SeekFrom::End(0)).map_err(opened)?;
        if bytes < SECTOR {
            return Err(Error::Small { path, bytes });
        }
        let properties =
            Properties { sectors: bytes / SECTOR, read_only, cache: config.cache, id: id(&config.id) };
        let (limits, own_thread) = (config.limits, config.own_thread);
        Ok(Self { file, identity, properties, limits, own_thread, remainder: bytes % SECTOR })
    }
}

/// Without waiting for the other end of a pipe, which is none. Fenced main makes the same call, where a client changes a disk.
fn open(path: &Path, read_only: bool) -> io::Result<Taken> {
    let flags = libc::O_NOCTTY | libc::O_NONBLOCK;
    let file = File::options().read(true).write(!read_only).custom_flags(flags).open(path)?;
    Ok(Taken::from(OwnedFd::from(file)))
}

/// An advisory lock, which goes when the last descriptor of the open file does.
fn lock(file: &Taken, read_only: bool) -> Result<(), Errno> {
    let operation = if read_only {
        FlockOperation::NonBlockingLockShared
    } else {
        FlockOperation::NonBlockingLockExclusive
    };
    match rustix::fs::flock(file, operation) {
        // File systems without locks have none to respect.
        Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::NOLCK) => Ok(()),
        result => result,
    }
}

fn id(text: &str) -> [u8; ID_BYTES] {
    let mut id = [0; ID_BYTES];
    id.iter_mut().zip(text.bytes()).for_each(|(place, byte)| *place = byte);
    id
}

/// What is wrong with the text of a disk.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// No path.
    #[error("a disk is FILE[,ro][,cache=unsafe|writeback], and this names no file")]
    NoFile,
    /// An option that is not known.
    #[error(
        "`{0}` is no option of a disk: these are ro, cache=unsafe and cache=writeback; write a comma of the path as ,,"
    )]
    Option(String),
}

impl DiskConfig {
    /// A disk as the command line has it: `FILE[,ro][,cache=unsafe|writeback]`, where `,,` is a comma of the path.
    ///
    /// # Errors
    /// See [`TextError`].
    pub fn from_text(text: &str) -> Result<Self, TextError> {
        // No path holds a NUL.
        let escaped = text.replace(",,", "\0");
        let mut parts = escaped.split(',');
        let path = parts.next().filter(|path| !path.is_empty()).ok_or(TextError::NoFile)?;
        let mut disk = Self {
            path: Path::new(&path.replace('\0', ",")).to_owned(),
            id: String::new(),
            read_only: false,
            cache: Cache::Unsafe,
            limits: Limits::default(),
            own_thread: false,
        };
        for option in parts {
            match option {
                "ro" => disk.read_only = true,
                "cache=unsafe" => disk.cache = Cache::Unsafe,
                "cache=writeback" => disk.cache = Cache::Writeback,
                other => return Err(TextError::Option(other.replace('\0', ",,"))),
            }
        }
        Ok(disk)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn config(path: &Path, read_only: bool) -> DiskConfig {
        DiskConfig {
            path: path.to_owned(),
            id: "root".into(),
            read_only,
            cache: Cache::Unsafe,
            limits: Limits::default(),
            own_thread: false,
        }
    }

    #[test]
    fn a_disk_as_text_is_a_path_and_options() {
        let disk = |text| DiskConfig::from_text(text);
        assert_eq!(
            disk("a,,b.ext4,ro,cache=writeback"),
            Ok(DiskConfig {
                path: "a,b.ext4".into(),
                id: String::new(),
                read_only: true,
                cache: Cache::Writeback,
                limits: Limits::default(),
                own_thread: false,
            })
        );
        assert_eq!(disk("x").map(|disk| (disk.read_only, disk.cache)), Ok((false, Cache::Unsafe)));
        assert_eq!(disk(""), Err(TextError::NoFile));
        assert_eq!(disk(",ro"), Err(TextError::NoFile));
        assert_eq!(disk("x,rw"), Err(TextError::Option("rw".into())));
        assert_eq!(disk("x,cache=none"), Err(TextError::Option("cache=none".into())));
    }

    #[test]
    fn the_guest_sees_whole_sectors_and_the_disks_name() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(&file, [0; 1300]).unwrap();
        let disk = Disk::open(&config(file.path(), true)).unwrap();
        assert_eq!((disk.properties.sectors, disk.remainder), (2, 276));
        assert_eq!(&disk.properties.id, b"root\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
        assert_eq!(id(&"x".repeat(30)), [b'x'; 20]);
    }

    #[test]
    fn what_is_no_disk_is_refused_with_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let small = folder.path().join("small");
        fs::write(&small, [0; 511]).unwrap();
        let message = |path: &Path| Disk::open(&config(path, false)).unwrap_err().to_string();
        assert!(message(&small).contains("it has 511 bytes"), "{}", message(&small));
        assert!(message(folder.path()).contains("neither a file nor a block device"));
        assert!(message(Path::new("/dev/null")).contains("neither a file nor a block device"));
        assert!(message(&folder.path().join("none")).contains("No such file"));
    }

    #[test]
    fn a_disk_has_one_writer_or_several_readers() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(&file, [0; 512]).unwrap();
        let open = |read_only| Disk::open(&config(file.path(), read_only));
        let reader = open(true).unwrap();
        assert!(open(true).is_ok());
        assert!(matches!(open(false), Err(Error::InUse { read_only: false, .. })));
        drop(reader);
        let _writer = open(false).unwrap();
        assert!(matches!(open(true), Err(Error::InUse { read_only: true, .. })));
    }
}
