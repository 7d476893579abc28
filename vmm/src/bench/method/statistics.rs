//! Medians and their intervals. Times on a shared machine have long upper tails, which a mean follows and a median
//! does not.
//!
//! What is measured again in a fresh process comes out a little differently: other pages, other cache lines. So processes are
//! the sample, and rounds within one are a sample of that process: the bootstrap draws processes, and within each of
//! them rounds.
#![forbid(unsafe_code)]

use serde::{Deserialize, Serialize};

/// How often the bootstrap draws a sample anew: the ends of an interval of few processes lie far out.
const RESAMPLES: usize = 20_000;

/// Share of the bootstrap's medians that lie inside an interval.
pub const CONFIDENCE: f64 = 0.99;

/// A median and the interval in which it lies with a probability of [`CONFIDENCE`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The median of the sample.
    pub median: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
}

impl Estimate {
    /// Whether the interval holds zero: no difference was seen.
    pub fn holds_zero(&self) -> bool {
        self.holds(0.0)
    }

    /// Whether the interval holds this value.
    pub fn holds(&self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }

    /// The longer of the interval's halves.
    pub fn half_width(&self) -> f64 {
        (self.median - self.low).max(self.high - self.median)
    }

    /// With an interval that goes so far to either side at least.
    fn at_least(self, half_width: f64) -> Self {
        Self {
            low: self.low.min(self.median - half_width),
            high: self.high.max(self.median + half_width),
            ..self
        }
    }

    /// The same of values that are so many times as large; `factor` is not below zero.
    #[must_use]
    pub fn scaled(&self, factor: f64) -> Self {
        Self { median: self.median * factor, low: self.low * factor, high: self.high * factor }
    }
}

/// The middle value, or the mean of the two in the middle; `None` of nothing.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    middle(&sorted)
}

fn middle(ascending: &[f64]) -> Option<f64> {
    let half = ascending.len() / 2;
    if ascending.len() % 2 == 1 {
        return ascending.get(half).copied();
    }
    Some(f64::midpoint(*ascending.get(half.checked_sub(1)?)?, *ascending.get(half)?))
}

/// The median with its interval by the percentile bootstrap; `None` of nothing. The same `seed` gives the same
/// interval.
///
/// Source: Efron and Tibshirani, *An Introduction to the Bootstrap* (1993), chapter 13.
pub fn bootstrap_median(values: &[f64], seed: u64) -> Option<Estimate> {
    let ascending = sorted(values);
    let mut random = fastrand::Rng::with_seed(seed);
    let medians = (0..RESAMPLES).filter_map(|_| resampled_median(&ascending, &mut random)).collect();
    Some(interval(middle(&ascending)?, medians, (1.0 - CONFIDENCE) / 2.0))
}

/// The median of the processes' medians, with its interval by the bootstrap in two stages; `None` of nothing. `processes`: the
/// values of each.
///
/// A percentile bootstrap of few processes is too narrow; its tail is moved out as far as Student's distribution lies beyond the
/// normal one (Hesterberg, "What Teachers Should Know About the Bootstrap", The American Statistician 69 (2015), section
/// 5.3). Of fewer than [`ENOUGH`] even the outermost medians hold the true one too seldom; then the interval is at least
/// Student's, as of normally distributed medians.
pub fn bootstrap_processes(processes: &[Vec<f64>], seed: u64) -> Option<Estimate> {
    let processes: Vec<Vec<f64>> =
        processes.iter().filter(|values| !values.is_empty()).map(|values| sorted(values)).collect();
    if let [only] = &processes[..] {
        return bootstrap_median(only, seed);
    }
    let own: Vec<f64> = processes.iter().filter_map(|values| middle(values)).collect();
    let mut random = fastrand::Rng::with_seed(seed);
    let mut drawn = vec![0.0; processes.len()];
    let mut draw = || {
        for place in &mut drawn {
            *place = resampled_median(&processes[random.usize(..processes.len())], &mut random)?;
        }
        drawn.sort_unstable_by(f64::total_cmp);
        middle(&drawn)
    };
    let medians = (0..RESAMPLES).map_while(|_| draw()).collect();
    let drawn = interval(median(&own)?, medians, expanded_tail(processes.len()));
    Some(if own.len() < ENOUGH { drawn.at_least(student_half_width(&own)) } else { drawn })
}

/// Processes of which the outermost medians hold the true one at 99 %: the chance that all of `n` lie to one side of it is 2 in
/// 2^n.
pub const ENOUGH: usize = 8;

/// Half the interval of a median of normally distributed values: that of the mean, and a quarter more, by which a median of these
/// varies more (the square root of pi/2).
#[expect(clippy::cast_precision_loss, reason = "a number of processes")]
fn student_half_width(values: &[f64]) -> f64 {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0).max(1.0);
    let student = STUDENT.get(values.len().saturating_sub(2)).unwrap_or(&STUDENT[0]);
    student * (variance / count).sqrt() * (std::f64::consts::PI / 2.0).sqrt()
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted
}

fn interval(median: f64, mut medians: Vec<f64>, tail: f64) -> Estimate {
    medians.sort_unstable_by(f64::total_cmp);
    // The sample's own median need not lie among those that were drawn.
    let (low, high) = (quantile(&medians, tail), quantile(&medians, 1.0 - tail));
    Estimate { median, low: low.min(median), high: high.max(median) }
}

/// The median of a sample drawn anew from ascending values, without drawing it: the middle one of `n` independent uniform
/// ranks has a beta distribution with both parameters `(n + 1) / 2`, and the value at such a rank is the median of the resample
/// (David and Nagaraja, *Order Statistics* (2003), section 2.2).
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a rank within a sample, from a share between 0 and 1"
)]
fn resampled_median(ascending: &[f64], random: &mut fastrand::Rng) -> Option<f64> {
    let last = ascending.len().checked_sub(1)?;
    let half = f64::midpoint(ascending.len() as f64, 1.0);
    let (one, other) = (gamma(half, random), gamma(half, random));
    let rank = (one / (one + other) * ascending.len() as f64) as usize;
    ascending.get(rank.min(last)).copied()
}

/// A value of the gamma distribution with scale 1: Marsaglia and Tsang, "A Simple Method for Generating Gamma Variables",
/// ACM Transactions on Mathematical Software 26 (2000). `shape`: 1 or more.
fn gamma(shape: f64, random: &mut fastrand::Rng) -> f64 {
    let d = shape - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    loop {
        let x = normal(random);
        let v = (1.0 + c * x).powi(3);
        if v > 0.0 && (1.0 - random.f64()).ln() < 0.5 * x * x + d - d * v + d * v.ln() {
            return d * v;
        }
    }
}

/// A value of the standard normal distribution (Box and Muller 1958).
fn normal(random: &mut fastrand::Rng) -> f64 {
    let radius = (-2.0 * (1.0 - random.f64()).ln()).sqrt();
    radius * (2.0 * std::f64::consts::PI * random.f64()).cos()
}

/// 99.5 % quantile of Student's distribution with 1, 2, ... degrees of freedom; with more it is hardly above that of the normal
/// one. Source: any table, e. g. NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.6.7.2.
const STUDENT: [f64; 15] = [
    63.657, 9.925, 5.841, 4.604, 4.032, 3.707, 3.499, 3.355, 3.250, 3.169, 3.106, 3.055, 3.012, 2.977, 2.947,
];

/// The share that is left out at either end for so many processes: what lies beyond `sqrt(n / (n - 1))` times Student's quantile
/// in a normal distribution.
#[expect(clippy::cast_precision_loss, reason = "a number of processes")]
fn expanded_tail(processes: usize) -> f64 {
    let student = STUDENT.get(processes.saturating_sub(2)).unwrap_or(&2.9);
    let count = processes as f64;
    normal_tail((count / (count - 1.0).max(0.5)).sqrt() * student)
}

/// The share of a normal distribution above a value of 1 or more: Abramowitz and Stegun, *Handbook of Mathematical
/// Functions*, formula 26.2.12 to its fifth term.
fn normal_tail(x: f64) -> f64 {
    let density = (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
    let y = x.powi(-2);
    density / x * (1.0 - y * (1.0 - 3.0 * y * (1.0 - 5.0 * y * (1.0 - 7.0 * y))))
}

/// The value below which this share of ascending values lies.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "an index into a sample, from a share between 0 and 1"
)]
fn quantile(ascending: &[f64], share: f64) -> f64 {
    ascending
        .get((ascending.len().saturating_sub(1) as f64 * share).round() as usize)
        .copied()
        .unwrap_or(f64::NAN)
}

/// The value below which this share of all lies; `None` of nothing.
pub fn percentile(values: &[f64], share: f64) -> Option<f64> {
    (!values.is_empty()).then(|| quantile(&sorted(values), share))
}

/// What one of two has over the other in each round in which both had a block.
pub fn paired_differences(values: &[Option<f64>], baseline: &[Option<f64>]) -> Vec<f64> {
    values.iter().zip(baseline).filter_map(|(value, base)| Some((*value)? - (*base)?)).collect()
}

/// How many values lie further above the upper quartile than three times what the quartiles are apart: Tukey, *Exploratory Data
/// Analysis* (1977), "far out".
pub fn far_out(values: &[f64]) -> usize {
    let ascending = sorted(values);
    if ascending.is_empty() {
        return 0;
    }
    let (first, third) = (quantile(&ascending, 0.25), quantile(&ascending, 0.75));
    let fence = third + 3.0 * (third - first);
    ascending.iter().filter(|value| **value > fence).count()
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

    fn paired(values: &[f64], baseline: &[f64]) -> Vec<f64> {
        let all = |values: &[f64]| values.iter().copied().map(Some).collect::<Vec<_>>();
        paired_differences(&all(values), &all(baseline))
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
                bootstrap_median(&values, seed)
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
        let values = noisy(3000, 0.0, 4);
        assert_eq!(bootstrap_median(&values, 5), bootstrap_median(&values, 5));
        assert_ne!(bootstrap_median(&values, 5), bootstrap_median(&values, 6));
    }

    #[test]
    fn pairing_finds_a_small_difference_under_a_large_drift() {
        let drift: Vec<f64> = (0..1000_u32).map(|round| f64::from(round) * 10.0).collect();
        let with = |own: Vec<f64>| own.iter().zip(&drift).map(|(own, drift)| own + drift).collect::<Vec<_>>();
        let (slow, fast) = (with(noisy(1000, 3.0, 7)), with(noisy(1000, 0.0, 8)));
        let estimate = bootstrap_median(&paired(&slow, &fast), 9).unwrap();
        assert!((2.8..3.2).contains(&estimate.median), "{estimate:?}");
        assert!(!estimate.holds_zero());
    }

    #[test]
    fn two_samples_of_the_same_differ_by_an_interval_that_holds_zero() {
        let estimate = bootstrap_median(&paired(&noisy(1000, 0.0, 1), &noisy(1000, 0.0, 2)), 3);
        assert!(estimate.unwrap().holds_zero());
    }

    #[test]
    fn rounds_in_which_one_of_the_two_had_no_block_are_left_out() {
        assert_eq!(paired_differences(&[Some(5.0), None, Some(7.0)], &[Some(1.0), Some(1.0), None]), [4.0]);
    }

    #[test]
    fn the_median_of_a_resample_is_distributed_as_if_it_were_drawn() {
        let values: Vec<f64> = (0..51_u32).map(f64::from).collect();
        let mut random = fastrand::Rng::with_seed(1);
        let spread = |medians: Vec<f64>| {
            let medians = sorted(&medians);
            [0.05, 0.5, 0.95].map(|share| quantile(&medians, share))
        };
        let quick = spread((0..20_000).filter_map(|_| resampled_median(&values, &mut random)).collect());
        let drawn = (0..20_000).filter_map(|_| {
            let resample: Vec<f64> = values.iter().map(|_| values[random.usize(..values.len())]).collect();
            median(&resample)
        });
        let drawn = spread(drawn.collect());
        for (quick, drawn) in quick.iter().zip(&drawn) {
            assert!((quick - drawn).abs() <= 1.0, "{quick} {drawn}");
        }
    }

    /// Processes that differ by more than the rounds within each.
    fn processes(count: usize, seed: u64) -> Vec<Vec<f64>> {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut process = || {
            let own = normal(&mut random);
            (0..100).map(|_| own + 0.1 * normal(&mut random)).collect()
        };
        (0..count).map(|_| process()).collect()
    }

    #[test]
    fn intervals_of_few_processes_hold_what_is_common_to_all() {
        for count in [2, 3, 5, 8, 12] {
            let misses = (0..200)
                .filter_map(|seed| bootstrap_processes(&processes(count, seed), seed))
                .filter(|estimate| !estimate.holds_zero())
                .count();
            // At 99 % two of 200 are to be expected; more than eight come once in a thousand times.
            assert!(misses <= 8, "{misses} of 200 with {count} processes");
        }
    }

    #[test]
    fn of_eight_processes_the_interval_reaches_the_outermost() {
        // A plain percentile bootstrap stops one before: five of eight draws are the same one in a thousand times.
        let processes: Vec<Vec<f64>> = (1..=8_u32).map(|own| vec![f64::from(own)]).collect();
        let estimate = bootstrap_processes(&processes, 1).unwrap();
        assert_eq!((estimate.low, estimate.median, estimate.high), (1.0, 4.5, 8.0));
    }

    #[test]
    fn rounds_make_up_for_no_processes() {
        let few = bootstrap_processes(&processes(8, 1), 1).unwrap();
        let pooled: Vec<f64> = processes(8, 1).concat();
        let pooled = bootstrap_median(&pooled, 1).unwrap();
        assert!(few.half_width() > 3.0 * pooled.half_width(), "{few:?} {pooled:?}");
    }

    #[test]
    fn one_process_is_a_sample_of_its_rounds_and_none_is_nothing() {
        let one = processes(1, 3);
        assert_eq!(bootstrap_processes(&one, 4), bootstrap_median(&one[0], 4));
        assert_eq!(bootstrap_processes(&[], 4), None);
        assert_eq!(bootstrap_processes(&[Vec::new()], 4), None);
    }

    #[test]
    fn tails_are_those_of_a_table() {
        // Abramowitz and Stegun, table 26.1.
        assert!((normal_tail(3.0) / 1.349_898e-3 - 1.0).abs() < 0.01);
        assert!((normal_tail(3.5) / 2.326_291e-4 - 1.0).abs() < 0.01);
        assert!(expanded_tail(8) < expanded_tail(12) && expanded_tail(12) < expanded_tail(1000));
    }

    #[test]
    fn what_lies_far_out_is_counted() {
        let mut values: Vec<f64> = (0..100_u32).map(f64::from).collect();
        assert_eq!(far_out(&values), 0);
        values.extend([1000.0, 2000.0]);
        assert_eq!((far_out(&values), far_out(&[])), (2, 0));
    }
}
