//! What was learned: a policy for each group of threads, and how the present one stands to it.

use std::collections::BTreeMap;

use seccomp_policies::action::Action;
use seccomp_policies::diff::Extras;
use seccomp_policies::language::Policy;
use seccomp_policies::learn::{Calls, Coverage, Names, Recording, Request, Thread, compare, learn};
use seccomp_policies::syscalls::Arch;

use crate::audit::live::Expected;
use crate::audit::record::policies_of;

/// Everything that was learned.
pub(super) struct Report<'a> {
    /// A group of threads each.
    pub(super) groups: Vec<Group<'a>>,
    /// What all threads together need, from the beginning of the program; none of a run of ringfence, which confines itself, nor
    /// where nobody made a call.
    pub(super) together: Option<Together>,
}

/// How many rules were used. A line that several roles include counts once, as used if one of them did.
pub(super) struct UseOfRules {
    pub(super) used: usize,
    /// Not used, and their text says why.
    pub(super) excused: usize,
    /// The places of the others, as `FILE:LINE`.
    pub(super) unused: Vec<String>,
}

/// A group of threads.
pub(super) struct Group<'a> {
    pub(super) thread: &'a Thread,
    pub(super) learned: Policy,
    pub(super) present: Option<Present<'a>>,
}

/// How the policy that the threads have stands to what was seen.
pub(super) struct Present<'a> {
    pub(super) policy: &'a Policy,
    pub(super) coverage: Coverage,
    /// What the learned policy allows and it does not.
    pub(super) wider: Extras,
    /// Whether the learned one allows less.
    pub(super) is_narrower: bool,
}

/// The policy of a whole process.
pub(super) struct Together {
    pub(super) calls: Calls,
    pub(super) learned: Policy,
}

impl<'a> Report<'a> {
    /// Learns from a recording. `given`: policies that the user names.
    pub(super) fn new(recording: &'a Recording, given: &'a [Expected], otherwise: Action) -> Self {
        // Names of files too, so that no group's are another's.
        let mut names = Names::default();
        let of_all = names.take(TOGETHER.to_owned());
        let group = |thread: &'a Thread| {
            let of_build = || policies_of().iter().find(|policy| policy.role == thread.name);
            let given =
                given.iter().find(|expected| expected.is_for(&thread.name)).map(|expected| &expected.policy);
            let present = given.or_else(|| of_build().filter(|_| thread.is_role));
            let role = names.take(identifier(&thread.name));
            let calls = &thread.calls;
            let learned = learn(Arch::X86_64, &Request { role: &role, calls, otherwise, present });
            let present = present.map(|policy| Present::new(policy, thread, &learned));
            Group { thread, learned, present }
        };
        let groups = recording.threads.iter().map(group).collect();
        let is_other =
            !recording.threads.is_empty() && recording.threads.iter().all(|thread| !thread.is_role);
        let together = is_other.then(|| {
            let calls = recording.together();
            let learned =
                learn(Arch::X86_64, &Request { role: &of_all, calls: &calls, otherwise, present: None });
            Together { calls, learned }
        });
        Self { groups, together }
    }

    /// Whether something was seen that a present policy does not allow.
    pub(super) fn goes_beyond(&self) -> bool {
        self.present().any(|present| !present.coverage.beyond.is_empty())
    }

    /// How far the rules of the present policies are used.
    pub(super) fn use_of_rules(&self) -> UseOfRules {
        let mut places: BTreeMap<&str, (bool, bool)> = BTreeMap::new();
        for rule in self.present().flat_map(|present| &present.coverage.rules) {
            let (is_used, says_why) = places.entry(&rule.rule.place).or_default();
            *is_used |= rule.count > 0;
            *says_why |= rule.untested.is_some();
        }
        let of = |used, why| {
            places.values().filter(|(is_used, says_why)| *is_used == used && *says_why == why).count()
        };
        let unused = places.iter().filter(|(_, (is_used, says_why))| !is_used && !says_why);
        UseOfRules {
            used: of(true, false) + of(true, true),
            excused: of(false, true),
            unused: unused.map(|(place, _)| (*place).to_owned()).collect(),
        }
    }

    fn present(&self) -> impl Iterator<Item = &Present<'a>> {
        self.groups.iter().filter_map(|group| group.present.as_ref())
    }
}

/// The name of the policy of all threads together.
const TOGETHER: &str = "together";

impl<'a> Present<'a> {
    fn new(policy: &'a Policy, thread: &Thread, learned: &Policy) -> Self {
        let coverage = Coverage::of(policy, thread);
        let (wider, is_narrower) = compare(learned, policy);
        Self { policy, coverage, wider, is_narrower }
    }
}

/// A thread's name as a policy spells a role.
pub(super) fn identifier(name: &str) -> String {
    let word = name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' });
    let word: String = word.collect();
    let word = word.trim_matches('_');
    match word.chars().next() {
        None => "thread".to_owned(),
        Some(first) if first.is_ascii_alphabetic() => word.to_owned(),
        Some(_) => format!("thread_{word}"),
    }
}
