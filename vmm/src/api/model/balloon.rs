//! `balloon`

use serde::{Deserialize, Serialize};

/// The memory balloon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Balloon {
    /// MiB that the guest should give to the host.
    pub amount_mib: u32,
    /// The guest may take memory back before a process has to die for want of it.
    pub deflate_on_oom: bool,
    /// Seconds between statistics of the guest's memory; 0: none.
    #[serde(default)]
    pub stats_polling_interval_s: u16,
    /// Free pages are given to the host, though they stay the guest's.
    #[serde(default)]
    pub free_page_reporting: bool,
}
