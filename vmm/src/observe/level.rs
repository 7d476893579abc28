//! How much matters.

use std::str::FromStr;

/// What a line of the log is worth. Firecracker's levels; each includes those before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Nothing is logged.
    Off,
    /// Something failed.
    Error,
    /// Something is not as it should be.
    Warn,
    /// What happened.
    #[default]
    Info,
    /// How it happened.
    Debug,
    /// All there is.
    Trace,
}

impl Level {
    /// As a line has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "OFF",
            Self::Error => "ERROR",
            Self::Warn => "WARN",
            Self::Info => "INFO",
            Self::Debug => "DEBUG",
            Self::Trace => "TRACE",
        }
    }
}

/// A word that is no level.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no level of a log: these are Off, Error, Warn (or Warning), Info, Debug and Trace, in any case"
)]
pub struct NoLevel(String);

impl FromStr for Level {
    type Err = NoLevel;

    fn from_str(text: &str) -> Result<Self, NoLevel> {
        match text.to_ascii_lowercase().as_str() {
            "off" => Ok(Self::Off),
            "error" => Ok(Self::Error),
            "warn" | "warning" => Ok(Self::Warn),
            "info" => Ok(Self::Info),
            "debug" => Ok(Self::Debug),
            "trace" => Ok(Self::Trace),
            _ => Err(NoLevel(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_read_in_any_case_and_includes_those_before_it() {
        assert_eq!("WARNING".parse(), Ok(Level::Warn));
        assert_eq!("warn".parse(), Ok(Level::Warn));
        assert!("loud".parse::<Level>().unwrap_err().to_string().contains("`loud` is no level"));
        assert!(Level::Off < Level::Error && Level::Info < Level::Debug);
    }
}
