//! The Linux guest that `tests/run` builds.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};

use ringfence::machine::quirk::{self, Quirk};

/// What its kernel is told: its console, and to end the run by a reset.
pub const TOLD: &str = "console=ttyS0 quiet reboot=k panic=-1";

/// A file of it.
///
/// # Panics
/// Where it is not there.
pub fn image(name: &str) -> PathBuf {
    let path = std::env::var_os(guest_images::linux::FOLDER_VARIABLE)
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/guest-images"), PathBuf::from)
        .join(name);
    assert!(
        path.exists(),
        "there is no Linux guest at {}: run tests/run, which builds it, or `ringfence guest build`; \
         `tests/run --quick` leaves these tests out",
        path.display()
    );
    path
}

/// The file of the kernel for this host.
pub fn kernel_of_this_host() -> &'static str {
    match quirk::detect() {
        Some(Quirk::EmulatedRing0) => "vmlinux",
        None => "vmlinux-ordinary",
    }
}
