//! From samples of several processes to a table.
#![forbid(unsafe_code)]

use super::{Pair, Row, Table, Verdict};
use crate::bench::experiment::Experiment;
use crate::bench::method::samples::Samples;
use crate::bench::method::statistics::{
    Estimate, bootstrap_processes, far_out, median, paired_differences, percentile,
};
use crate::bench::variant::{Part, Variant};
use crate::bench::worker::Found;

/// Seed of the bootstrap: the same samples come to the same interval.
const SEED: u64 = 0x7269_6e67;

/// How far work may seem to cost something else than it does and still count as found, beyond the intervals of both: a share
/// of what it costs, since a processor does some of it while it waits for something else.
const TOLERANCE: f64 = 0.1;

/// The table of an experiment; none without a sample. `found`: what each process found.
pub fn table(experiment: &Experiment, found: &[Found]) -> Option<Table> {
    let variants = &found.first()?.variants;
    // Each process makes the same variants of the same order, unless the machine lets it do something only now and then.
    let alike = found.iter().filter(|other| other.variants == *variants);
    let of_all = Processes(alike.map(|found| &found.samples).collect());
    let verdict = verdict(variants, &of_all);
    let rows = rows(variants, &of_all, &verdict)?;
    let pairs = experiment.pairs.iter().filter_map(|names| pair(*names, variants, &of_all));
    let mut notes: Vec<String> = found.iter().flat_map(|found| found.notes.iter().cloned()).collect();
    if of_all.0.len() < found.len() {
        let unlike = found.len() - of_all.0.len();
        notes.push(format!(
            "{unlike} of {} processes could not measure the same variants, and are left out",
            found.len()
        ));
    }
    notes.sort();
    notes.dedup();
    Some(Table {
        name: experiment.name.to_owned(),
        title: experiment.title.to_owned(),
        unit: experiment.unit,
        call: experiment.call.to_owned(),
        pairs: if verdict == Verdict::Sound { pairs.collect() } else { Vec::new() },
        verdict,
        rounds: of_all.0.iter().map(|samples| samples.rounds()).sum(),
        migrated: of_all.migrated(),
        speed: place(variants, Part::Work).map_or(0.0, |work| of_all.spread(work)),
        rows,
        notes,
    })
}

/// The samples of each process.
struct Processes<'a>(Vec<&'a Samples>);

impl Processes<'_> {
    fn figures(&self, variant: usize) -> Vec<Vec<f64>> {
        let of = |samples: &&Samples| samples.figures[variant].iter().flatten().copied().collect();
        self.0.iter().map(of).collect()
    }

    fn differences(&self, variant: usize, base: usize) -> Vec<Vec<f64>> {
        let of = |samples: &&Samples| paired_differences(&samples.figures[variant], &samples.figures[base]);
        self.0.iter().map(of).collect()
    }

    #[expect(clippy::cast_precision_loss, reason = "numbers of blocks")]
    fn migrated(&self) -> f64 {
        let blocks: usize = self.0.iter().map(|samples| samples.blocks()).sum();
        let migrations: u32 = self.0.iter().map(|samples| samples.migrations).sum();
        f64::from(migrations) / blocks.max(1) as f64
    }

    /// What lies between the slowest twentieth and the fastest, in shares of the middle.
    fn spread(&self, variant: usize) -> f64 {
        let all = self.figures(variant).concat();
        let (Some(low), Some(high)) = (percentile(&all, 0.05), percentile(&all, 0.95)) else { return 0.0 };
        median(&all).map_or(0.0, |middle| (high - low) / middle)
    }
}

fn place(variants: &[Variant], part: Part) -> Option<usize> {
    variants.iter().position(|variant| variant.part == part)
}

/// The baseline is the first of all.
const BASELINE: usize = 0;

fn verdict(variants: &[Variant], of_all: &Processes<'_>) -> Verdict {
    let over_baseline = |variant: usize| bootstrap_processes(&of_all.differences(variant, BASELINE), SEED);
    let control = place(variants, Part::Control).and_then(over_baseline);
    if control.is_some_and(|control| !control.holds_zero()) {
        return Verdict::ControlDiffers;
    }
    let found = place(variants, Part::Planted).and_then(over_baseline);
    let expected =
        place(variants, Part::Work).and_then(|work| bootstrap_processes(&of_all.figures(work), SEED));
    match (found, expected) {
        (Some(found), Some(expected)) if !touches(&found, &expected) => {
            Verdict::PlantedMissed { expected, found }
        }
        (Some(found), Some(expected)) if found.holds_zero() => Verdict::Blurred { expected, found },
        _ => Verdict::Sound,
    }
}

/// Whether the intervals of what was planted and of what was found touch, but for the tolerance.
fn touches(found: &Estimate, expected: &Estimate) -> bool {
    let margin = expected.median * TOLERANCE;
    found.low <= expected.high + margin && found.high >= expected.low - margin
}

/// Whether a verdict lets a difference be shown.
fn lets_show(verdict: &Verdict, difference: &Estimate) -> bool {
    match verdict {
        Verdict::Sound => true,
        Verdict::Blurred { found, .. } => {
            difference.median.abs() > found.half_width() && !difference.holds_zero()
        }
        Verdict::ControlDiffers | Verdict::PlantedMissed { .. } => false,
    }
}

fn rows(variants: &[Variant], of_all: &Processes<'_>, verdict: &Verdict) -> Option<Vec<Row>> {
    let baseline = median(&of_all.figures(BASELINE).concat())?;
    let shown = variants.iter().enumerate().filter(|(_, variant)| variant.part != Part::Work);
    let row = |(index, variant): (usize, &Variant)| {
        let figures = of_all.figures(index);
        let difference = (index != BASELINE)
            .then(|| bootstrap_processes(&of_all.differences(index, BASELINE), SEED))
            .flatten();
        // What the same twice differs by, and what was planted, show why the others are withheld.
        let difference =
            difference.filter(|found| variant.part != Part::Subject || lets_show(verdict, found));
        Some(Row {
            name: variant.name.clone(),
            part: variant.part,
            instructions: variant.instructions,
            executed: variant.executed,
            value: bootstrap_processes(&figures, SEED)?,
            difference,
            share: difference.map(|difference| difference.scaled(1.0 / baseline)),
            blocks: figures.iter().map(Vec::len).sum(),
            far_out: figures.iter().map(|figures| far_out(figures)).sum(),
        })
    };
    Some(shown.filter_map(row).collect())
}

fn pair((one, other): (&str, &str), variants: &[Variant], of_all: &Processes<'_>) -> Option<Pair> {
    let named = |name: &str| variants.iter().position(|variant| variant.name == name);
    let (first, second) = (named(one)?, named(other)?);
    let added = |variant| {
        let differences = of_all.differences(variant, BASELINE);
        differences.iter().map(|differences| median(differences)).collect::<Option<Vec<f64>>>()
    };
    // A process has one ratio: that of its medians.
    let ratios: Vec<Vec<f64>> =
        added(first)?.iter().zip(added(second)?).map(|(one, other)| vec![one / other]).collect();
    Some(Pair {
        one: one.to_owned(),
        other: other.to_owned(),
        difference: bootstrap_processes(&of_all.differences(first, second), SEED)?,
        ratio: bootstrap_processes(&ratios, SEED)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::experiment::EXPERIMENTS;

    /// A process' samples: for each variant what it takes more than the baseline, on a clock that drifts, with noise.
    fn found_by(variants: &[(Part, f64)], seed: u64) -> Found {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut samples = Samples::of(variants.len());
        for round in 0..300_u32 {
            let drift = 1000.0 + f64::from(round);
            for (figures, (part, more)) in samples.figures.iter_mut().zip(variants) {
                let call = if *part == Part::Work { 0.0 } else { drift };
                figures.push(Some(call + more + 4.0 * random.f64()));
            }
        }
        let variants = variants.iter().enumerate();
        let variants = variants.map(|(index, (part, _))| Variant::new(index.to_string(), *part)).collect();
        Found {
            experiment: EXPERIMENTS[0].name.to_owned(),
            variants,
            samples,
            notes: vec!["left out".into()],
        }
    }

    const SOUND: [(Part, f64); 5] = [
        (Part::Baseline, 0.0),
        (Part::Control, 0.0),
        (Part::Planted, 40.0),
        (Part::Work, 38.0),
        (Part::Subject, 25.0),
    ];

    fn table_of(variants: &[(Part, f64)]) -> Table {
        let found: Vec<_> = (0..8).map(|seed| found_by(variants, seed)).collect();
        table(&EXPERIMENTS[0], &found).unwrap()
    }

    #[test]
    fn differences_are_found_under_a_drift_and_work_has_no_row() {
        let table = table_of(&SOUND);
        assert_eq!(table.verdict, Verdict::Sound);
        let parts: Vec<_> = table.rows.iter().map(|row| row.part).collect();
        assert_eq!(parts, [Part::Baseline, Part::Control, Part::Planted, Part::Subject]);
        assert_eq!(table.rows[0].difference, None);
        let subject = table.rows[3].difference.unwrap();
        assert!(subject.holds(25.0) && subject.half_width() < 1.0, "{subject:?}");
        let share = table.rows[3].share.unwrap();
        assert!((0.018..0.025).contains(&share.median), "{share:?}");
        assert_eq!(
            (table.rounds, table.rows[0].blocks, &table.notes[..]),
            (2400, 2400, &["left out".to_owned()][..])
        );
    }

    #[test]
    fn differences_are_withheld_where_the_same_twice_differs() {
        let mut variants = SOUND;
        variants[1].1 = 5.0;
        let table = table_of(&variants);
        assert_eq!(table.verdict, Verdict::ControlDiffers);
        assert_eq!((table.rows[3].difference, table.rows[3].share), (None, None));
        assert!(table.rows[1].difference.is_some(), "how far off it is is said");
    }

    #[test]
    fn differences_are_withheld_where_what_was_planted_is_not_found() {
        for wrong in [0.0, 20.0, 60.0] {
            let mut variants = SOUND;
            variants[2].1 = wrong;
            let table = table_of(&variants);
            assert!(matches!(table.verdict, Verdict::PlantedMissed { .. }), "{:?}", table.verdict);
            assert_eq!(table.rows[3].difference, None);
        }
    }

    #[test]
    fn what_is_as_small_as_work_that_cannot_be_told_from_none_is_withheld() {
        // Processes that differ by more than a filter costs.
        let found: Vec<_> = (0..8_u32)
            .map(|process| {
                let off = f64::from(process % 4) * 30.0 - 45.0;
                let subject = |more| (Part::Subject, more + off);
                let variants = [
                    (Part::Baseline, 0.0),
                    (Part::Control, off / 3.0),
                    (Part::Planted, 20.0 + off),
                    (Part::Work, 20.0),
                    subject(25.0),
                    subject(900.0),
                ];
                found_by(&variants, u64::from(process))
            })
            .collect();
        let table = table(&EXPERIMENTS[0], &found).unwrap();
        assert!(matches!(table.verdict, Verdict::Blurred { .. }), "{:?}", table.verdict);
        assert_eq!(table.rows[3].difference, None);
        assert!(table.rows[4].difference.is_some_and(|found| found.holds(900.0)), "{:?}", table.rows[4]);
    }

    #[test]
    fn pairs_are_taken_round_by_round_too() {
        let variants: Vec<_> = [("base", 0), ("one", 10), ("other", 20)]
            .map(|(name, _)| Variant::new(name, Part::Subject))
            .into();
        let found: Vec<_> = (0..8)
            .map(|seed| {
                found_by(&[(Part::Baseline, 0.0), (Part::Subject, 10.0), (Part::Subject, 20.0)], seed)
            })
            .collect();
        let of_all = Processes(found.iter().map(|found| &found.samples).collect());
        let pair = pair(("one", "other"), &variants, &of_all).unwrap();
        assert!(pair.difference.holds(-10.0) && pair.difference.half_width() < 1.0, "{pair:?}");
        assert!(pair.ratio.holds(0.5) && pair.ratio.half_width() < 0.1, "{pair:?}");
    }
}
