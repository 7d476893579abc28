//! What a balloon is to be.

use crate::api::model;
use crate::devices::virtio::balloon::{PAGES_OF_MIB, Properties};
use crate::machine::HugePages;

/// What a balloon is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BalloonConfig {
    /// MiB that the guest should give at first.
    pub mib: u32,
    /// The guest may take them back before one of its processes dies.
    pub deflate_on_oom: bool,
    /// Seconds between statistics; 0: none.
    pub statistics_s: u16,
    /// Free pages are released.
    pub free_page_reporting: bool,
}

impl From<model::Balloon> for BalloonConfig {
    fn from(balloon: model::Balloon) -> Self {
        Self {
            mib: balloon.amount_mib,
            deflate_on_oom: balloon.deflate_on_oom,
            statistics_s: balloon.stats_polling_interval_s,
            free_page_reporting: balloon.free_page_reporting,
        }
    }
}

/// Why there can be no such balloon.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It wants more than there is.
    #[error(
        "a balloon of {mib} MiB is larger than the guest's memory of {memory_mib} MiB; make one of them fit the other"
    )]
    Larger {
        /// What was asked for.
        mib: u32,
        /// What the guest has.
        memory_mib: u32,
    },
    /// Its pages are pieces of larger ones, which cannot be given back by themselves.
    #[error(
        "a balloon gives back pages of 4 KiB, and with --huge-pages 2m there are none; leave one of them out"
    )]
    HugePages,
}

impl BalloonConfig {
    /// Whether a machine can have it.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn check(&self, memory_mib: u32, huge_pages: HugePages) -> Result<(), Error> {
        match huge_pages {
            HugePages::Explicit2M => Err(Error::HugePages),
            _ if self.mib > memory_mib => Err(Error::Larger { mib: self.mib, memory_mib }),
            _ => Ok(()),
        }
    }

    /// The balloon as the API shows it.
    pub fn to_model(self) -> model::Balloon {
        model::Balloon {
            amount_mib: self.mib,
            deflate_on_oom: self.deflate_on_oom,
            stats_polling_interval_s: self.statistics_s,
            free_page_reporting: self.free_page_reporting,
            free_page_hinting: None,
        }
    }

    /// What the device is.
    pub fn properties(&self) -> Properties {
        Properties {
            target: self.mib.saturating_mul(PAGES_OF_MIB),
            deflate_on_oom: self.deflate_on_oom,
            statistics: self.statistics_s > 0,
            reporting: self.free_page_reporting,
        }
    }

    /// A balloon as the command line has it: `MIB[,deflate-on-oom][,statistics=SECONDS][,free-page-reporting]`.
    ///
    /// # Errors
    /// See [`TextError`].
    pub fn from_text(text: &str) -> Result<Self, TextError> {
        let mut parts = text.split(',');
        let size = parts.next().unwrap_or_default();
        let mib = size.parse().map_err(|_| TextError::Size(size.to_owned()))?;
        let mut balloon = Self { mib, deflate_on_oom: false, statistics_s: 0, free_page_reporting: false };
        for option in parts {
            match option.split_once('=') {
                None if option == "deflate-on-oom" => balloon.deflate_on_oom = true,
                None if option == "free-page-reporting" => balloon.free_page_reporting = true,
                Some(("statistics", seconds)) => {
                    let parsed = seconds.parse().ok().filter(|seconds| *seconds > 0);
                    balloon.statistics_s = parsed.ok_or_else(|| TextError::Seconds(seconds.to_owned()))?;
                }
                _ => return Err(TextError::Option(option.to_owned())),
            }
        }
        Ok(balloon)
    }
}

/// What is wrong with the text of a balloon.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// No number of MiB.
    #[error("a balloon begins with the MiB that the guest should give, a number from 0 on, not `{0}`")]
    Size(String),
    /// No number of seconds.
    #[error("statistics=SECONDS takes 1 to 65535 seconds, not `{0}`")]
    Seconds(String),
    /// An option that is not known.
    #[error(
        "`{0}` is no option of a balloon: these are deflate-on-oom, statistics=SECONDS and free-page-reporting"
    )]
    Option(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_balloon_is_no_larger_than_memory_and_has_no_huge_pages() {
        let balloon = BalloonConfig::from_text("128").unwrap();
        assert_eq!(balloon.check(128, HugePages::Transparent), Ok(()));
        assert_eq!(balloon.check(127, HugePages::Off), Err(Error::Larger { mib: 128, memory_mib: 127 }));
        assert_eq!(balloon.check(128, HugePages::Explicit2M), Err(Error::HugePages));
    }

    #[test]
    fn a_balloon_as_text_is_a_size_and_options() {
        let balloon = BalloonConfig::from_text;
        let plain =
            BalloonConfig { mib: 64, deflate_on_oom: false, statistics_s: 0, free_page_reporting: false };
        assert_eq!(balloon("64"), Ok(plain));
        assert_eq!(
            balloon("0,statistics=5,free-page-reporting,deflate-on-oom"),
            Ok(BalloonConfig { mib: 0, deflate_on_oom: true, statistics_s: 5, free_page_reporting: true })
        );
        for (text, error) in [
            ("", TextError::Size(String::new())),
            ("-1", TextError::Size("-1".into())),
            ("1,statistics", TextError::Option("statistics".into())),
            ("1,statistics=0", TextError::Seconds("0".into())),
            ("1,statistics=x", TextError::Seconds("x".into())),
            ("1,", TextError::Option(String::new())),
        ] {
            assert_eq!(balloon(text), Err(error));
        }
    }
}
