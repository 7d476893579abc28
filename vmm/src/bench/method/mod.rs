//! How anything is measured here; `docs/measuring.md` says why.
//!
//! Variants are measured in rounds: each round has a few short blocks of every variant, in a new random order, and the quickest of
//! a variant's blocks counts. What the machine does
//! meanwhile (other load, its frequency, temperature) meets all variants of a round alike, so that differences within
//! rounds show what the totals hide.

pub mod clock;
pub mod samples;
pub mod statistics;

use std::time::{Duration, Instant};

use samples::Samples;

/// What a block came to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Figure {
    /// One call of it: nanoseconds, or what else is measured.
    pub value: f64,
    /// It ended on another processor than it began on.
    pub migrated: bool,
}

impl Figure {
    /// The time of one call, of a whole block's.
    #[expect(clippy::cast_precision_loss, reason = "a block takes far less than 2^52 ns")]
    pub fn per_call(elapsed: Duration, calls: u32, migrated: bool) -> Self {
        Self { value: elapsed.as_nanos() as f64 / f64::from(calls.max(1)), migrated }
    }

    /// The smaller of two.
    #[must_use]
    pub fn smaller(self, other: Self) -> Self {
        if other.value < self.value { other } else { self }
    }
}

/// A variant: how to do one block of it. `E`: why it could not be done.
pub struct Contestant<'a, E> {
    /// It has its blocks in every round of so many; 1 of all. For what takes long before or after its block.
    pub every: usize,
    /// So many blocks in a round, of which the quickest counts.
    pub blocks: usize,
    /// Does one block.
    pub block: Box<dyn FnMut() -> Result<Figure, E> + 'a>,
}

impl<'a, E> Contestant<'a, E> {
    /// With [`BLOCKS`] blocks in every round.
    pub fn new(block: impl FnMut() -> Result<Figure, E> + 'a) -> Self {
        Self { every: 1, blocks: BLOCKS, block: Box::new(block) }
    }
}

impl<'a, E: 'a> Contestant<'a, E> {
    /// With its blocks in every [`OPENED_EVERY`]th round alone, between which something is open that `open` gives: opening it
    /// takes as long as a hundred blocks.
    pub fn within<G>(
        mut open: impl FnMut() -> Result<G, E> + 'a,
        mut block: impl FnMut() -> Result<Figure, E> + 'a,
    ) -> Self {
        let blocks = move || {
            let _open = open()?;
            (1..BLOCKS).try_fold(block()?, |least, _| Ok(least.smaller(block()?)))
        };
        Self { every: OPENED_EVERY, blocks: 1, ..Self::new(blocks) }
    }
}

/// See [`Contestant::within`].
const OPENED_EVERY: usize = 16;

/// Blocks of a variant in a round, of which the quickest counts: what disturbs a block makes it longer, and on a machine that
/// shares its processors with others every other block may be disturbed.
pub const BLOCKS: usize = 6;

/// The variants, and what was measured so far.
pub struct Contest<'a, E> {
    contestants: Vec<Contestant<'a, E>>,
    random: fastrand::Rng,
    /// What was measured.
    pub samples: Samples,
}

impl<'a, E> Contest<'a, E> {
    /// `contestants`: the first is the baseline, with a block in every round. `seed`: of the order of blocks.
    pub fn new(contestants: Vec<Contestant<'a, E>>, seed: u64) -> Self {
        Self { samples: Samples::of(contestants.len()), contestants, random: fastrand::Rng::with_seed(seed) }
    }

    /// The blocks of each whose turn it is.
    ///
    /// # Errors
    /// The first that a block has; the round is not among the samples then.
    pub fn round(&mut self) -> Result<(), E> {
        let round = self.samples.rounds();
        let has_its_turn = |one: &&(usize, &mut Contestant<'a, E>)| round.is_multiple_of(one.1.every.max(1));
        let mut turns: Vec<_> = self.contestants.iter_mut().enumerate().collect();
        turns.retain(|one| has_its_turn(&one));
        let mut order: Vec<usize> =
            turns.iter().enumerate().flat_map(|(turn, one)| vec![turn; one.1.blocks.max(1)]).collect();
        self.random.shuffle(&mut order);
        let mut figures: Vec<Option<Figure>> = vec![None; self.samples.figures.len()];
        for turn in order {
            let (index, contestant) = &mut turns[turn];
            let figure = (contestant.block)()?;
            figures[*index] = Some(figures[*index].map_or(figure, |other| other.smaller(figure)));
        }
        self.samples.add(&figures);
        Ok(())
    }

    /// Rounds until the time is up, but so many at least. `warm_up`: a round before these, which is forgotten.
    ///
    /// # Errors
    /// The first that a block has.
    pub fn run(&mut self, time: Duration, at_least: usize, warm_up: bool) -> Result<(), E> {
        let start = Instant::now();
        if warm_up {
            self.round()?;
            self.samples.forget();
        }
        while self.samples.rounds() < at_least || start.elapsed() < time {
            self.round()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::convert::Infallible;

    use super::*;

    type Unfailing<'a> = Contestant<'a, Infallible>;

    fn noting(log: &RefCell<Vec<usize>>, mark: usize, every: usize) -> Unfailing<'_> {
        let block = move || {
            log.borrow_mut().push(mark);
            Ok(Figure { value: 1.0, migrated: false })
        };
        Contestant { every, ..Contestant::new(block) }
    }

    #[test]
    fn every_round_has_the_blocks_of_each_in_an_order_that_changes() {
        let log = RefCell::new(Vec::new());
        let mut contest = Contest::new((0..3).map(|mark| noting(&log, mark, 1)).collect(), 1);
        for _ in 0..30 {
            let Ok(()) = contest.round();
        }
        let log = log.borrow();
        let rounds: Vec<_> = log.chunks(3 * BLOCKS).collect();
        assert_eq!(rounds.len(), 30);
        for round in &rounds {
            let mut sorted = round.to_vec();
            sorted.sort_unstable();
            assert_eq!(sorted, [[0; BLOCKS], [1; BLOCKS], [2; BLOCKS]].concat());
        }
        assert!(rounds.iter().any(|round| round != &rounds[0]));
    }

    #[test]
    fn a_variant_that_is_not_in_every_round_has_gaps() {
        let log = RefCell::new(Vec::new());
        let mut contest = Contest::new(vec![noting(&log, 0, 1), noting(&log, 1, 4)], 1);
        for _ in 0..8 {
            let Ok(()) = contest.round();
        }
        assert_eq!(log.borrow().iter().filter(|mark| **mark == 1).count(), 2 * BLOCKS);
        let had: Vec<_> = contest.samples.figures[1].iter().map(Option::is_some).collect();
        assert_eq!(had, [true, false, false, false, true, false, false, false]);
    }

    #[test]
    fn the_first_round_is_forgotten_and_there_are_as_many_as_wanted() {
        let rounds = Cell::new(0.0);
        let counting = Contestant::new(|| {
            rounds.set(rounds.get() + 1.0);
            Ok::<_, Infallible>(Figure { value: rounds.get(), migrated: false })
        });
        let counting = Contestant { blocks: 1, ..counting };
        let mut contest = Contest::new(vec![counting], 1);
        let Ok(()) = contest.run(Duration::ZERO, 3, true);
        assert_eq!(contest.samples.figures[0], [Some(2.0), Some(3.0), Some(4.0)]);
    }

    #[test]
    fn of_the_blocks_of_a_round_the_quickest_counts() {
        let mut times = [7.0, 3.0, 9.0, 4.0, 8.0, 5.0].into_iter();
        let one =
            Contestant::new(|| Ok::<_, Infallible>(Figure { value: times.next().unwrap(), migrated: false }));
        let mut contest = Contest::new(vec![one], 1);
        let Ok(()) = contest.round();
        assert_eq!(contest.samples.figures[0], [Some(3.0)]);
    }

    #[test]
    fn a_block_that_fails_ends_the_contest() {
        let failing = Contestant::new(|| Err("no"));
        let mut contest = Contest::new(vec![failing], 1);
        assert_eq!(contest.run(Duration::from_secs(1), 1, true), Err("no"));
        assert_eq!(contest.samples.rounds(), 0);
    }

    #[test]
    fn a_block_s_time_is_that_of_one_call() {
        let figure = Figure::per_call(Duration::from_micros(3), 20, true);
        assert_eq!(figure, Figure { value: 150.0, migrated: true });
    }
}
