//! Policies of minijail and profiles of LXC, read into policies of ours.

#[path = "../support/mod.rs"]
mod support;

mod lxc;
mod lxc_messages;
mod minijail;
mod minijail_files;
mod minijail_messages;

use seccomp_policies::action::Action;
use seccomp_policies::call::Call;
use seccomp_policies::import::{Format, Imported, Options, read_bytes};
use seccomp_policies::language::{Diagnostics, Policy, check_sources, write};
use seccomp_policies::syscalls;

/// What a policy read from a text decides, one row for each call: name, arguments, verdict.
fn assert_decides(policy: &Policy, rows: &[(&str, &[u64], Action)]) {
    for (name, given, wanted) in rows {
        let call = syscalls::by_name(policy.arch, name).unwrap_or_else(|| panic!("no call {name}"));
        let mut arguments = [0; 6];
        arguments[..given.len()].copy_from_slice(given);
        let call =
            Call { number: call.number, arch: policy.arch.audit_value(), instruction_pointer: 0, arguments };
        assert_eq!(policy.decide(&call), *wanted, "{name}({given:x?})");
    }
}

/// What a text in this format is read as.
fn read(name: &str, text: &str, format: Format, options: &Options) -> Result<Imported, Diagnostics> {
    read_bytes(name, text.as_bytes(), Some(format), options)
}

/// The one policy of what is read without findings. Its own text must hold.
fn clean(read: Result<Imported, Diagnostics>) -> Policy {
    let imported = read.unwrap_or_else(|errors| panic!("{errors}"));
    assert!(imported.notes.is_empty(), "{}", imported.notes);
    only(imported)
}

/// The one policy of a file.
fn only(imported: Imported) -> Policy {
    let [policy] = <[Policy; 1]>::try_from(imported.policies).expect("one policy");
    let text = write(&policy);
    check_sources("p", &[("p", &text)], policy.arch).unwrap_or_else(|errors| panic!("{text}\n{errors}"));
    policy
}

/// The whole message of a text that has findings.
fn message(read: Result<Imported, Diagnostics>) -> String {
    match read {
        Ok(imported) => imported.notes.render(false),
        Err(errors) => errors.render(false),
    }
}
