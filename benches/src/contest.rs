//! Variants side by side, as benchmarks of Criterion: `ringfence::bench::method` says how.
#![forbid(unsafe_code)]

use std::convert::Infallible;
use std::fmt::Display;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId};
use ringfence::bench::experiment::Prepared;
use ringfence::bench::method::statistics::{Estimate, bootstrap_median, median, paired_differences};
use ringfence::bench::method::{self, Figure};
use ringfence::bench::{self, variant::Part};

use crate::or_stop;
use crate::table::Unit;

/// Seed of the order of blocks and of the bootstrap: the same order in each run, as random as any.
const SEED: u64 = 0x7269_6e67;

/// A variant: its name, and how to do one block of it.
pub struct Contestant<'a> {
    /// As tables and Criterion's history have it.
    pub name: &'static str,
    /// Does one block and gives the time of one call in it, in nanoseconds.
    pub block: Box<dyn FnMut() -> f64 + 'a>,
}

/// The variants, and what was measured so far. `E`: why a block could not be done.
pub struct Contest<'a, E = Infallible> {
    names: Vec<String>,
    calls_per_round: u64,
    inner: method::Contest<'a, E>,
}

impl<'a> Contest<'a> {
    /// `contestants`: the first is the baseline. Each has one block in a round.
    pub fn new(contestants: Vec<Contestant<'a>>, calls_per_block: u64) -> Self {
        let names = contestants.iter().map(|contestant| contestant.name.to_owned()).collect();
        let one = |mut contestant: Contestant<'a>| {
            let block = move || Ok(Figure { value: (contestant.block)(), migrated: false });
            method::Contestant { blocks: 1, ..method::Contestant::new(block) }
        };
        let inner = method::Contest::new(contestants.into_iter().map(one).collect(), SEED);
        Self { names, calls_per_round: calls_per_block, inner }
    }
}

impl Contest<'static, bench::Error> {
    /// What `ringfence bench` measures, but for the work alone. `calls`: of a variant in a round, about.
    pub fn of(prepared: Prepared, calls: u64) -> Self {
        let is_shown = |part: Part| part != Part::Work;
        let (variants, contestants): (Vec<_>, Vec<_>) = prepared
            .variants
            .into_iter()
            .zip(prepared.contestants)
            .filter(|(variant, _)| is_shown(variant.part))
            .unzip();
        let names = variants.into_iter().map(|variant| variant.name).collect();
        Self { names, calls_per_round: calls, inner: method::Contest::new(contestants, SEED) }
    }
}

impl<E: Display> Contest<'_, E> {
    fn round(&mut self) {
        or_stop(self.inner.round());
    }

    /// Does as many whole rounds as it takes for this many calls of one contestant; gives the time of exactly so
    /// many of its calls.
    #[expect(clippy::cast_precision_loss, reason = "numbers of calls are far below 2^52")]
    fn measure(&mut self, contestant: usize, calls: u64) -> Duration {
        let before = self.rounds();
        for _ in 0..calls.div_ceil(self.calls_per_round) {
            self.round();
        }
        // Of a variant that has not its turn in every round there may be no new figure: then the last one counts.
        let times = &self.inner.samples.figures[contestant];
        let new: Vec<f64> = times[before..].iter().flatten().copied().collect();
        let last = || times.iter().rev().flatten().next().copied().unwrap_or_default();
        let nanoseconds_per_call =
            if new.is_empty() { last() } else { new.iter().sum::<f64>() / new.len() as f64 };
        Duration::from_secs_f64(nanoseconds_per_call * calls as f64 / 1e9)
    }

    /// Makes each contestant a benchmark of Criterion. Whichever it measures, all run; Criterion's own warm-up makes
    /// rounds like any other.
    pub fn run(&mut self, group: &mut BenchmarkGroup<'_, WallTime>) {
        for contestant in 0..self.names.len() {
            let name = self.names[contestant].clone();
            group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
                bencher.iter_custom(|calls| self.measure(contestant, calls));
            });
        }
    }

    /// Rounds so far.
    pub fn rounds(&self) -> usize {
        self.inner.samples.rounds()
    }

    /// What each contestant needs in nanoseconds a call, and what it needs more than the first; nothing before the
    /// first round.
    pub fn results(&self) -> Vec<Outcome> {
        let all = &self.inner.samples.figures;
        let Some(baseline) = all.first() else { return Vec::new() };
        let middle = median(&baseline.iter().flatten().copied().collect::<Vec<_>>());
        let result = |(name, times): (&String, &Vec<Option<f64>>)| {
            let differences = paired_differences(times, baseline);
            let times: Vec<f64> = times.iter().flatten().copied().collect();
            let (time, difference) = (bootstrap_median(&times, SEED)?, bootstrap_median(&differences, SEED)?);
            Some(Outcome { name: name.clone(), time, difference, baseline: middle? })
        };
        self.names.iter().zip(all).filter_map(result).collect()
    }
}

/// What was found about one contestant. Nanoseconds a call.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The contestant.
    pub name: String,
    /// Its own time.
    pub time: Estimate,
    /// What it needs more than the baseline in the same round.
    pub difference: Estimate,
    /// Median of the baseline.
    pub baseline: f64,
}

impl Outcome {
    /// A row of a table: these cells, the time, the difference from the first, and its interval.
    pub fn row(&self, mut cells: Vec<String>, unit: Unit) -> Vec<String> {
        let difference = &self.difference;
        cells.extend([
            unit.time(self.time.median),
            unit.difference(difference.median),
            unit.interval(difference),
        ]);
        cells
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn constant(name: &'static str, nanoseconds: f64) -> Contestant<'static> {
        Contestant { name, block: Box::new(move || nanoseconds) }
    }

    #[test]
    fn calls_come_in_whole_blocks_and_their_time_is_that_of_the_calls_asked_for() {
        let blocks = Cell::new(0);
        let counted = Contestant {
            name: "counted",
            block: Box::new(|| {
                blocks.set(blocks.get() + 1);
                100.0
            }),
        };
        let mut contest = Contest::new(vec![constant("other", 7.0), counted], 10);
        assert_eq!(contest.measure(1, 25), Duration::from_nanos(2500));
        assert_eq!((blocks.get(), contest.rounds()), (3, 3));
    }

    #[test]
    fn differences_are_taken_round_by_round_against_the_first() {
        let clock = Cell::new(0.0);
        let drifting = |name, own: f64| Contestant {
            name,
            block: Box::new({
                let clock = &clock;
                move || {
                    clock.set(clock.get() + 0.01);
                    clock.get() + own
                }
            }),
        };
        let mut contest = Contest::new(vec![drifting("base", 0.0), drifting("slower", 50.0)], 1);
        contest.measure(0, 2000);
        let results = contest.results();
        let (base, slower) = (&results[0], &results[1]);
        assert_eq!((base.name.as_str(), base.difference.median), ("base", 0.0));
        assert!((slower.difference.median - 50.0).abs() < 0.1, "{slower:?}");
        assert!(slower.time.high - slower.time.low > 1.0, "the drift shows in the times themselves");
    }

    #[test]
    fn a_contest_without_a_round_has_no_results() {
        assert_eq!(Contest::new(vec![constant("a", 1.0)], 1).results(), []);
    }
}
