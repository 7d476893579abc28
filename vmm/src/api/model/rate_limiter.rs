//! `rate_limiter` of drives, interfaces and the entropy device.

use std::time::Duration;

use serde::Deserialize;

use crate::devices::virtio::{Limits, Rate};

/// Two buckets of tokens; one that is left out is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimiter {
    /// A token is a byte.
    pub bandwidth: Option<TokenBucket>,
    /// A token is an operation.
    pub ops: Option<TokenBucket>,
}

/// A bucket. A size or a time of 0 is no limit, as in Firecracker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenBucket {
    /// Tokens of a full one.
    pub size: u64,
    /// Tokens that are there once beside them, and used up first.
    pub one_time_burst: Option<u64>,
    /// Milliseconds in which an empty one fills.
    pub refill_time: u64,
}

impl From<TokenBucket> for Rate {
    fn from(bucket: TokenBucket) -> Self {
        Self {
            size: bucket.size,
            refill: Duration::from_millis(bucket.refill_time),
            burst: bucket.one_time_burst.unwrap_or(0),
        }
    }
}

impl From<RateLimiter> for Limits {
    fn from(limiter: RateLimiter) -> Self {
        Self { bandwidth: limiter.bandwidth.map(Rate::from), operations: limiter.ops.map(Rate::from) }
    }
}
