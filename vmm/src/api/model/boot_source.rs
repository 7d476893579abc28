//! `boot-source`

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// What the machine runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BootSource {
    /// The kernel: ELF64 or bzImage.
    pub kernel_image_path: PathBuf,
    /// The initial RAM disk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initrd_path: Option<PathBuf>,
    /// The kernel's command line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub boot_args: Option<String>,
}
