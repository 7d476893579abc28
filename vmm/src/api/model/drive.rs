//! `drives`

use std::path::PathBuf;

use serde::de::{Deserializer, Error as _};
use serde::{Deserialize, Serialize};

use super::{RateLimiter, VhostUserSocket};
use crate::devices::virtio::block::Cache;

/// A disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drive {
    /// What the guest may ask the disk for as its name.
    pub drive_id: String,
    /// The file.
    pub path_on_host: PathBuf,
    /// The kernel finds its root file system there.
    pub is_root_device: bool,
    /// Which of the root device's partitions holds that file system; the whole disk without one.
    pub partuuid: Option<PartUuid>,
    /// The guest may not write.
    #[serde(default)]
    pub is_read_only: bool,
    /// What a flush promises.
    #[serde(default)]
    pub cache_type: CacheType,
    /// How much it may do in a time.
    pub rate_limiter: Option<RateLimiter>,
    /// How requests are carried out.
    #[serde(default)]
    pub io_engine: IoEngine,
    /// Only its absence is taken.
    #[serde(skip_serializing)]
    pub socket: Option<VhostUserSocket>,
}

/// `PATCH /drives/{drive_id}`: what is absent stays as it is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DriveUpdate {
    /// Which drive.
    pub drive_id: String,
    /// Another file, or the same, which has another size now.
    pub path_on_host: Option<PathBuf>,
    /// How much it may do in a time from now on.
    pub rate_limiter: Option<RateLimiter>,
}

/// What a partition table calls a partition: a GUID, or `NNNNNNNN-PP` of an MBR.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PartUuid(String);

impl PartUuid {
    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// It goes to the kernel's command line, where a blank would begin something else.
impl<'de> Deserialize<'de> for PartUuid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let is_one = |byte: u8| byte.is_ascii_hexdigit() || byte == b'-';
        if text.is_empty() || !text.bytes().all(is_one) {
            return Err(D::Error::custom(format_args!(
                "partuuid: `{text}` is none: it has hexadecimal digits and hyphens alone, as `lsblk -o PARTUUID` shows it"
            )));
        }
        Ok(Self(text))
    }
}

/// Firecracker's names for how requests are carried out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum IoEngine {
    /// One after the other, on the thread of all devices.
    #[default]
    Sync,
    /// One after the other, on a thread of the drive's own, so that nothing else waits for it.
    Async,
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
