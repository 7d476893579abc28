//! Policies and programs in the forms that other programs read.
//!
//! Firecracker's and the OCI's JSON hold policies: importing what was exported gives a policy of the same meaning, and
//! what a form cannot say is an error that names the rule. Everything else is a program, in C, in Rust, as text or as
//! the bytes that the kernel reads ([`crate::bpf::Program::bytes`]).

mod cube;
mod firecracker;
mod listing;
mod oci;
mod outline;

pub use firecracker::firecracker;
pub use listing::Listing;
pub use oci::oci;

use serde::Serialize;

use crate::action::Action;
use crate::language::{Policy, Rule};

/// Why a policy cannot be written in a form.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// A rule among the others.
    #[error("{file}:{line}: {form} cannot say this rule for `{call}`: {why}")]
    Rule {
        /// The form.
        form: &'static str,
        /// File of the rule.
        file: String,
        /// Line of the rule, from 1.
        line: u32,
        /// The call.
        call: &'static str,
        /// Why, and what to do.
        why: String,
    },
    /// The policy as a whole.
    #[error("{form} cannot say the policy of role `{role}`: {why}")]
    Policy {
        /// The form.
        form: &'static str,
        /// The role.
        role: String,
        /// Why, and what to do.
        why: String,
    },
}

impl Error {
    fn rule(form: &'static str, rule: &Rule, why: impl Into<String>) -> Self {
        let Rule { file, line, call, .. } = rule;
        Self::Rule { form, file: file.clone(), line: *line, call: call.name, why: why.into() }
    }

    fn policy(form: &'static str, policy: &Policy, why: impl Into<String>) -> Self {
        Self::Policy { form, role: policy.role.clone(), why: why.into() }
    }
}

/// The action that rules of a filter have where it has no rules: it must be another than the default.
const fn other_than(otherwise: Action) -> Action {
    match otherwise {
        Action::Allow => Action::KillProcess,
        _ => Action::Allow,
    }
}

/// JSON over several lines. Plain data with text for keys can always be written.
fn pretty(value: &impl Serialize) -> String {
    let mut text = serde_json::to_string_pretty(value).unwrap_or_default();
    text.push('\n');
    text
}
