//! `serial`

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Where the guest's serial port is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Serial {
    /// A file, to whose end it is written, or a named pipe.
    pub serial_out_path: PathBuf,
}
