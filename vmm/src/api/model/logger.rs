//! `logger`

use std::path::PathBuf;

use serde::de::{Deserializer, Error as _};
use serde::{Deserialize, Serialize, Serializer};

use crate::observe::Level;

/// Where the log goes, and what of it. What is absent is as it was, or by default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Logger {
    /// A file, to whose end it is written, or a named pipe.
    pub log_path: Option<PathBuf>,
    /// What matters less than this is left out.
    pub level: Option<Level>,
    /// Whether lines have their level.
    pub show_level: Option<bool>,
    /// Whether lines have the place in the program that they come from.
    pub show_log_origin: Option<bool>,
    /// Lines of other modules are left out: those whose path begins otherwise, as in `ringfence::role`.
    pub module: Option<String>,
}

impl<'de> Deserialize<'de> for Level {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl Serialize for Level {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}
