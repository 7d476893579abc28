//! `entropy`

use serde::Deserialize;

/// The entropy device. Firecracker's `rate_limiter` is not there yet, and refused by name.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entropy {}
