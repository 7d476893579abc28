//! `balloon`

use std::collections::BTreeMap;

use serde::de::Deserializer;
use serde::{Deserialize, Serialize};

use super::only_false;

use crate::devices::virtio::balloon::{self, Handle, PAGES_OF_MIB, Statistic};

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
    /// Free pages are asked for. Not there yet: only `false` is taken.
    #[serde(default, deserialize_with = "free_page_hinting", skip_serializing)]
    pub free_page_hinting: Option<bool>,
}

fn free_page_hinting<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    let words = "free_page_hinting: there is free_page_reporting here; send false or leave it out";
    only_false(deserializer, words)
}

/// `PATCH /balloon`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BalloonUpdate {
    /// MiB that the guest should give to the host from now on.
    pub amount_mib: u32,
}

/// `PATCH /balloon/statistics`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BalloonStatisticsUpdate {
    /// Seconds between statistics from now on.
    pub stats_polling_interval_s: u16,
}

/// `GET /balloon/statistics`: how large the balloon is, and what the guest told last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BalloonStatistics {
    /// Pages of 4 KiB that the guest should give.
    pub target_pages: u32,
    /// Pages that it has given.
    pub actual_pages: u32,
    /// MiB that it should give.
    pub target_mib: u32,
    /// MiB that it has given.
    pub actual_mib: u32,
    /// What it told, by Firecracker's names; what it did not tell is left out.
    #[serde(flatten)]
    pub told: BTreeMap<&'static str, u64>,
}

/// Firecracker's name of a number that a guest tells.
const NAMES: [(&str, Statistic); 16] = [
    ("swap_in", Statistic::SwapIn),
    ("swap_out", Statistic::SwapOut),
    ("major_faults", Statistic::MajorFaults),
    ("minor_faults", Statistic::MinorFaults),
    ("free_memory", Statistic::FreeMemory),
    ("total_memory", Statistic::TotalMemory),
    ("available_memory", Statistic::AvailableMemory),
    ("disk_caches", Statistic::DiskCaches),
    ("hugetlb_allocations", Statistic::HugetlbAllocations),
    ("hugetlb_failures", Statistic::HugetlbFailures),
    ("oom_kill", Statistic::OomKill),
    ("alloc_stall", Statistic::AllocStall),
    ("async_scan", Statistic::AsyncScan),
    ("direct_scan", Statistic::DirectScan),
    ("async_reclaim", Statistic::AsyncReclaim),
    ("direct_reclaim", Statistic::DirectReclaim),
];

impl From<&Handle> for BalloonStatistics {
    fn from(handle: &Handle) -> Self {
        let (target_pages, actual_pages) = balloon::pages(handle.configuration);
        let told =
            NAMES.iter().filter_map(|(name, statistic)| Some((*name, handle.statistics.get(*statistic)?)));
        Self {
            target_pages,
            actual_pages,
            target_mib: target_pages / PAGES_OF_MIB,
            actual_mib: actual_pages / PAGES_OF_MIB,
            told: told.collect(),
        }
    }
}
