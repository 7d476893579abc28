//! Medians and their intervals. Times on a shared machine have long upper tails, which a mean follows and a median
//! does not.
#![forbid(unsafe_code)]

/// How often the bootstrap draws a sample anew.
const RESAMPLES: usize = 2000;

/// Share of the bootstrap's medians that lie inside an interval.
pub const CONFIDENCE: f64 = 0.99;

/// A median and the interval in which it lies with a probability of [`CONFIDENCE`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The sample's median.
    pub median: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
}

impl Estimate {
    /// Whether the interval holds zero: no difference was seen.
    pub fn holds_zero(&self) -> bool {
        self.low <= 0.0 && self.high >= 0.0
    }
}

/// The middle value, or the mean of the two in the middle; `None` of nothing.
pub fn median(values: &[f64]) -> Option<f64> {
    median_in_place(&mut values.to_vec())
}

fn median_in_place(values: &mut [f64]) -> Option<f64> {
    if values.is_empty() {
        return None;
    }
    let middle = values.len() / 2;
    let is_odd = values.len() % 2 == 1;
    let (below, &mut upper, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
    if is_odd {
        return Some(upper);
    }
    below.iter().copied().max_by(f64::total_cmp).map(|lower| f64::midpoint(lower, upper))
}

/// The median with its interval by the percentile bootstrap; `None` of nothing. The same `seed` gives the same
/// interval.
///
/// Source: Efron and Tibshirani, *An Introduction to the Bootstrap* (1993), chapter 13.
pub fn bootstrap_median(values: &[f64], seed: u64) -> Option<Estimate> {
    bootstrap(values, seed, RESAMPLES)
}

fn bootstrap(values: &[f64], seed: u64, resamples: usize) -> Option<Estimate> {
    let median = median(values)?;
    let mut random = fastrand::Rng::with_seed(seed);
    let mut resample = vec![0.0; values.len()];
    let mut medians: Vec<f64> = (0..resamples)
        .filter_map(|_| {
            resample.fill_with(|| values[random.usize(..values.len())]);
            median_in_place(&mut resample)
        })
        .collect();
    medians.sort_unstable_by(f64::total_cmp);
    let tail = (1.0 - CONFIDENCE) / 2.0;
    Some(Estimate { median, low: quantile(&medians, tail), high: quantile(&medians, 1.0 - tail) })
}

/// The value below which this share of ascending values lies.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "an index into a sample, from a share between 0 and 1"
)]
fn quantile(ascending: &[f64], share: f64) -> f64 {
    ascending[((ascending.len() - 1) as f64 * share).round() as usize]
}

/// What one of two has over the other in each round.
pub fn paired_differences(values: &[f64], baseline: &[f64]) -> Vec<f64> {
    values.iter().zip(baseline).map(|(value, base)| value - base).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values like measured times: most close together, every tenth far above.
    fn noisy(count: usize, shift: f64, seed: u64) -> Vec<f64> {
        let mut random = fastrand::Rng::with_seed(seed);
        let outlier =
            |random: &mut fastrand::Rng| if random.u8(..10) == 0 { 5000.0 * random.f64() } else { 0.0 };
        (0..count).map(|_| shift + random.f64() + outlier(&mut random)).collect()
    }

    #[test]
    fn the_median_of_an_even_number_is_the_mean_of_the_two_in_the_middle() {
        assert_eq!(median(&[9.0, 1.0, 4.0, 2.0]), Some(3.0));
        assert_eq!(median(&[9.0, 1.0, 4.0]), Some(4.0));
        assert_eq!(median(&[7.0]), Some(7.0));
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn far_values_move_the_median_little() {
        let median = median(&noisy(1001, 100.0, 1)).unwrap();
        assert!((100.0..101.0).contains(&median), "{median}");
    }

    #[test]
    fn the_interval_holds_the_median_and_narrows_with_more_values() {
        let few = bootstrap_median(&noisy(50, 0.0, 2), 3).unwrap();
        let many = bootstrap_median(&noisy(5000, 0.0, 2), 3).unwrap();
        for estimate in [few, many] {
            assert!(estimate.low <= estimate.median && estimate.median <= estimate.high, "{estimate:?}");
        }
        assert!(many.high - many.low < (few.high - few.low) / 3.0, "{few:?} {many:?}");
    }

    #[test]
    fn the_interval_seldom_misses_the_true_median_and_is_no_wider_than_it_must_be() {
        // The median of a uniform distribution on 0 to 1 is 0.5; that of 200 values from it has a standard deviation
        // of 1/(2 sqrt(200)) = 0.035, and 99 % of a normal distribution lie within 2.58 of these to either side.
        let estimates: Vec<_> = (0..100)
            .filter_map(|seed| {
                let mut random = fastrand::Rng::with_seed(seed);
                let values: Vec<f64> = (0..200).map(|_| random.f64()).collect();
                bootstrap(&values, seed, 200)
            })
            .collect();
        let misses = estimates.iter().filter(|found| !(found.low..=found.high).contains(&0.5)).count();
        assert!(misses <= 5, "{misses} of 100");
        let widths: Vec<_> = estimates.iter().map(|found| found.high - found.low).collect();
        let width = median(&widths).unwrap();
        assert!((0.14..0.22).contains(&width), "{width}");
    }

    #[test]
    fn the_same_seed_gives_the_same_interval() {
        let values = noisy(100, 0.0, 4);
        assert_eq!(bootstrap_median(&values, 5), bootstrap_median(&values, 5));
        assert_ne!(bootstrap_median(&values, 5), bootstrap_median(&values, 6));
    }

    #[test]
    fn pairing_finds_a_small_difference_under_a_large_drift() {
        let drift: Vec<f64> = (0..1000_u32).map(|round| f64::from(round) * 10.0).collect();
        let with = |own: Vec<f64>| own.iter().zip(&drift).map(|(own, drift)| own + drift).collect::<Vec<_>>();
        let (slow, fast) = (with(noisy(1000, 3.0, 7)), with(noisy(1000, 0.0, 8)));
        let estimate = bootstrap_median(&paired_differences(&slow, &fast), 9).unwrap();
        assert!((2.8..3.2).contains(&estimate.median), "{estimate:?}");
        assert!(!estimate.holds_zero());
    }

    #[test]
    fn two_samples_of_the_same_differ_by_an_interval_that_holds_zero() {
        let estimate = bootstrap_median(&paired_differences(&noisy(1000, 0.0, 1), &noisy(1000, 0.0, 2)), 3);
        assert!(estimate.unwrap().holds_zero());
    }
}
