//! `entropy`

use serde::{Deserialize, Serialize};

use super::RateLimiter;

/// The entropy device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entropy {
    /// How much it may give in a time.
    pub rate_limiter: Option<RateLimiter>,
}
