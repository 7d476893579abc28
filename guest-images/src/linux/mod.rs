//! The Linux guest: the recipe that makes it from Debian's packages, and the images that it made.

pub mod images;
pub mod recipe;

use std::path::PathBuf;

/// The environment variable that names the folder of the Linux guest.
pub const FOLDER_VARIABLE: &str = "RINGFENCE_LINUX_GUEST";

/// Where the images go when nothing else is said, from the current folder.
const DEFAULT_FOLDER: &str = "target/guest-images";

/// The folder of the Linux guest: what [`FOLDER_VARIABLE`] names, else `target/guest-images` of the current folder.
pub fn folder() -> PathBuf {
    std::env::var_os(FOLDER_VARIABLE).map_or_else(|| PathBuf::from(DEFAULT_FOLDER), PathBuf::from)
}
