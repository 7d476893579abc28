//! `boot-source`

use std::path::PathBuf;

use serde::Deserialize;

/// What the machine runs.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BootSource {
    /// The kernel: ELF64 or bzImage.
    pub kernel_image_path: PathBuf,
    /// The initial RAM disk.
    pub initrd_path: Option<PathBuf>,
    /// The kernel's command line.
    pub boot_args: Option<String>,
}
