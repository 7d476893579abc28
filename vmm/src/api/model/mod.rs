//! The resources of Firecracker's API as JSON: one file for each. The configuration file and the bodies of requests have
//! the same types; a member that is not known here is refused by name.

mod balloon;
mod boot_source;
mod configuration;
mod drive;
mod entropy;
mod machine_config;
mod network_interface;
mod rate_limiter;

pub use balloon::Balloon;
pub use boot_source::BootSource;
pub use configuration::Configuration;
pub use drive::{CacheType, Drive};
pub use entropy::Entropy;
pub use machine_config::{HugePagesName, MachineConfig};
pub use network_interface::NetworkInterface;
pub use rate_limiter::{RateLimiter, TokenBucket};
