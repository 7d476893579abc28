//! Names that are each given out once.

use std::collections::BTreeSet;

/// The names that are taken.
#[derive(Debug, Default)]
pub struct Names(BTreeSet<String>);

impl Names {
    /// Takes a name, or where it is taken the first that is free with a number behind it.
    pub fn take(&mut self, name: String) -> String {
        let numbered = (2..).map(|number: u32| format!("{name}_{number}"));
        let free = [name.clone()].into_iter().chain(numbered).find(|name| !self.0.contains(name));
        let free = free.unwrap_or(name);
        self.0.insert(free.clone());
        free
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_taken_gets_a_number_that_is_free() {
        let mut names = Names::default();
        let taken = ["a", "a_2", "a", "b", "a"].map(|name| names.take(name.to_owned()));
        assert_eq!(taken, ["a", "a_2", "a_3", "b", "a_4"]);
    }
}
