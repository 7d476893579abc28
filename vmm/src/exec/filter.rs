//! The filter of a program that is watched: what the policy refuses goes to the listener.
#![forbid(unsafe_code)]

use seccomp_policies::action::Action;
use seccomp_policies::bpf::Instruction;
use seccomp_policies::bpf::write::with_values;
use seccomp_policies::compile::{self, Weights};
use seccomp_policies::language::{Condition, Policy, Rule};
use seccomp_policies::syscalls::by_name;

use super::Manner;

/// Compiles a policy so that trap and kill, of a foreign architecture too, become a notification. Errors, `log` and
/// `allow` stay the kernel's to answer, but for `execve`, whose first call starts the program and is always told.
///
/// # Errors
/// The compiler's.
pub(super) fn compile(policy: &Policy, manner: Manner) -> Result<Vec<Instruction>, compile::Error> {
    let program = compile::optimize(&watched(policy, manner), &Weights::default())?;
    Ok(with_values(program.instructions(), told))
}

/// The policy with a trap wherever the listener must hear of a call.
fn watched(policy: &Policy, manner: Manner) -> Policy {
    let mut watched = policy.clone();
    if manner != Manner::End && policy.otherwise != Action::Allow {
        watched.otherwise = Action::Trap;
    }
    let Some(execve) = by_name(policy.arch, "execve") else { return watched };
    for rule in watched.rules.iter_mut().filter(|rule| rule.call == execve) {
        if let Action::Errno(_) = rule.action {
            rule.action = Action::Trap;
        }
    }
    if let Action::Errno(_) = watched.otherwise {
        watched.rules.push(Rule {
            call: execve,
            condition: Condition::Always,
            action: Action::Trap,
            expression: String::new(),
            reason: String::new(),
            file: String::new(),
            line: 0,
        });
    }
    watched
}

/// The value that stands for this one.
fn told(value: u32) -> u32 {
    match Action::from_return_value(value) {
        Some(Action::Trap | Action::KillThread | Action::KillProcess) => libc::SECCOMP_RET_USER_NOTIF,
        _ => value,
    }
}
