//! `rate_limiter` of drives, interfaces and the entropy device.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::devices::virtio::{Limits, Rate};

/// Two buckets of tokens; one that is left out is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimiter {
    /// A token is a byte.
    pub bandwidth: Option<TokenBucket>,
    /// A token is an operation.
    pub ops: Option<TokenBucket>,
}

/// A bucket. A size or a time of 0 is no limit, as in Firecracker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

impl From<Rate> for TokenBucket {
    fn from(rate: Rate) -> Self {
        Self {
            size: rate.size,
            one_time_burst: Some(rate.burst),
            refill_time: u64::try_from(rate.refill.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

impl TokenBucket {
    fn is_a_limit(&self) -> bool {
        self.size > 0 && self.refill_time > 0
    }
}

impl RateLimiter {
    /// What is left of `present` when a client sends this: a bucket that is absent stays, and one that is no limit takes it away.
    pub fn instead_of(self, present: Option<Self>) -> Option<Self> {
        let present = present.unwrap_or_default();
        let bucket = |new: Option<TokenBucket>, old| new.or(old).filter(TokenBucket::is_a_limit);
        let limiter =
            Self { bandwidth: bucket(self.bandwidth, present.bandwidth), ops: bucket(self.ops, present.ops) };
        (limiter != Self::default()).then_some(limiter)
    }

    /// The limiter as the API shows it; `None` where there is no limit.
    pub fn of(limits: Limits) -> Option<Self> {
        let limiter = Self {
            bandwidth: limits.bandwidth.map(TokenBucket::from),
            ops: limits.operations.map(TokenBucket::from),
        };
        (limiter != Self::default()).then_some(limiter)
    }
}
