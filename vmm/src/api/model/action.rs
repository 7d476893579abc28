//! `actions`

use serde::Deserialize;

/// The body of `PUT /actions`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Action {
    /// What is to be done.
    pub action_type: ActionType,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum ActionType {
    /// Start the machine.
    InstanceStart,
    /// Press Ctrl, Alt and Del.
    SendCtrlAltDel,
    /// Write the metrics now.
    FlushMetrics,
}
