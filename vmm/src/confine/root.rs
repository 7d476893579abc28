//! A root folder of a thread's own.

use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::thread::UnshareFlags;

/// Why a thread could not get its root.
#[derive(Debug, thiserror::Error)]
#[error("{call} failed while the thread took {} for its root folder: {errno}", folder.display())]
pub struct Error {
    call: &'static str,
    folder: PathBuf,
    errno: Errno,
}

/// Makes this folder the root of the calling thread's files, and of no other thread's; false where the process may not
/// (`CAP_SYS_CHROOT`). What is open stays open.
///
/// # Errors
/// See [`Error`].
pub fn enter(folder: &Path) -> Result<bool, Error> {
    let failed = |call| move |errno| Error { call, folder: folder.to_owned(), errno };
    // SAFETY: the folders are unshared, and no descriptor or memory is.
    let alone = unsafe { rustix::thread::unshare_unsafe(UnshareFlags::FS) };
    // The profiles of container engines refuse the first, the kernel the second.
    for (call, result) in
        [("unshare", alone), ("chroot", alone.and_then(|()| rustix::process::chroot(folder)))]
    {
        match result {
            Ok(()) => {}
            Err(Errno::PERM) => return Ok(false),
            Err(errno) => return Err(failed(call)(errno)),
        }
    }
    // A folder outside would be a way out.
    rustix::process::chdir("/").map_err(failed("chdir"))?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_thread_has_a_root_of_its_own_where_it_may() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("inside"), "").unwrap();
        let path = folder.path().to_owned();
        let body =
            move || (enter(&path).unwrap(), Path::new("/inside").exists(), Path::new("inside").exists());
        let (entered, from_root, from_here) = std::thread::spawn(body).join().unwrap();
        assert_eq!(entered, rustix::process::geteuid().is_root(), "root may, and hardly anybody else");
        assert_eq!((from_root, from_here), (entered, entered));
        assert!(!Path::new("/inside").exists(), "the other threads keep theirs");
        assert!(folder.path().exists());
    }

    #[test]
    fn a_folder_that_is_not_there_is_told_by_its_name() {
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: only root may change a root folder");
            return;
        }
        let result = std::thread::spawn(|| enter(Path::new("/no/such"))).join().unwrap();
        let message = result.unwrap_err().to_string();
        assert!(message.starts_with("chroot failed while the thread took /no/such for"), "{message}");
    }
}
