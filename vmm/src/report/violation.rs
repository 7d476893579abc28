//! A refused call in the words of the policy: what was asked, decoded, and the rule that came nearest to it.

use seccomp_policies::call::Call;
use seccomp_policies::embed::Embedded;
use seccomp_policies::language::{self, Policy};
use seccomp_policies::syscalls::{self, Arch, decode};

/// A call that a thread was refused.
#[derive(Debug)]
pub struct Violation {
    /// The thread's name.
    pub thread: String,
    /// Its role.
    pub role: String,
    /// The call as the kernel saw it.
    pub call: Call,
    /// The call's name; `None` for a number that no call has.
    pub name: Option<&'static str>,
    /// The call with its arguments decoded.
    pub text: String,
    /// The rule of the same call that the arguments came nearest to.
    pub nearest: Option<NearestRule>,
}

/// A rule that nearly allowed a call.
#[derive(Debug)]
pub struct NearestRule {
    /// The rule's file and line.
    pub place: String,
    /// The rule.
    pub rule: String,
    /// Its reason.
    pub reason: String,
    /// The tests of it that the call failed.
    pub failed: String,
}

/// Violations of a kind: calls of one number by one thread that came nearest to the same rule.
#[derive(Debug)]
pub struct Kind {
    /// The first of them.
    pub first: Violation,
    /// How many were seen.
    pub count: u64,
}

/// Violations by kind, in the order in which each kind came first.
#[derive(Debug, Default)]
pub struct Kinds(Vec<Kind>);

impl Kinds {
    /// Adds one; the same, if it is the first of its kind.
    pub fn add(&mut self, violation: Violation) -> Option<&Violation> {
        if let Some(kind) = self.0.iter_mut().find(|kind| kind.first.is_of_a_kind_with(&violation)) {
            kind.count += 1;
            return None;
        }
        self.0.push(Kind { first: violation, count: 1 });
        self.0.last().map(|kind| &kind.first)
    }

    /// Each kind.
    pub fn iter(&self) -> impl Iterator<Item = &Kind> {
        self.0.iter()
    }
}

impl Violation {
    /// A call that a thread under `policy` was refused.
    pub fn new(thread: String, policy: &'static Embedded, call: Call) -> Self {
        // The embedded text was checked by the build, so it checks here; if it did not, the report would go without.
        let (root, _) = policy.sources.first().copied().unwrap_or_default();
        let checked = language::check_sources(root, policy.sources, Arch::X86_64).ok();
        let nearest = checked.and_then(|checked| nearest(&checked.policy, &call));
        Self::with_nearest(thread, policy.role.to_owned(), Arch::X86_64, call, nearest)
    }

    /// A call that a thread under a policy read at run time was refused.
    pub fn of_policy(thread: String, policy: &Policy, call: Call) -> Self {
        Self::with_nearest(thread, policy.role.clone(), policy.arch, call, nearest(policy, &call))
    }

    fn is_of_a_kind_with(&self, other: &Self) -> bool {
        let place = |violation: &Self| violation.nearest.as_ref().map(|nearest| nearest.place.clone());
        self.thread == other.thread && self.call.number == other.call.number && place(self) == place(other)
    }

    fn with_nearest(
        thread: String,
        role: String,
        arch: Arch,
        call: Call,
        nearest: Option<NearestRule>,
    ) -> Self {
        let is_native = call.arch == arch.audit_value();
        let name = syscalls::by_number(arch, call.number).filter(|_| is_native).map(|known| known.name);
        Self { thread, role, name, text: decode::call(arch, &call), nearest, call }
    }

    /// Why it was refused, as the end of a sentence.
    pub fn because(&self) -> String {
        let role = &self.role;
        match (&self.nearest, self.name) {
            (Some(_), Some(name)) => format!("no rule of role {role} allows {name} with these arguments"),
            (_, Some(name)) => format!("no rule allows {name} for role {role}"),
            (_, None) => format!("no rule allows this call for role {role}"),
        }
    }
}

fn nearest(policy: &Policy, call: &Call) -> Option<NearestRule> {
    let refusal = policy.refusal(call)?;
    let rule = refusal.rule;
    Some(NearestRule {
        place: format!("{}:{}", rule.file, rule.line),
        rule: format!("{}: {}", rule.call.name, rule.expression),
        reason: rule.reason.clone(),
        failed: refusal.failed.join(", "),
    })
}
