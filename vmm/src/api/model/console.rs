//! `console`, which Firecracker has not

use serde::{Deserialize, Serialize};

/// Where a guest's user sits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Console {
    /// At which of its devices.
    pub kind: ConsoleKind,
}

/// A device for a guest's user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum ConsoleKind {
    /// The serial port.
    #[default]
    Serial,
    /// A console device (virtio-console) beside it.
    Virtio,
}
