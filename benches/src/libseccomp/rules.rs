//! A policy as the rules that libseccomp is given: those of its OCI profile, as a container runtime hands them on.
//!
//! Libseccomp compares 64 bits, and an argument once in a rule. What the export makes of comparisons of 32 bits, ranges and
//! alternatives, masks and more rules, is what libseccomp can say.
#![forbid(unsafe_code)]

use std::fmt::{self, Display, Formatter, Write as _};

use seccomp_policies::action::Action;
use seccomp_policies::export;
use seccomp_policies::language::Policy;
use seccomp_policies::syscalls::by_name;
use serde::Deserialize;

/// Why a policy is no rules of libseccomp.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Libseccomp cannot say it.
    #[error(transparent)]
    Inexpressible(#[from] export::Error),
    /// The export wrote something else than this reads: a defect of one of the two.
    #[error("the exported profile is not understood: {0}")]
    Profile(String),
}

/// Values of `SCMP_FLTATR_CTL_OPTIMIZE`, which `man 3 seccomp_attr_set` describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tree {
    /// Rules by priority: libseccomp's default.
    Priority = 1,
    /// A binary tree of call numbers.
    Binary = 2,
}

/// What `compile.c` reads, in its form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    otherwise: Action,
    rules: Vec<Rule>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    action: Action,
    number: u32,
    comparisons: Vec<Comparison>,
}

/// Of a 64-bit argument; `value` is the mask where there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Comparison {
    argument: u8,
    operator: &'static str,
    value: u64,
    second: u64,
}

/// The parts of the OCI runtime specification's `linux.seccomp` that the export writes.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Profile {
    default_action: String,
    default_errno_ret: Option<u16>,
    syscalls: Vec<Syscalls>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Syscalls {
    names: Vec<String>,
    action: String,
    errno_ret: Option<u16>,
    #[serde(default)]
    args: Vec<Argument>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Argument {
    index: u8,
    value: u64,
    #[serde(default)]
    value_two: u64,
    op: String,
}

impl Rules {
    /// The policy's rules, of which libseccomp needs no order.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn new(policy: &Policy) -> Result<Self, Error> {
        let profile: Profile =
            serde_json::from_str(&export::oci(policy)?).map_err(|error| Error::Profile(error.to_string()))?;
        let mut rules = Vec::new();
        for syscalls in &profile.syscalls {
            let action = action(&syscalls.action, syscalls.errno_ret)?;
            let comparisons: Vec<_> = syscalls.args.iter().map(comparison).collect::<Result<_, _>>()?;
            for name in &syscalls.names {
                let call = by_name(policy.arch, name).ok_or_else(|| Error::Profile(name.clone()))?;
                rules.push(Rule { action, number: call.number, comparisons: comparisons.clone() });
            }
        }
        Ok(Self { otherwise: action(&profile.default_action, profile.default_errno_ret)?, rules })
    }

    /// As `compile.c` reads them. Calls of another architecture end the process, as every policy says.
    pub fn lines(&self, tree: Tree) -> String {
        let [otherwise, foreign] = [self.otherwise, Action::KillProcess].map(Action::to_return_value);
        let mut lines = format!("filter {otherwise:#x} {foreign:#x} {}\n", tree as u32);
        for rule in &self.rules {
            // Writing to a string cannot fail.
            let _ = writeln!(lines, "{rule}");
        }
        lines
    }
}

impl Display for Rule {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "rule {:#x} {}", self.action.to_return_value(), self.number)?;
        for Comparison { argument, operator, value, second } in &self.comparisons {
            write!(f, " {argument} {operator} {value:#x} {second:#x}")?;
        }
        Ok(())
    }
}

fn action(name: &str, errno: Option<u16>) -> Result<Action, Error> {
    match (name, errno) {
        ("SCMP_ACT_ALLOW", _) => Ok(Action::Allow),
        ("SCMP_ACT_ERRNO", Some(number)) => Ok(Action::Errno(number)),
        ("SCMP_ACT_TRAP", _) => Ok(Action::Trap),
        ("SCMP_ACT_LOG", _) => Ok(Action::Log),
        ("SCMP_ACT_KILL_THREAD", _) => Ok(Action::KillThread),
        ("SCMP_ACT_KILL_PROCESS", _) => Ok(Action::KillProcess),
        _ => Err(Error::Profile(format!("the action {name}"))),
    }
}

fn comparison(argument: &Argument) -> Result<Comparison, Error> {
    let operator = match argument.op.as_str() {
        "SCMP_CMP_NE" => "ne",
        "SCMP_CMP_LT" => "lt",
        "SCMP_CMP_LE" => "le",
        "SCMP_CMP_EQ" => "eq",
        "SCMP_CMP_GE" => "ge",
        "SCMP_CMP_GT" => "gt",
        "SCMP_CMP_MASKED_EQ" => "masked",
        other => return Err(Error::Profile(format!("the operator {other}"))),
    };
    Ok(Comparison { argument: argument.index, operator, value: argument.value, second: argument.value_two })
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::libseccomp::tests::checked;

    fn lines(rules: &str) -> String {
        Rules::new(&checked(rules)).unwrap_or_else(|error| panic!("{error}")).lines(Tree::Priority)
    }

    #[test]
    fn comparisons_of_64_bits_keep_their_operator() {
        let rules = "mmap: off == 0x100000000 -- equal
mmap: off != 2 && len < 3 -- another, and below
mmap: off <= 4 && len > 5 -- at most, and above
mmap: len >= 6 && (addr & 0xf00000000) == 0x500000000 -- at least, and bits";
        assert_snapshot!(lines(rules), @r"
        filter 0x50001 0x80000000 1
        rule 0x7fff0000 9 5 eq 0x100000000 0x0
        rule 0x7fff0000 9 1 lt 0x3 0x0 5 ne 0x2 0x0
        rule 0x7fff0000 9 1 gt 0x5 0x0 5 le 0x4 0x0
        rule 0x7fff0000 9 0 masked 0xf00000000 0x500000000 1 ge 0x6 0x0
        ");
    }

    #[test]
    fn comparisons_of_32_bits_are_masks_that_leave_the_upper_half_open() {
        let rules = "ioctl: fd == 3 && cmd == KVM_RUN -- equal
write: fd in {4, 5, 6, 7} && count == 8 -- a range on a boundary
poll: nfds <= 5 -- at most";
        assert_snapshot!(lines(rules), @r"
        filter 0x50001 0x80000000 1
        rule 0x7fff0000 16 0 masked 0xffffffff 0x3 1 masked 0xffffffff 0xae80
        rule 0x7fff0000 1 0 masked 0xfffffffc 0x4 2 eq 0x8 0x0
        rule 0x7fff0000 7 1 masked 0xfffffffc 0x0
        rule 0x7fff0000 7 1 masked 0xfffffffe 0x4
        ");
    }

    #[test]
    fn alternatives_are_rules_and_several_tests_of_one_argument_are_one() {
        let rules = "lseek: offset > 15 && offset < 18 || whence == 1 -- two ways
prctl: option in {1, 9} -- two values
openat: errno ENOENT if mode:u64 != 0 -- another action";
        assert_snapshot!(lines(rules), @r"
        filter 0x50001 0x80000000 1
        rule 0x7fff0000 8 2 masked 0xffffffff 0x1
        rule 0x7fff0000 8 1 masked 0xfffffffffffffffe 0x10
        rule 0x7fff0000 157 0 masked 0xffffffff 0x1
        rule 0x7fff0000 157 0 masked 0xffffffff 0x9
        rule 0x50002 257 3 ne 0x0 0x0
        ");
    }

    #[test]
    fn the_filter_comes_first_with_what_it_answers_otherwise_to_foreign_calls_and_its_tree() {
        let rules = Rules::new(&checked("exit_group: -- the end")).unwrap();
        assert_snapshot!(rules.lines(Tree::Binary), @r"
        filter 0x50001 0x80000000 2
        rule 0x7fff0000 231
        ");
    }

    #[test]
    fn a_policy_whose_order_counts_is_refused() {
        let policy = checked("ioctl: errno ENOTTY if fd == 1 -- no terminal\nioctl: -- everything else");
        assert!(matches!(Rules::new(&policy), Err(Error::Inexpressible(_))));
    }
}
