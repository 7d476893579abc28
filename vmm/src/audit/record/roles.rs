//! Which group a thread is for: a role of ours, or threads of one name.
#![forbid(unsafe_code)]

use std::sync::LazyLock;

use seccomp_policies::embed::Embedded;
use seccomp_policies::language::{Policy, check_sources};
use seccomp_policies::learn::{Calls, Coverage, Thread};
use seccomp_policies::syscalls::Arch;

use super::gather::Group;
use crate::audit::live::attest::{self, Run};
use crate::role::policies::ALL;

static POLICIES: LazyLock<Vec<Policy>> = LazyLock::new(|| {
    let checked = |policy: &&Embedded| {
        let root = policy.sources.first()?.0;
        Some(check_sources(root, policy.sources, Arch::X86_64).ok()?.policy)
    };
    ALL.iter().filter_map(checked).collect()
});

/// The policies of the build.
pub fn policies_of() -> &'static [Policy] {
    &POLICIES
}

/// The group of a thread: `names` are those of all threads that its process had.
///
/// Where a role has a policy for each of two kinds of run, it is the one that allows what the thread did.
pub fn group(thread: &str, names: &[&str], calls: &Calls) -> Group {
    let is_ours = names.iter().any(|name| attest::is_ours(name));
    let run = Run::of(names.iter().copied());
    let roles = if is_ours { attest::roles(thread, run) } else { Vec::new() };
    let of_role = |role: &str| POLICIES.iter().find(|policy| policy.role == role);
    let allows = |role: &&&'static Embedded| {
        let seen = Thread { calls: calls.clone(), ..Thread::default() };
        of_role(role.role).is_some_and(|policy| Coverage::of(policy, &seen).beyond.is_empty())
    };
    let role = match roles.as_slice() {
        [only] => Some(*only),
        roles => roles.iter().find(allows).or(roles.last()).copied(),
    };
    match role {
        Some(role) => Group { name: role.role.to_owned(), is_role: true },
        None => Group { name: without_number(thread).to_owned(), is_role: false },
    }
}

/// The name without the number that tells it from its siblings: `worker-3` is a `worker`.
fn without_number(name: &str) -> &str {
    let word =
        name.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end_matches(['-', '_', '#', '/', ':', '.']);
    if word.is_empty() { name } else { word }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group_of(thread: &str, names: &[&str], calls: &Calls) -> (String, bool) {
        let Group { name, is_role } = group(thread, names, calls);
        (name, is_role)
    }

    #[test]
    fn threads_of_a_run_are_roles_and_others_have_their_names() {
        let none = Calls::default();
        let run = ["rf-main", "rf-vcpu0", "rf-io"];
        assert_eq!(group_of("rf-vcpu1", &run, &none), ("vcpu".into(), true));
        assert_eq!(group_of("rf-main", &run, &none), ("main".into(), true));
        assert_eq!(group_of("rf-main", &["rf-main", "rf-api"], &none), ("main_api".into(), true));
        assert_eq!(group_of("rf-io", &run, &none), ("io".into(), true));
        assert_eq!(group_of("kvm-nx-lpage-re", &run, &none), ("kvm-nx-lpage-re".into(), false));
        assert_eq!(group_of("worker-12", &["server"], &none), ("worker".into(), false));
        assert_eq!(group_of("7", &["7"], &none), ("7".into(), false));
        assert_eq!(group_of("rf-vcpu1", &["pretender"], &none), ("rf-vcpu".into(), false));
    }

    #[test]
    fn what_io_did_tells_which_of_its_policies_it_has() {
        let mut calls = Calls::default();
        let accept = seccomp_policies::syscalls::by_name(Arch::X86_64, "connect").expect("a call");
        calls.add(accept, &[0; 6]);
        assert_eq!(group_of("rf-io", &["rf-main"], &calls), ("io_vsock".into(), true));
    }
}
