//! The resources of Firecracker's API as JSON: one file for each. The configuration file and the bodies of requests have
//! the same types; a member that is not known here is refused by name.

mod absent;
mod action;
mod balloon;
mod boot_source;
mod configuration;
mod console;
mod drive;
mod entropy;
mod instance;
mod logger;
mod machine_config;
mod metrics;
mod network_interface;
mod rate_limiter;
mod serial;
mod vm;
mod vsock;

use absent::only_false;
pub use absent::{CpuConfig, MemoryHotplug, MmdsConfig, Pmem, VhostUserSocket};
pub use action::{Action, ActionType};
pub use balloon::{Balloon, BalloonStatistics, BalloonStatisticsUpdate, BalloonUpdate};
pub use boot_source::BootSource;
pub use configuration::Configuration;
pub use console::{Console, ConsoleKind};
pub use drive::{CacheType, Drive, DriveUpdate, IoEngine, PartUuid};
pub use entropy::Entropy;
pub use instance::{FirecrackerVersion, InstanceInfo};
pub use logger::Logger;
pub use machine_config::{CpuTemplate, HugePagesName, MachineConfig};
pub use metrics::Metrics;
pub use network_interface::{NetworkInterface, NetworkInterfaceUpdate};
pub use rate_limiter::{RateLimiter, TokenBucket};
pub use serial::Serial;
pub use vm::{Vm, VmState};
pub use vsock::Vsock;
