//! `drives`

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::RateLimiter;
use crate::devices::virtio::block::Cache;

/// A disk. Firecracker's `partuuid`, `io_engine` and `socket` are not there yet, and refused by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drive {
    /// What the guest may ask the disk for as its name.
    pub drive_id: String,
    /// The file.
    pub path_on_host: PathBuf,
    /// The kernel finds its root file system there.
    pub is_root_device: bool,
    /// The guest may not write.
    #[serde(default)]
    pub is_read_only: bool,
    /// What a flush promises.
    #[serde(default)]
    pub cache_type: CacheType,
    /// How much it may do in a time.
    pub rate_limiter: Option<RateLimiter>,
}

/// Firecracker's names for what a flush promises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum CacheType {
    /// Nothing.
    #[default]
    Unsafe,
    /// What was written outlives a loss of power.
    Writeback,
}

impl From<CacheType> for Cache {
    fn from(name: CacheType) -> Self {
        match name {
            CacheType::Unsafe => Self::Unsafe,
            CacheType::Writeback => Self::Writeback,
        }
    }
}
