//! `vsock`

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::role::devices::VsockConfig;

/// The socket device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vsock {
    /// The guest's address.
    pub guest_cid: u32,
    /// The Unix socket on the host.
    pub uds_path: PathBuf,
    /// A name, which Firecracker takes and has no use for any more.
    #[serde(skip_serializing)]
    pub vsock_id: Option<String>,
}

impl From<Vsock> for VsockConfig {
    fn from(vsock: Vsock) -> Self {
        Self { cid: vsock.guest_cid, path: vsock.uds_path }
    }
}

impl From<VsockConfig> for Vsock {
    fn from(config: VsockConfig) -> Self {
        Self { guest_cid: config.cid, uds_path: config.path, vsock_id: None }
    }
}
