//! The calls that a policy does not name, by their numbers.

use std::ops::RangeInclusive;

use super::MAX_LENGTH;
use super::predicate::{Field, Operator, Predicate, signed};

/// Room for the bounds of a window, `id >= N && id < N && `, at the most digits that a number has.
const BOUNDS: usize = 48;

/// Filters of which exactly one holds for each number that is not in `named`: one, or several where their text would
/// be too long for the kernel. Each then looks at a window of numbers, and the windows leave no gap.
pub(super) fn others(named: impl IntoIterator<Item = u32>) -> Vec<Predicate> {
    let mut windows: Vec<Vec<Run>> = vec![Vec::new()];
    let mut length = BOUNDS;
    for run in runs(named) {
        let added = run.outside().to_string().len() + " && ()".len();
        if length + added > MAX_LENGTH {
            windows.push(Vec::new());
            length = BOUNDS;
        }
        length += added;
        windows.last_mut().expect("one at least").push(run);
    }
    let starts: Vec<_> = windows.iter().skip(1).map(|window| window[0].first).collect();
    let from = |index: usize| index.checked_sub(1).map(|before| starts[before]);
    let bounded = |(index, window): (usize, &Vec<Run>)| {
        let lower = from(index).map(|start| id(Operator::GreaterOrEqual, start));
        let upper = starts.get(index).map(|&start| id(Operator::Less, start));
        Predicate::all(lower.into_iter().chain(upper).chain(window.iter().map(Run::outside)))
    };
    windows.iter().enumerate().map(bounded).collect()
}

/// That a number is this one.
pub(super) fn only(number: u32) -> Predicate {
    id(Operator::Equal, signed(number).cast_signed())
}

/// That a number is one of these, of which none is -1: the field is signed, so that the upper half of all numbers is
/// below zero.
pub(super) fn within(numbers: &RangeInclusive<u32>) -> Predicate {
    let (first, last) = (signed(*numbers.start()).cast_signed(), signed(*numbers.end()).cast_signed());
    let bounds = [id(Operator::GreaterOrEqual, first), id(Operator::LessOrEqual, last)];
    if first <= last { Predicate::all(bounds) } else { Predicate::any(bounds) }
}

fn id(operator: Operator, number: i64) -> Predicate {
    Predicate::compare(Field::Number, operator, number.cast_unsigned())
}

/// Numbers without a gap between them, as the field `id` holds them.
#[derive(Clone, Copy)]
struct Run {
    first: i64,
    last: i64,
}

impl Run {
    fn outside(&self) -> Predicate {
        if self.last - self.first < 2 {
            return Predicate::all((self.first..=self.last).map(|number| id(Operator::NotEqual, number)));
        }
        Predicate::any([id(Operator::Less, self.first), id(Operator::Greater, self.last)])
    }
}

fn runs(numbers: impl IntoIterator<Item = u32>) -> Vec<Run> {
    let mut numbers: Vec<i64> = numbers.into_iter().map(|number| signed(number).cast_signed()).collect();
    numbers.sort_unstable();
    let mut runs: Vec<Run> = Vec::new();
    for number in numbers {
        match runs.last_mut() {
            Some(run) if number <= run.last + 1 => run.last = number,
            _ => runs.push(Run { first: number, last: number }),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::Call;

    fn holding(filters: &[Predicate], number: u32) -> usize {
        let call = Call { number, arch: 0, instruction_pointer: 0, arguments: [0; 6] };
        filters.iter().filter(|filter| filter.holds(&call)).count()
    }

    #[test]
    fn neighbours_are_left_out_as_a_range() {
        let text = others([4, 1, 2, 3, 9, 8, 15]).remove(0).to_string();
        assert_eq!(text, "(id < 1 || id > 4) && id != 8 && id != 9 && id != 15");
    }

    #[test]
    fn a_policy_that_names_nothing_leaves_every_number() {
        assert_eq!(others([]), [Predicate::ALWAYS]);
    }

    #[test]
    fn many_numbers_are_spread_over_filters_of_which_one_holds_for_each_other_number() {
        let named: Vec<u32> = (0..1000).map(|index| 1_000_000_000 + 2 * index).chain([u32::MAX]).collect();
        let filters = others(named.iter().copied());
        assert!(filters.len() > 3, "{} filters", filters.len());
        for filter in &filters {
            assert!(filter.to_string().len() <= MAX_LENGTH);
        }
        for &number in &named {
            assert_eq!(holding(&filters, number), 0, "{number}");
            assert_eq!(holding(&filters, number - 1), 1, "before {number}");
        }
        assert_eq!([0, 999_999_999, 2_000_000_000, 1 << 31].map(|number| holding(&filters, number)), [1; 4]);
    }
}
