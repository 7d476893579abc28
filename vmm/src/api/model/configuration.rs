//! The whole of a machine: Firecracker's configuration file.

use serde::{Deserialize, Serialize};

use super::{
    Balloon, BootSource, Console, CpuConfig, Drive, Entropy, Logger, MachineConfig, MemoryHotplug, Metrics,
    MmdsConfig, NetworkInterface, Pmem, Serial, Vsock,
};

/// What a configuration file holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Configuration {
    /// What the machine runs.
    #[serde(rename = "boot-source")]
    pub boot_source: BootSource,
    /// Processors and memory.
    #[serde(rename = "machine-config", default)]
    pub machine_config: MachineConfig,
    /// Disks, in their order.
    #[serde(default)]
    pub drives: Vec<Drive>,
    /// Network interfaces, in their order.
    #[serde(rename = "network-interfaces", default)]
    pub network_interfaces: Vec<NetworkInterface>,
    /// A source of random bytes.
    pub entropy: Option<Entropy>,
    /// The memory balloon.
    pub balloon: Option<Balloon>,
    /// Streams between guest and host.
    pub vsock: Option<Vsock>,
    /// Where the log goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logger: Option<Logger>,
    /// Where metrics go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics: Option<Metrics>,
    /// Where the guest's user sits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub console: Option<Console>,
    /// Where the serial port is written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial: Option<Serial>,
    /// Firecracker's files have it; only its absence is taken, as for the three after it.
    #[serde(rename = "cpu-config", skip_serializing)]
    pub cpu_config: Option<CpuConfig>,
    /// See [`MmdsConfig`].
    #[serde(rename = "mmds-config", skip_serializing)]
    pub mmds_config: Option<MmdsConfig>,
    /// See [`Pmem`].
    #[serde(default, skip_serializing)]
    pub pmem: Vec<Pmem>,
    /// See [`MemoryHotplug`].
    #[serde(rename = "memory-hotplug", skip_serializing)]
    pub memory_hotplug: Option<MemoryHotplug>,
}

impl Configuration {
    /// A machine with nothing but what it runs.
    pub fn of(boot_source: BootSource) -> Self {
        Self {
            boot_source,
            machine_config: MachineConfig::default(),
            drives: Vec::new(),
            network_interfaces: Vec::new(),
            entropy: None,
            balloon: None,
            vsock: None,
            console: None,
            logger: None,
            metrics: None,
            serial: None,
            cpu_config: None,
            mmds_config: None,
            pmem: Vec::new(),
            memory_hotplug: None,
        }
    }
}
