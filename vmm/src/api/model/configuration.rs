//! The whole of a machine: Firecracker's configuration file.

use serde::{Deserialize, Serialize};

use super::{Balloon, BootSource, Drive, Entropy, MachineConfig, NetworkInterface, Vsock};

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
}
