//! `machine-config`

use serde::de::{Deserializer, Error as _};
use serde::{Deserialize, Serialize};

use super::only_false;
use crate::machine::{HugePages, MAX_VCPUS};

/// Processors and memory. What is absent is as it was, or by default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MachineConfig {
    /// 1 to [`MAX_VCPUS`].
    #[serde(default, deserialize_with = "vcpu_count")]
    pub vcpu_count: Option<u8>,
    /// MiB.
    pub mem_size_mib: Option<u32>,
    /// Two threads to a core. Not there yet: only `false` is taken.
    #[serde(default, deserialize_with = "smt")]
    pub smt: Option<bool>,
    /// Write down which pages the guest changes. Of use for snapshots, which are not there yet: only `false` is taken.
    #[serde(default, deserialize_with = "track_dirty_pages")]
    pub track_dirty_pages: Option<bool>,
    /// Which pages of the host back the memory.
    pub huge_pages: Option<HugePagesName>,
    /// Processor features of another machine. Not there yet: only `None` is taken.
    #[serde(skip_serializing)]
    pub cpu_template: Option<CpuTemplate>,
}

impl MachineConfig {
    /// Firecracker's defaults.
    pub const DEFAULT: Self = Self {
        vcpu_count: Some(1),
        mem_size_mib: Some(128),
        smt: Some(false),
        track_dirty_pages: Some(false),
        huge_pages: Some(HugePagesName::None),
        cpu_template: None,
    };

    /// These values, and the other's where there are none.
    #[must_use]
    pub fn or(self, other: &Self) -> Self {
        Self {
            vcpu_count: self.vcpu_count.or(other.vcpu_count),
            mem_size_mib: self.mem_size_mib.or(other.mem_size_mib),
            smt: self.smt.or(other.smt),
            track_dirty_pages: self.track_dirty_pages.or(other.track_dirty_pages),
            huge_pages: self.huge_pages.or(other.huge_pages),
            cpu_template: self.cpu_template.or(other.cpu_template),
        }
    }
}

/// Firecracker's names, and one of ours for transparent huge pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

impl From<HugePages> for HugePagesName {
    fn from(pages: HugePages) -> Self {
        match pages {
            HugePages::Off => Self::None,
            HugePages::Explicit2M => Self::Explicit2M,
            HugePages::Transparent => Self::Transparent,
        }
    }
}

/// The one template there is: the host's processor as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum CpuTemplate {
    /// No template.
    None,
}

/// In words of the subject and not of a type.
fn vcpu_count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u8>, D::Error> {
    let Some(count) = Option::<u64>::deserialize(deserializer)? else { return Ok(None) };
    let small = u8::try_from(count).ok().filter(|count| (1..=MAX_VCPUS).contains(count));
    let refused = || D::Error::custom(format_args!("a machine has 1 to {MAX_VCPUS} vCPUs here, not {count}"));
    small.map(Some).ok_or_else(refused)
}

fn smt<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    only_false(deserializer, "smt: a core has one thread here; send false or leave it out")
}

fn track_dirty_pages<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    only_false(deserializer, "track_dirty_pages: there are no snapshots here; send false or leave it out")
}
