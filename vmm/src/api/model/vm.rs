//! `vm`

use serde::Deserialize;

/// The body of `PATCH /vm`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vm {
    /// What the machine is to be.
    pub state: VmState,
}

/// What the machine is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum VmState {
    /// No vCPU runs and no device works.
    Paused,
    /// Both go on.
    Resumed,
}
