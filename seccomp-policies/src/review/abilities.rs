//! What calls are good for, in a reviewer's words: `abilities.tsv`, and what a policy's own slots say of descriptors.

use std::fmt::Write as _;

use crate::language::{Condition, Policy, Relation, Slot, Test, check_sources};
use crate::prove::{Calls, Decisions, Space};
use crate::syscalls::{Arch, Syscall, all, by_name};

/// The ability that depends on a policy's slots.
pub(super) const FOREIGN_DESCRIPTOR: &str = "use a descriptor that it was not given";

/// An ability, and every call that gives it.
pub(super) struct Ability {
    pub(super) name: &'static str,
    pub(super) calls: Calls,
}

/// A row of the table: ability, call, and with which arguments.
type Row = (&'static str, &'static str, Option<&'static str>);

fn rows() -> impl Iterator<Item = Row> {
    let lines = include_str!("abilities.tsv").lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| {
        let mut columns = line.split('\t');
        let (ability, call, arguments) = (columns.next()?, columns.next()?, columns.next()?);
        Some((ability, call, Some(arguments).filter(|arguments| *arguments != "-")))
    })
}

/// The abilities of the table, in its order.
pub(super) fn abilities(arch: Arch) -> Vec<Ability> {
    let mut names: Vec<&'static str> = Vec::new();
    for (name, ..) in rows() {
        if names.last() != Some(&name) {
            names.push(name);
        }
    }
    names.into_iter().map(|name| Ability { name, calls: calls_of(arch, name) }).collect()
}

/// As a policy of its own that allows these calls.
fn calls_of(arch: Arch, ability: &str) -> Calls {
    let mut text = "role ability\ntier filter\notherwise kill\n".to_owned();
    // Calls that an architecture has not got give nothing there.
    for (_, call, arguments) in
        rows().filter(|row| row.0 == ability).filter(|row| by_name(arch, row.1).is_some())
    {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{call}: {} -- {ability}", arguments.unwrap_or_default());
    }
    let checked = check_sources("ability", &[("ability", &text)], arch);
    Decisions::of_policy(
        &checked.expect("the table is a policy, which a test holds for every architecture").policy,
    )
    .allowed()
}

/// Every call on a descriptor that no slot of the policy names.
pub(super) fn on_foreign_descriptors(policy: &Policy) -> Calls {
    let space = Space::new();
    let native = space.of_arch(policy.arch.audit_value());
    let of_call = |syscall: &Syscall| {
        let foreign: Vec<Condition> = syscall
            .descriptors()
            .map(|(argument, described)| {
                let test = |relation| Condition::Test(Test { argument, width: described.width, relation });
                let outside = |slot: &Slot| {
                    Condition::Any(vec![
                        test(Relation::Less(slot.first.into())),
                        test(Relation::Greater(slot.last.into())),
                    ])
                };
                // Negative numbers are none, and say something else: the present folder, or no file at all.
                let is_one = test(Relation::LessOrEqual(i32::MAX.cast_unsigned().into()));
                Condition::All(policy.slots.iter().map(outside).chain([is_one]).collect())
            })
            .collect();
        let condition = Condition::Any(foreign);
        native.intersection(&space.numbered(syscall.number)).intersection(&space.calls(&condition))
    };
    let with_descriptors = all(policy.arch).iter().filter(|syscall| syscall.descriptors().next().is_some());
    with_descriptors.map(of_call).fold(space.none(), |every, calls| every.union(&calls))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_a_call_that_some_architecture_has_with_arguments_that_it_has() {
        for arch in Arch::ALL {
            for ability in abilities(arch) {
                assert!(!ability.calls.is_empty(), "{} on {arch}", ability.name);
            }
        }
        for (ability, call, _) in rows() {
            assert!(Arch::ALL.iter().any(|arch| by_name(*arch, call).is_some()), "{ability}: {call}");
        }
    }
}
