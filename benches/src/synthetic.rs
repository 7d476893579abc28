//! Policies of any size, to see how what is made of them grows: so many rules, half of them for calls of their own, half for
//! requests of `ioctl` on one descriptor.
#![forbid(unsafe_code)]

use std::fmt::Write as _;

use seccomp_policies::language::{Diagnostics, Policy, check_sources};
use seccomp_policies::syscalls::{self, Arch};

/// Numbers of rules that growth is seen by.
pub const RULES: [u32; 6] = [1, 4, 16, 64, 256, 400];

/// The requests lie this far apart, from this one on: what follows on each other would be one range to a compiler, and a policy
/// of a real program is not so kind.
const FIRST_REQUEST: u32 = 0x5401;
const APART: u32 = 37;

/// The request of the last rule for `ioctl`.
pub fn last_request(rules: u32) -> u32 {
    request(rules.div_ceil(2).saturating_sub(1))
}

fn request(index: u32) -> u32 {
    FIRST_REQUEST + APART * index
}

/// A policy's text with so many rules.
pub fn text(rules: u32) -> String {
    let mut text =
        "role grown\ntier filter\notherwise trap\nfd device = 3 -- what ioctl goes to\n".to_owned();
    // Writing to a string cannot fail.
    for index in 0..rules.div_ceil(2) {
        let _ = writeln!(text, "ioctl: fd == @device && cmd == {:#x} -- a request", request(index));
    }
    // Every third call, and then those between.
    let others: Vec<_> = syscalls::all(Arch::X86_64).iter().filter(|call| call.name != "ioctl").collect();
    let scattered = (0..3).flat_map(|offset| others.iter().skip(offset).step_by(3));
    for call in scattered.take(rules as usize / 2) {
        let _ = writeln!(text, "{}: -- a call", call.name);
    }
    text
}

/// The policy.
///
/// # Errors
/// What is wrong with the text: a defect of this module.
pub fn policy(rules: u32) -> Result<Policy, Box<Diagnostics>> {
    let checked = check_sources("grown.policy", &[("grown.policy", &text(rules))], Arch::X86_64);
    checked.map(|checked| checked.policy).map_err(Box::new)
}

/// An OCI profile that allows so many calls.
pub fn oci_profile(calls: usize) -> String {
    let names = syscalls::all(Arch::X86_64).iter().take(calls).map(|call| format!("\"{}\"", call.name));
    format!(
        r#"{{"defaultAction": "SCMP_ACT_ERRNO", "architectures": ["SCMP_ARCH_X86_64"],
            "syscalls": [{{"names": [{}], "action": "SCMP_ACT_ALLOW"}}]}}"#,
        names.collect::<Vec<_>>().join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_has_as_many_rules_as_it_was_asked_for() {
        for rules in RULES {
            assert_eq!(policy(rules).unwrap().rules.len(), rules as usize);
        }
    }

    #[test]
    fn a_profile_has_as_many_calls() {
        let options = seccomp_policies::import::Options::default();
        let imported =
            seccomp_policies::import::read_bytes("oci.json", oci_profile(100).as_bytes(), None, &options);
        assert_eq!(imported.unwrap().policies[0].rules.len(), 100);
    }
}
