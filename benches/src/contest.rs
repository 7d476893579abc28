//! Several variants measured in rounds: each round has one block of every variant, in a new random order.
//!
//! What the machine does meanwhile (other load, its frequency, temperature) meets all variants of a round alike, so
//! that differences within rounds show what the totals hide.
#![forbid(unsafe_code)]

use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId};

use crate::statistics::{Estimate, bootstrap_median, median, paired_differences};
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

/// The variants, and what was measured so far.
pub struct Contest<'a> {
    contestants: Vec<Contestant<'a>>,
    calls_per_block: u64,
    order: Vec<usize>,
    random: fastrand::Rng,
    /// Nanoseconds a call, by contestant and round.
    times: Vec<Vec<f64>>,
}

impl<'a> Contest<'a> {
    /// `contestants`: the first is the baseline.
    pub fn new(contestants: Vec<Contestant<'a>>, calls_per_block: u64) -> Self {
        Self {
            order: (0..contestants.len()).collect(),
            times: vec![Vec::new(); contestants.len()],
            contestants,
            calls_per_block,
            random: fastrand::Rng::with_seed(SEED),
        }
    }

    fn round(&mut self) {
        self.random.shuffle(&mut self.order);
        for &index in &self.order {
            let nanoseconds = (self.contestants[index].block)();
            self.times[index].push(nanoseconds);
        }
    }

    /// Does as many whole rounds as it takes for this many calls of one contestant; gives the time of exactly so
    /// many of its calls.
    #[expect(clippy::cast_precision_loss, reason = "numbers of calls are far below 2^52")]
    fn measure(&mut self, contestant: usize, calls: u64) -> Duration {
        let before = self.times[contestant].len();
        for _ in 0..calls.div_ceil(self.calls_per_block) {
            self.round();
        }
        let new = &self.times[contestant][before..];
        let nanoseconds_per_call = new.iter().sum::<f64>() / new.len().max(1) as f64;
        Duration::from_secs_f64(nanoseconds_per_call * calls as f64 / 1e9)
    }

    /// Makes each contestant a benchmark of Criterion. Whichever it measures, all run; Criterion's own warm-up makes
    /// rounds like any other.
    pub fn run(&mut self, group: &mut BenchmarkGroup<'_, WallTime>) {
        for contestant in 0..self.contestants.len() {
            let name = self.contestants[contestant].name;
            group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
                bencher.iter_custom(|calls| self.measure(contestant, calls));
            });
        }
    }

    /// Rounds so far.
    pub fn rounds(&self) -> usize {
        self.times.first().map_or(0, Vec::len)
    }

    /// What each contestant needs in nanoseconds a call, and what it needs more than the first; nothing before the
    /// first round.
    pub fn results(&self) -> Vec<Outcome> {
        let Some(baseline) = self.times.first() else { return Vec::new() };
        let result = |(contestant, times): (&Contestant<'_>, &Vec<f64>)| {
            let differences = paired_differences(times, baseline);
            let (time, difference) = (bootstrap_median(times, SEED)?, bootstrap_median(&differences, SEED)?);
            Some(Outcome { name: contestant.name, time, difference, baseline: median(baseline)? })
        };
        self.contestants.iter().zip(&self.times).filter_map(result).collect()
    }
}

/// What was found about one contestant. Nanoseconds a call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    /// The contestant.
    pub name: &'static str,
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
    use std::cell::{Cell, RefCell};

    use super::*;

    fn constant(name: &'static str, nanoseconds: f64) -> Contestant<'static> {
        Contestant { name, block: Box::new(move || nanoseconds) }
    }

    #[test]
    fn every_round_has_one_block_of_each_in_an_order_that_changes() {
        let log = RefCell::new(Vec::new());
        let note = |name, mark: u8| Contestant {
            name,
            block: Box::new({
                let log = &log;
                move || {
                    log.borrow_mut().push(mark);
                    1.0
                }
            }),
        };
        let mut contest = Contest::new(vec![note("a", 0), note("b", 1), note("c", 2)], 1);
        contest.measure(0, 30);
        let log = log.borrow();
        let rounds: Vec<_> = log.chunks(3).collect();
        assert_eq!(rounds.len(), 30);
        for round in &rounds {
            let mut sorted = round.to_vec();
            sorted.sort_unstable();
            assert_eq!(sorted, [0, 1, 2]);
        }
        assert!(rounds.iter().any(|round| round != &rounds[0]));
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
        let (base, slower) = (results[0], results[1]);
        assert_eq!((base.name, base.difference.median), ("base", 0.0));
        assert!((slower.difference.median - 50.0).abs() < 0.1, "{slower:?}");
        assert!(slower.time.high - slower.time.low > 1.0, "the drift shows in the times themselves");
    }

    #[test]
    fn a_contest_without_a_round_has_no_results() {
        assert_eq!(Contest::new(vec![constant("a", 1.0)], 1).results(), []);
    }
}
