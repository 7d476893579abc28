//! The union of many sets, one after the other.

use super::Calls;

/// A growing union that can be asked, before each addition, what the addition brings.
///
/// Parts of like size are joined as in a binary counter, so that n additions copy each diagram log n times; joining
/// each set to the whole would copy the whole n times.
#[derive(Debug, Default)]
pub struct Union {
    /// How many sets each part holds, descending, and the part.
    parts: Vec<(usize, Calls)>,
}

impl Union {
    /// The union of nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// The union of one set.
    pub(super) fn of(calls: Calls) -> Self {
        Self { parts: vec![(1, calls)] }
    }

    /// Adds a set.
    pub fn add(&mut self, calls: Calls) {
        let mut last = (1, calls);
        while let Some((sets, part)) = self.parts.pop_if(|(sets, _)| *sets <= last.0) {
            last = (sets + last.0, part.union(&last.1));
        }
        self.parts.push(last);
    }

    /// The calls that the union does not have yet.
    pub fn new_in(&self, calls: &Calls) -> Calls {
        self.parts.iter().fold(calls.clone(), |left, (_, part)| left.without(part))
    }

    /// The whole; `None` if nothing was added.
    pub fn into_calls(self) -> Option<Calls> {
        self.parts.into_iter().map(|(_, part)| part).reduce(|joined, part| joined.union(&part))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::{Condition, Relation, Test, Width};
    use crate::prove::Space;

    fn fd_is(space: &Space, fd: u64) -> Calls {
        let relation = Relation::Equal(fd);
        space.calls(&Condition::Test(Test { argument: 0, width: Width::Bits32, relation }))
    }

    #[test]
    fn a_union_has_what_was_added_and_nothing_else() {
        let space = Space::new();
        let mut union = Union::new();
        for fd in 0..9 {
            assert_eq!(union.new_in(&fd_is(&space, fd)), fd_is(&space, fd));
            union.add(fd_is(&space, fd));
            assert!(union.new_in(&fd_is(&space, fd)).is_empty());
        }
        let relation = Relation::LessOrEqual(8);
        let low = space.calls(&Condition::Test(Test { argument: 0, width: Width::Bits32, relation }));
        assert_eq!(union.into_calls(), Some(low));
    }

    #[test]
    fn additions_leave_a_part_for_each_bit_of_their_number() {
        let space = Space::new();
        let mut union = Union::new();
        for fd in 0..400 {
            union.add(fd_is(&space, fd));
        }
        assert_eq!(union.parts.iter().map(|(sets, _)| *sets).collect::<Vec<_>>(), [256, 128, 16]);
    }
}
