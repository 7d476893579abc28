//! `machine-config`

use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

use crate::machine::{HugePages, MAX_VCPUS};

/// Processors and memory. What is absent is as it was, or by default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MachineConfig {
    /// 1 to [`MAX_VCPUS`].
    #[serde(default, deserialize_with = "vcpu_count")]
    pub vcpu_count: Option<u8>,
    /// MiB.
    pub mem_size_mib: Option<u32>,
    /// Which pages of the host back the memory.
    pub huge_pages: Option<HugePagesName>,
}

/// Firecracker's names, and one of ours for transparent huge pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum HugePagesName {
    /// Pages of 4 KiB.
    None,
    /// Pages of 2 MiB of hugetlbfs.
    #[serde(rename = "2M")]
    Explicit2M,
    /// Whatever the kernel makes of it.
    Transparent,
}

impl From<HugePagesName> for HugePages {
    fn from(name: HugePagesName) -> Self {
        match name {
            HugePagesName::None => Self::Off,
            HugePagesName::Explicit2M => Self::Explicit2M,
            HugePagesName::Transparent => Self::Transparent,
        }
    }
}

/// In words of the subject and not of a type.
fn vcpu_count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u8>, D::Error> {
    let Some(count) = Option::<u64>::deserialize(deserializer)? else { return Ok(None) };
    let small = u8::try_from(count).ok().filter(|count| (1..=MAX_VCPUS).contains(count));
    let refused = || D::Error::custom(format_args!("a machine has 1 to {MAX_VCPUS} vCPUs here, not {count}"));
    small.map(Some).ok_or_else(refused)
}
