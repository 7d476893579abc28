//! How much a device may do in a time: a bucket of tokens for bytes, and one for operations.
//!
//! A bucket is full at first. What is done takes tokens out, and time puts them back, at a rate that fills an empty bucket
//! in its refill time. Amounts are kept in tokens times nanoseconds of the refill time, so that nothing is rounded: over any
//! time, however it is cut into calls, as much is done as the rate says.

use std::time::Duration;

/// How large a bucket is and how fast it fills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Tokens of a full bucket; not 0.
    pub size: u64,
    /// How long an empty one takes to fill; not 0.
    pub refill: Duration,
    /// Tokens beside those of the bucket, which are used up first and do not come back.
    pub burst: u64,
}

/// Two rates; none is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// A token is a byte.
    pub bandwidth: Option<Rate>,
    /// A token is an operation.
    pub operations: Option<Rate>,
}

/// A device's use of its limits.
#[derive(Debug, Default)]
pub struct RateLimiter {
    bandwidth: Option<Bucket>,
    operations: Option<Bucket>,
    /// When there are tokens for the operation that waits.
    resumes: Option<Duration>,
}

#[derive(Debug)]
struct Bucket {
    /// Of a full bucket, in tokens times nanoseconds of the refill time, as below.
    full: i128,
    /// Less than none after an operation that is larger than the bucket.
    level: i128,
    burst: i128,
    /// What a nanosecond adds.
    size: i128,
    /// What a token costs.
    refill: i128,
    /// When the level was that.
    at: Duration,
}

impl Bucket {
    fn new(rate: &Rate, now: Duration) -> Option<Self> {
        // At most 2^64 tokens by 2^94 ns would not fit; a refill of more than 2^62 ns, a century, is cut to that.
        let refill = i128::try_from(rate.refill.as_nanos()).unwrap_or(i128::MAX).min(1 << 62);
        let size = i128::from(rate.size);
        let full = size * refill;
        (full > 0).then(|| Self {
            full,
            level: full,
            burst: i128::from(rate.burst) * refill,
            size,
            refill,
            at: now,
        })
    }

    fn fill(&mut self, now: Duration) {
        let passed = now.saturating_sub(self.at);
        let passed = i128::try_from(passed.as_nanos()).unwrap_or(i128::MAX);
        self.level = self.size.saturating_mul(passed).saturating_add(self.level).min(self.full);
        self.at = self.at.max(now);
    }

    /// What of a cost the burst does not cover.
    fn beyond_burst(&self, tokens: u64) -> i128 {
        (i128::from(tokens) * self.refill - self.burst).max(0)
    }

    /// Nanoseconds until the bucket holds enough; an operation larger than the bucket waits for a full one.
    fn wait(&self, tokens: u64) -> i128 {
        let missing = self.beyond_burst(tokens).min(self.full) - self.level;
        // Rounded up.
        (missing.max(0) + self.size - 1) / self.size
    }

    fn take(&mut self, tokens: u64) {
        self.level -= self.beyond_burst(tokens);
        self.burst = (self.burst - i128::from(tokens) * self.refill).max(0);
    }
}

impl RateLimiter {
    /// Full buckets. `now`: of the clock that all other calls name, too.
    pub fn new(limits: &Limits, now: Duration) -> Self {
        let bucket = |rate: Option<Rate>| rate.and_then(|rate| Bucket::new(&rate, now));
        Self { bandwidth: bucket(limits.bandwidth), operations: bucket(limits.operations), resumes: None }
    }

    /// Takes the tokens of one operation on so many bytes, all or none; false: not before [`Self::resumes`].
    pub fn take(&mut self, now: Duration, bytes: u64) -> bool {
        let mut costs = [(&mut self.bandwidth, bytes), (&mut self.operations, 1)];
        let waits = costs.iter_mut().filter_map(|(bucket, cost)| {
            let bucket = bucket.as_mut()?;
            bucket.fill(now);
            Some(bucket.wait(*cost))
        });
        let wait = waits.max().unwrap_or(0);
        self.resumes = (wait > 0).then(|| now.saturating_add(nanoseconds(wait)));
        if wait > 0 {
            return false;
        }
        for (bucket, cost) in costs {
            if let Some(bucket) = bucket {
                bucket.take(cost);
            }
        }
        true
    }

    /// Full buckets in the place of those for which there is a rate, which may be no limit; the others stay as they are. An
    /// operation that waits is asked for once more.
    pub fn change(&mut self, limits: &Limits, now: Duration) {
        for (bucket, rate) in
            [(&mut self.bandwidth, limits.bandwidth), (&mut self.operations, limits.operations)]
        {
            if let Some(rate) = rate {
                *bucket = Bucket::new(&rate, now);
            }
        }
        self.resumes = self.resumes.map(|_| now);
    }

    /// Whether there is no limit at all.
    fn is_unlimited(&self) -> bool {
        self.bandwidth.is_none() && self.operations.is_none()
    }

    /// When there are tokens for the operation that was refused last; `None` if none was since one was granted.
    pub fn resumes(&self) -> Option<Duration> {
        self.resumes
    }
}

/// A rate limiter with its clock, as a device has it.
#[derive(Debug)]
pub struct Limiter {
    rates: RateLimiter,
    /// The time since some moment.
    clock: fn() -> Duration,
    refused: u64,
}

impl Default for Limiter {
    /// No limits, and no need of a clock.
    fn default() -> Self {
        Self { rates: RateLimiter::default(), clock: || Duration::ZERO, refused: 0 }
    }
}

impl Limiter {
    /// Full buckets.
    pub fn new(limits: &Limits, clock: fn() -> Duration) -> Self {
        Self { rates: RateLimiter::new(limits, clock()), clock, refused: 0 }
    }

    /// A turn begins: what was refused is asked for once more, or a driver that goes back on its word has taken it away, and
    /// then nobody is to wait for it.
    pub fn begin_turn(&mut self) {
        self.rates.resumes = None;
    }

    /// See [`RateLimiter::take`]. Without limits the clock is not looked at.
    pub fn take(&mut self, bytes: u64) -> bool {
        if self.rates.is_unlimited() {
            self.rates.resumes = None;
            return true;
        }
        let granted = self.rates.take((self.clock)(), bytes);
        self.refused += u64::from(!granted);
        granted
    }

    /// How often an operation was refused.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// See [`RateLimiter::change`].
    pub fn change(&mut self, limits: &Limits) {
        self.rates.change(limits, (self.clock)());
    }

    /// See [`RateLimiter::resumes`].
    pub fn resumes(&self) -> Option<Duration> {
        self.rates.resumes()
    }

    /// Whether an operation was refused, and would be granted now.
    pub fn may_go_on(&self) -> bool {
        self.resumes().is_some_and(|resumes| (self.clock)() >= resumes)
    }
}

/// Not negative; what is longer than five centuries is cut.
fn nanoseconds(count: i128) -> Duration {
    Duration::from_nanos(u64::try_from(count).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn rate(size: u64, refill: Duration, burst: u64) -> Rate {
        Rate { size, refill, burst }
    }

    fn of_bytes(size: u64, refill: Duration, burst: u64) -> RateLimiter {
        let limits = Limits { bandwidth: Some(rate(size, refill, burst)), operations: None };
        RateLimiter::new(&limits, Duration::ZERO)
    }

    fn at(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn a_full_bucket_is_used_up_and_then_time_brings_what_the_rate_says() {
        let mut limiter = of_bytes(1000, SECOND, 0);
        assert!(limiter.take(at(0), 600) && limiter.take(at(0), 400));
        assert!(!limiter.take(at(0), 1));
        assert_eq!(limiter.resumes(), Some(at(1)));
        assert!(!limiter.take(at(99), 100));
        assert_eq!(limiter.resumes(), Some(at(100)));
        assert!(limiter.take(at(100), 100) && !limiter.take(at(100), 1));
    }

    #[test]
    fn a_bucket_gets_no_fuller_than_full() {
        let mut limiter = of_bytes(1000, SECOND, 0);
        assert!(limiter.take(at(3_600_000), 1000));
        assert!(!limiter.take(at(3_600_000), 1));
    }

    #[test]
    fn a_burst_is_used_first_and_does_not_come_back() {
        let mut limiter = of_bytes(1000, SECOND, 500);
        assert!(
            limiter.take(at(0), 300) && limiter.take(at(0), 1200),
            "200 of the burst and the whole bucket"
        );
        assert!(!limiter.take(at(0), 1));
        assert!(limiter.take(at(5000), 1000) && !limiter.take(at(5000), 1));
    }

    #[test]
    fn a_change_fills_the_buckets_that_it_names_and_asks_again_for_what_waits() {
        let mut limiter = RateLimiter::new(
            &Limits { bandwidth: Some(rate(1000, SECOND, 0)), operations: Some(rate(1, SECOND, 0)) },
            at(0),
        );
        assert!(limiter.take(at(0), 1000) && !limiter.take(at(0), 10));
        assert_eq!(limiter.resumes(), Some(at(1000)), "for its operation");
        limiter.change(&Limits { bandwidth: None, operations: Some(rate(5, SECOND, 0)) }, at(1));
        assert_eq!(limiter.resumes(), Some(at(1)));
        assert!(!limiter.take(at(1), 10), "the bandwidth is as it was");
        assert_eq!(limiter.resumes(), Some(at(10)));
        limiter.change(&Limits { bandwidth: Some(rate(0, SECOND, 0)), operations: None }, at(2));
        assert!(limiter.take(at(2), u64::MAX), "no limit");
        assert!((0..4).all(|_| limiter.take(at(2), 1)) && !limiter.take(at(2), 1), "five operations");
        limiter.change(&Limits { bandwidth: None, operations: Some(rate(1, Duration::ZERO, 0)) }, at(3));
        assert!(limiter.is_unlimited() && limiter.resumes() == Some(at(3)));
    }

    #[test]
    fn an_operation_larger_than_the_bucket_waits_for_a_full_one_and_is_paid_for_afterwards() {
        let mut limiter = of_bytes(1000, SECOND, 0);
        assert!(limiter.take(at(0), 2500));
        assert!(!limiter.take(at(0), 1));
        assert_eq!(limiter.resumes().map(|resumes| resumes.as_nanos()), Some(1_501_000_000));
        assert!(!limiter.take(at(2000), 2500), "half full");
        assert_eq!(limiter.resumes(), Some(at(2500)));
        assert!(limiter.take(at(2500), 2500));
    }

    #[test]
    fn of_two_limits_the_stricter_holds_and_what_is_refused_costs_neither_anything() {
        let limits = Limits { bandwidth: Some(rate(1000, SECOND, 0)), operations: Some(rate(2, SECOND, 0)) };
        let mut limiter = RateLimiter::new(&limits, Duration::ZERO);
        assert!(limiter.take(at(0), 100) && limiter.take(at(0), 100));
        assert!(!limiter.take(at(0), 100));
        assert_eq!(limiter.resumes(), Some(at(500)));
        assert!(limiter.take(at(500), 1000), "the refused one took no bytes");
        assert!(!limiter.take(at(1000), 600));
        assert_eq!(limiter.resumes(), Some(at(1100)));
    }

    #[test]
    fn without_limits_or_with_empty_ones_nothing_waits() {
        let mut free = RateLimiter::default();
        assert!((0..1000).all(|_| free.take(Duration::ZERO, u64::MAX)));
        for (size, refill) in [(0, SECOND), (1, Duration::ZERO)] {
            let mut limiter = of_bytes(size, refill, 0);
            assert!((0..1000).all(|_| limiter.take(Duration::ZERO, u64::MAX)));
        }
    }

    #[test]
    fn a_clock_that_goes_back_brings_and_takes_nothing() {
        let mut limiter = of_bytes(1000, SECOND, 0);
        assert!(limiter.take(at(10_000), 1000));
        assert!(!limiter.take(at(0), 1));
        assert!(limiter.take(at(10_001), 1));
    }

    proptest! {
        /// However a time is cut into calls, no more is done than the bucket, the burst and the rate give, and no less than
        /// that but for one operation that did not fit.
        #[test]
        fn over_any_time_as_much_is_done_as_the_rate_says(
            size in 1u64..1 << 40,
            refill_ms in 1u64..100_000,
            burst in 0u64..1 << 40,
            steps in proptest::collection::vec((0u64..5000, 1u64..1 << 30), 1..200),
        ) {
            let mut limiter = of_bytes(size, at(refill_ms), burst);
            let (mut now, mut done) = (Duration::ZERO, 0u128);
            for (pause, bytes) in steps {
                let bytes = bytes.min(size);
                now += at(pause);
                if limiter.take(now, bytes) {
                    done += u128::from(bytes);
                }
                let gained = u128::from(size) * now.as_nanos() / at(refill_ms).as_nanos();
                prop_assert!(done <= u128::from(size) + u128::from(burst) + gained);
            }
            // What is refused is granted at the moment that was named, and not a nanosecond before.
            while limiter.take(now, size) {}
            let resumes = limiter.resumes().unwrap();
            let before = resumes.saturating_sub(Duration::from_nanos(1));
            prop_assert!(!limiter.take(before, size));
            prop_assert!(limiter.take(resumes, size));
        }

        #[test]
        fn no_numbers_overflow(
            size in any::<u64>(),
            refill in any::<u64>(),
            burst in any::<u64>(),
            calls in proptest::collection::vec((any::<u64>(), any::<u64>()), 1..20),
        ) {
            let mut limiter = of_bytes(size, Duration::from_millis(refill), burst);
            for (now, bytes) in calls {
                let _ = limiter.take(Duration::from_nanos(now), bytes);
            }
        }
    }
}
