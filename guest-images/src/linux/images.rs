//! What a folder holds of the Linux guest.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// What an image is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A kernel patched for a KVM that emulates ring 0 (ELF).
    EmulatedRing0Kernel,
    /// A kernel for ordinary hosts (ELF).
    OrdinaryKernel,
    /// The kernel for ordinary hosts, compressed (bzImage).
    OrdinaryCompressedKernel,
    /// The user space, as a cpio archive.
    Initrd,
    /// The user space, as an ext4 file system.
    Disk,
}

impl Kind {
    /// Says it to a person.
    pub fn describe(self) -> &'static str {
        match self {
            Self::EmulatedRing0Kernel => "kernel for a KVM that emulates ring 0",
            Self::OrdinaryKernel => "kernel for ordinary hosts",
            Self::OrdinaryCompressedKernel => "kernel for ordinary hosts, compressed",
            Self::Initrd => "user space, for --initrd",
            Self::Disk => "user space as a disk (ext4)",
        }
    }
}

/// What the recipe names its products.
const NAMES: [(&str, Kind); 5] = [
    ("vmlinux", Kind::EmulatedRing0Kernel),
    ("vmlinux-ordinary", Kind::OrdinaryKernel),
    ("bzImage-ordinary", Kind::OrdinaryCompressedKernel),
    ("initrd.cpio", Kind::Initrd),
    ("rootfs.ext4", Kind::Disk),
];

/// An image that is there.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Image {
    /// Where.
    pub path: PathBuf,
    /// What it is for.
    pub kind: Kind,
    /// Its size in bytes.
    pub bytes: u64,
    /// When it was made, in seconds since 1970 UTC.
    pub made_unix_seconds: u64,
}

/// Why a folder could not be looked through.
#[derive(Debug, thiserror::Error)]
#[error("cannot look for the Linux guest's images at {}: {source}", path.display())]
pub struct Error {
    path: PathBuf,
    source: io::Error,
}

/// The images of the Linux guest in `folder`; none if there is no such folder.
///
/// # Errors
/// When a file cannot be looked at for a reason other than that it is not there.
pub fn find(folder: &Path) -> Result<Vec<Image>, Error> {
    let mut images = Vec::new();
    for (name, kind) in NAMES {
        let path = folder.join(name);
        match look_at(&path, kind) {
            Ok(image) => images.push(image),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(Error { path, source }),
        }
    }
    Ok(images)
}

fn look_at(path: &Path, kind: Kind) -> io::Result<Image> {
    let found = fs::metadata(path)?;
    let made_unix_seconds =
        found.modified()?.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |age| age.as_secs());
    Ok(Image { path: path.to_owned(), kind, bytes: found.len(), made_unix_seconds })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folder_that_does_not_exist_holds_no_images() {
        assert!(find(Path::new("there/is/no/such/folder")).expect("no error").is_empty());
    }

    #[test]
    fn images_are_told_apart_by_name_and_other_files_are_left_out() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for (name, bytes) in [("vmlinux-ordinary", 3), ("initrd.cpio", 5), ("vmlinux.new", 7)] {
            fs::write(folder.path().join(name), vec![0; bytes]).expect("written");
        }
        let found: Vec<_> = find(folder.path())
            .expect("no error")
            .into_iter()
            .map(|image| (image.kind, image.bytes))
            .collect();
        assert_eq!(found, [(Kind::OrdinaryKernel, 3), (Kind::Initrd, 5)]);
    }

    #[test]
    fn folder_that_is_a_file_is_an_error_naming_it() {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        let error = find(file.path()).expect_err("a file is no folder").to_string();
        assert!(error.contains(file.path().to_str().expect("ASCII")), "{error}");
    }
}
