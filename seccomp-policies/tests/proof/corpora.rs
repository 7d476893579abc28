//! Policies that other programs ship: the proof and the interpreter say the same of each.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use seccomp_policies::compile::{Error, Weights, bitmask, optimize, probes, reference, verify, widen};
use seccomp_policies::import::{Options, read, read_bytes};
use seccomp_policies::language::Policy;
use seccomp_policies::prove::{Decisions, condition_of, prove};
use seccomp_policies::syscalls::Arch;

/// A policy in Firecracker's format, for a tree without the corpora.
const OWN: &[u8] = br#"{"thread": {"default_action": "trap", "filter_action": "allow", "filter": [
    {"syscall": "close"},
    {"syscall": "fcntl", "args": [{"index": 1, "type": "dword", "op": "eq", "val": 3}]},
    {"syscall": "fcntl", "args": [{"index": 1, "type": "dword", "op": "eq", "val": 4},
                                  {"index": 2, "type": "qword", "op": "le", "val": 4294967296}]},
    {"syscall": "mmap", "args": [{"index": 3, "type": "dword", "op": {"masked_eq": 32}, "val": 32}]}]}}"#;

/// The policies of the files of a corpus, with the file's name; where the corpus is not there, that is printed.
fn policies_of(corpus: &str, files: &[&str]) -> Vec<(String, Policy)> {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpora");
    let options = Options {
        arch: Some(Arch::X86_64),
        lossy: true,
        roots: vec![corpora.join("minijail")],
        ..Options::default()
    };
    let paths: Vec<PathBuf> = files.iter().map(|file| corpora.join(corpus).join(file)).collect();
    let mut all = Vec::new();
    for path in paths {
        if !path.exists() {
            println!("{} is not there: tested with a policy of this file alone", path.display());
            continue;
        }
        let imported = read(&path, None, &options).unwrap_or_else(|errors| panic!("{errors}"));
        all.extend(imported.policies.into_iter().map(|policy| (path.display().to_string(), policy)));
    }
    let own = read_bytes("own.json", OWN, None, &options).unwrap_or_else(|errors| panic!("{errors}"));
    all.extend(own.policies.into_iter().map(|policy| ("own.json".to_owned(), policy)));
    all
}

/// Every judge on one policy and the programs that are compiled for it.
fn assert_judges_agree(name: &str, policy: &Policy) {
    let calls = probes(policy);
    let decisions = Decisions::of_policy(policy);
    for call in &calls {
        assert_eq!(decisions.answer(call), policy.decide(call).into(), "{name}: {call:x?}");
    }
    let widened = widen(policy);
    let numbers = bitmask(policy).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(prove(numbers.instructions(), &widened), Ok(()), "{name}");
    let optimized = optimize(policy, &Weights::default()).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(prove(optimized.instructions(), policy), Ok(()), "{name}");
    assert_eq!(verify(optimized.instructions(), policy, &calls), Ok(()), "{name}");
    match reference(policy) {
        Ok(program) => {
            assert_eq!(prove(program.instructions(), policy), Ok(()), "{name}");
            assert_eq!(verify(program.instructions(), policy, &calls), Ok(()), "{name}");
        }
        Err(Error::TooLong { .. } | Error::TooManyAlternatives { .. }) => {
            println!("{name}: too long for seccompiler");
        }
        Err(error) => panic!("{name}: {error}"),
    }
    assert_conditions_come_back(name, policy, &decisions);
}

/// What is allowed of each call of the policy as a condition; that it means the same is checked where it is made.
fn assert_conditions_come_back(name: &str, policy: &Policy, decisions: &Decisions) {
    let allowed = decisions.allowed();
    let calls: BTreeMap<_, _> = policy.rules.iter().map(|rule| (rule.call.number, rule.call)).collect();
    for (number, call) in calls {
        let arguments = allowed.of_call(policy.arch.audit_value(), number);
        condition_of(&arguments, call).unwrap_or_else(|error| panic!("{name}, {}: {error}", call.name));
    }
}

#[test]
fn firecrackers_threads() {
    for (name, policy) in policies_of("", &["firecracker-x86_64.json"]) {
        assert_judges_agree(&format!("{name}, {}", policy.role), &policy);
    }
}

#[test]
fn dockers_default_profile() {
    for (name, policy) in policies_of("oci", &["docker-default.json"]) {
        assert_judges_agree(&name, &policy);
    }
}

#[test]
fn crosvms_devices() {
    let files =
        ["block_device.policy", "net_device.policy", "serial_device.policy", "vhost_vsock_device.policy"];
    for (name, policy) in policies_of("minijail", &files) {
        assert_judges_agree(&name, &policy);
    }
}
