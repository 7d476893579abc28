//! A refused call in the words of the policy: what was asked, decoded, and the rule that came nearest to it.

use seccomp_policies::call::Call;
use seccomp_policies::embed::Embedded;
use seccomp_policies::language;
use seccomp_policies::syscalls::{self, Arch, decode};

/// A call that a thread was refused.
#[derive(Debug)]
pub struct Violation {
    /// The thread's name.
    pub thread: String,
    /// Its role.
    pub role: &'static str,
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

impl Violation {
    /// A call that a thread under `policy` was refused.
    pub fn new(thread: String, policy: &'static Embedded, call: Call) -> Self {
        Self {
            thread,
            role: policy.role,
            name: syscalls::by_number(Arch::X86_64, call.number).map(|known| known.name),
            text: decode::call(Arch::X86_64, &call),
            nearest: nearest(policy, &call),
            call,
        }
    }

    /// Why it was refused, as the end of a sentence.
    pub fn because(&self) -> String {
        let role = self.role;
        match (&self.nearest, self.name) {
            (Some(_), Some(name)) => format!("no rule of role {role} allows {name} with these arguments"),
            (_, Some(name)) => format!("no rule allows {name} for role {role}"),
            (_, None) => format!("no rule allows this call for role {role}"),
        }
    }
}

/// The embedded text was checked by the build, so it checks here; if it did not, the report would go without.
fn nearest(policy: &Embedded, call: &Call) -> Option<NearestRule> {
    let (root, _) = policy.sources.first()?;
    let checked = language::check_sources(root, policy.sources, Arch::X86_64).ok()?;
    let refusal = checked.policy.refusal(call)?;
    let rule = refusal.rule;
    Some(NearestRule {
        place: format!("{}:{}", rule.file, rule.line),
        rule: format!("{}: {}", rule.call.name, rule.expression),
        reason: rule.reason.clone(),
        failed: refusal.failed.join(", "),
    })
}
