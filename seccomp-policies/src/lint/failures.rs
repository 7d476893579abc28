//! Answers that keep a refusal from being noticed.

use super::{Finding, Lint};
use crate::action::Action;
use crate::constants;
use crate::language::Policy;

/// Newer calls, for which C libraries and runtimes try an older one when they get `ENOSYS`.
const WITH_A_FALLBACK: &[&str] = &[
    "clone3",
    "close_range",
    "copy_file_range",
    "epoll_pwait2",
    "faccessat2",
    "fchmodat2",
    "futex_waitv",
    "futex_wait",
    "futex_wake",
    "futex_requeue",
    "getrandom",
    "io_uring_setup",
    "landlock_create_ruleset",
    "membarrier",
    "memfd_create",
    "memfd_secret",
    "mseal",
    "openat2",
    "pidfd_open",
    "pidfd_send_signal",
    "pkey_alloc",
    "preadv2",
    "process_madvise",
    "pwritev2",
    "renameat2",
    "rseq",
    "set_robust_list",
    "statx",
    "userfaultfd",
    "utimensat",
];

pub(super) fn hidden(policy: &Policy) -> Vec<Finding> {
    let rules = policy.rules.iter().enumerate().filter_map(|(index, rule)| {
        let (title, label, help) = in_rule(rule.call.name, rule.action)?;
        Some(Finding { lint: Lint::HiddenFailure, rule: Some(index), title, label, help })
    });
    otherwise(policy.otherwise).into_iter().chain(rules).collect()
}

fn otherwise(action: Action) -> Option<Finding> {
    let (title, label, help) = match action {
        Action::Allow => (
            "a call that no rule names is allowed",
            "the calls of the next kernel too",
            "name what is needed, and end with `otherwise trap`",
        ),
        Action::Log => (
            "a call that no rule names is carried out",
            "logged, a few a second, and allowed",
            "good for writing a policy; end with `otherwise trap` once it is written",
        ),
        Action::KillThread => (
            "a refused call ends one thread without a word",
            "the others go on, and wait for its locks for ever",
            "write `otherwise kill`, or `otherwise trap` for a program that reports it",
        ),
        Action::Errno(number) => {
            return wrong_error(number).map(|(title, label, help)| Finding {
                lint: Lint::HiddenFailure,
                rule: None,
                title: format!("a refused call {title}"),
                label,
                help,
            });
        }
        Action::Trap | Action::KillProcess => return None,
    };
    let (title, label, help) = (title.to_owned(), label.to_owned(), help.to_owned());
    Some(Finding { lint: Lint::HiddenFailure, rule: None, title, label, help })
}

fn in_rule(call: &str, action: Action) -> Option<(String, String, String)> {
    match action {
        Action::KillThread => Some((
            format!("`{call}` ends one thread without a word"),
            "the others go on, and wait for its locks for ever".to_owned(),
            "write `kill`, or `trap` for a program that reports it".to_owned(),
        )),
        Action::Errno(number)
            if constants::errno_name(number) == Some("ENOSYS") && !WITH_A_FALLBACK.contains(&call) =>
        {
            Some((
                format!("`{call}` fails with ENOSYS, and programs have no other way for it"),
                "every kernel has this call".to_owned(),
                "write `errno EPERM`, which programs expect".to_owned(),
            ))
        }
        Action::Errno(number) => {
            wrong_error(number).map(|(title, label, help)| (format!("`{call}` {title}"), label, help))
        }
        Action::Allow | Action::Log | Action::Trap | Action::KillProcess => None,
    }
}

/// Errors that are none, and errors on which programs try again at once.
fn wrong_error(number: u16) -> Option<(String, String, String)> {
    match constants::errno_name(number) {
        Some(name @ ("EAGAIN" | "EINTR" | "ERESTART")) => Some((
            format!("fails with {name}"),
            "programs try again at once, for ever".to_owned(),
            "write `errno EPERM`, which programs take for a refusal".to_owned(),
        )),
        _ if number == 0 => Some((
            "returns 0, as if it had been carried out".to_owned(),
            "the program goes on with what it believes".to_owned(),
            "write `errno EPERM`, which programs take for a refusal".to_owned(),
        )),
        _ => None,
    }
}
