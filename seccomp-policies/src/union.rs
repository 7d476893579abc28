//! Several policies as one that allows what any of them allows.

use crate::action::Action;
use crate::language::{Condition, Policy, Rule, Slot, Tier};
use crate::pattern::is_carried_out;
use crate::syscalls::Syscall;

/// The union of policies of one architecture: a call is carried out if one of them carries it out, and otherwise
/// answered as the first of them that speaks of it answers. `None` for no policies.
///
/// # Panics
/// If the policies are of several architectures, whose calls have nothing in common.
pub fn union(policies: &[Policy]) -> Option<Policy> {
    let [first, others @ ..] = policies else { return None };
    assert!(others.iter().all(|other| other.arch == first.arch), "policies of several architectures");
    if others.is_empty() {
        return Some(first.clone());
    }
    // What `otherwise log` lets through is more than what `otherwise allow` does: the numbers of the x32 ABI.
    let says = |otherwise| policies.iter().find(|policy| policy.otherwise == otherwise);
    let open = says(Action::Log).or_else(|| says(Action::Allow));
    let roles: Vec<_> = policies.iter().map(|policy| policy.role.as_str()).collect();
    Some(Policy {
        role: roles.join("+"),
        tier: Tier::Filter,
        otherwise: open.unwrap_or(first).otherwise,
        arch: first.arch,
        slots: slots(policies),
        rules: calls(policies).into_iter().flat_map(|call| rules(policies, call)).collect(),
    })
}

fn slots(policies: &[Policy]) -> Vec<Slot> {
    let mut slots: Vec<Slot> = policies.iter().flat_map(|policy| policy.slots.iter().cloned()).collect();
    slots.sort_by_key(|slot| slot.first);
    slots.dedup();
    slots
}

/// Every call that a rule names, in the order of the policies.
fn calls(policies: &[Policy]) -> Vec<&'static Syscall> {
    let mut calls: Vec<&'static Syscall> = Vec::new();
    for rule in policies.iter().flat_map(|policy| &policy.rules) {
        if !calls.contains(&rule.call) {
            calls.push(rule.call);
        }
    }
    calls
}

/// The rules for a call: first those that allow, since one is enough, then those that refuse.
fn rules(policies: &[Policy], call: &'static Syscall) -> Vec<Rule> {
    let allowing = policies.iter().flat_map(|policy| allowing(policy, call));
    let refusing =
        policies.iter().flat_map(|policy| of(policy, call)).filter(|rule| !is_carried_out(rule.action));
    allowing.chain(refusing.cloned()).collect()
}

fn of<'a>(policy: &'a Policy, call: &'static Syscall) -> impl Iterator<Item = &'a Rule> {
    policy.rules.iter().filter(move |rule| rule.call == call)
}

/// What a policy allows of a call, as rules that do not depend on its others.
fn allowing(policy: &Policy, call: &'static Syscall) -> Vec<Rule> {
    let mut refused: Vec<Condition> = Vec::new();
    let mut allowing = Vec::new();
    for rule in of(policy, call) {
        if is_carried_out(rule.action) {
            allowing.push(Rule { condition: outside(&rule.condition, &refused), ..rule.clone() });
        } else {
            refused.push(rule.condition.clone());
        }
    }
    if is_carried_out(policy.otherwise) {
        allowing.push(Rule {
            call,
            condition: outside(&Condition::Always, &refused),
            action: policy.otherwise,
            expression: String::new(),
            reason: format!("{} allows what its rules do not refuse", policy.role),
            file: policy.role.clone(),
            line: 0,
        });
    }
    allowing
}

/// Where a condition holds and none of the refused ones does.
fn outside(condition: &Condition, refused: &[Condition]) -> Condition {
    if refused.is_empty() {
        return condition.clone();
    }
    let none = Condition::Not(Box::new(Condition::Any(refused.to_vec())));
    Condition::All(vec![condition.clone(), none])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compile::probes;
    use crate::language;
    use crate::syscalls::Arch;

    fn policy(text: &str) -> Policy {
        let text = format!("role r\ntier filter\n{text}\n");
        let checked = language::check_sources("r.policy", &[("r.policy", &text)], Arch::X86_64);
        checked.unwrap_or_else(|errors| panic!("{errors}")).policy
    }

    #[test]
    fn a_call_is_carried_out_if_one_of_the_policies_carries_it_out() {
        let policies = [
            "otherwise trap\nread: fd == 3 -- a\nread: errno EPERM if fd == 4 -- b\nread: count == 8 -- c",
            "otherwise errno ENOSYS\nread: errno EACCES if count == 9 -- a\nread: fd == 4 -- b\nwrite: -- c",
            "otherwise allow\nread: errno EPERM if fd < 6 -- a\nclose: trap -- b",
            "otherwise kill\nclose: fd == 1 -- a\ngetpid: -- b",
            "otherwise log\nclose: trap if fd == 1 -- a\nwrite: errno EPERM -- b",
        ]
        .map(policy);
        let mut compared = 0;
        for pair in
            policies.iter().flat_map(|one| policies.iter().map(move |other| [one.clone(), other.clone()]))
        {
            let both = union(&pair).unwrap();
            for call in pair.iter().flat_map(probes).chain(probes(&both)) {
                let expected = pair.iter().any(|policy| is_carried_out(policy.decide(&call)));
                assert_eq!(is_carried_out(both.decide(&call)), expected, "{call:?} of {pair:#?}");
                compared += 1;
            }
        }
        assert!(compared > 1000, "{compared}");
    }

    #[test]
    fn a_call_that_none_carries_out_gets_the_answer_of_the_first_that_speaks_of_it() {
        let first = policy("otherwise trap\nread: -- a");
        let second = policy("otherwise kill\nwrite: errno EPERM -- a\nread: -- b");
        let both = union(&[first, second]).unwrap();
        let answer = |name| {
            let number = crate::syscalls::by_name(Arch::X86_64, name).unwrap().number;
            both.decide(&crate::pattern::Pattern::of(number).example(Arch::X86_64)).to_string()
        };
        assert_eq!((answer("write"), answer("close")), ("errno 1".to_owned(), "trap".to_owned()));
    }

    #[test]
    fn one_policy_is_its_own_union() {
        let alone = policy("otherwise trap\nread: -- a");
        assert_eq!(union(std::slice::from_ref(&alone)), Some(alone));
        assert_eq!(union(&[]), None);
    }
}
