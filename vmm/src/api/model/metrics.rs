//! `metrics`

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Where metrics go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metrics {
    /// A file or a named pipe.
    pub metrics_path: PathBuf,
}
