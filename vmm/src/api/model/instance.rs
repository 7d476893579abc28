//! What `GET /` and `GET /version` answer.

use serde::Serialize;

/// `GET /`
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InstanceInfo<'machine> {
    /// `--id`
    pub id: &'machine str,
    /// `Not started`, `Running` or `Paused`.
    pub state: &'static str,
    /// The version of Firecracker that this is compatible with.
    pub vmm_version: &'static str,
    /// As clients expect it.
    pub app_name: &'static str,
}

/// `GET /version`
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FirecrackerVersion {
    /// The version of Firecracker that this is compatible with.
    pub firecracker_version: &'static str,
    /// This program's own.
    pub ringfence_version: &'static str,
}
