//! Whether two policies decide alike, over every value of every argument.

use seccomp_policies::language::Policy;
use seccomp_policies::prove::Decisions;

/// Both policies decide every call in the same way; `text` is shown if not.
pub fn assert_same(one: &Policy, other: &Policy, text: &str) {
    if let Some(difference) = Decisions::of_policy(one).difference(&Decisions::of_policy(other)) {
        panic!("{difference}\n{text}");
    }
}
