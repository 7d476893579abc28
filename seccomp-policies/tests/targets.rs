//! Policies of other projects: what their programs come to, counted.

mod support;

use std::path::{Path, PathBuf};

use seccomp_policies::bpf::Program;
use seccomp_policies::compile::{Measure, Weights, measure, optimize, reference};
use seccomp_policies::import::{Options, read};
use seccomp_policies::language::Policy;
use seccomp_policies::prove::Decisions;
use seccomp_policies::syscalls::Arch;
use support::cache::assert_cached_are_those_always_allowed;
use support::longest_path::{deepest_argument_part, most};

/// Length, mean and longest path that a policy's program may come to; the mean is over the calls whose arguments decide.
struct Target {
    name: &'static str,
    file: &'static str,
    role: Option<&'static str>,
    most: (usize, f64, usize),
}

const TARGETS: [Target; 5] = [
    Target { name: "Firecracker vmm", file: FIRECRACKER, role: Some("vmm"), most: (120, 12.0, 15) },
    Target { name: "Firecracker api", file: FIRECRACKER, role: Some("api"), most: (68, 11.0, 13) },
    Target { name: "Firecracker vcpu", file: FIRECRACKER, role: Some("vcpu"), most: (85, 11.0, 14) },
    Target {
        name: "crosvm block device",
        file: "minijail/block_device.policy",
        role: None,
        most: (110, 11.5, 16),
    },
    Target { name: "Docker default", file: "oci/docker-default.json", role: None, most: (80, 11.0, 15) },
];

const FIRECRACKER: &str = "firecracker-x86_64.json";

/// The folder of other projects' policies; none in a tree that stands alone, which is said.
fn corpora() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpora");
    let found = folder.is_dir().then(|| folder.clone());
    if found.is_none() {
        println!("{} is not there: tested with the policies of the other tests alone", folder.display());
    }
    found
}

fn policies() -> Vec<(Target, Policy)> {
    let Some(folder) = corpora() else { return Vec::new() };
    let roots = vec![folder.join("minijail")];
    let policy = |target: Target| {
        let options = Options {
            role: target.role.map(str::to_owned),
            arch: Some(Arch::X86_64),
            roots: roots.clone(),
            ..Options::default()
        };
        let imported = read(&folder.join(target.file), None, &options);
        let mut imported = imported.unwrap_or_else(|errors| panic!("{}: {errors}", target.file));
        (target, imported.policies.remove(0))
    };
    TARGETS.into_iter().map(policy).collect()
}

fn optimized(policy: &Policy) -> Program {
    optimize(policy, &Weights::default()).expect("it fits in a program")
}

fn row(name: &str, measure: Measure) -> String {
    let Measure { length, mean, longest, cached, allowed } = measure;
    let mean = mean.expect("some call is tested for its arguments");
    format!("{name}: {length} / {mean:.1} / {longest}, {cached} of {allowed} calls cached\n")
}

#[test]
fn policies_of_other_projects_come_to_no_more_instructions_than_their_targets() {
    let policies = policies();
    if policies.is_empty() {
        return;
    }
    let mut table = String::new();
    for (Target { name, most: (length, mean, longest), .. }, policy) in &policies {
        let measured = measure(policy, &optimized(policy));
        assert!(measured.length <= *length, "{name}: {measured:?}");
        assert!(measured.mean.is_some_and(|measured| measured <= *mean), "{name}: {measured:?}");
        assert!(measured.longest <= *longest, "{name}: {measured:?}");
        let deepest = deepest_argument_part(&optimized(policy));
        assert!(measured.longest < most(policy, deepest), "{name}: {measured:?}");
        table.push_str(&row(name, measured));
    }
    insta::assert_snapshot!(table, @r"
    Firecracker vmm: 115 / 11.5 / 14, 37 of 50 calls cached
    Firecracker api: 64 / 10.5 / 13, 22 of 31 calls cached
    Firecracker vcpu: 80 / 10.3 / 13, 20 of 27 calls cached
    crosvm block device: 103 / 11.0 / 14, 73 of 80 calls cached
    Docker default: 60 / 9.4 / 13, 305 of 308 calls cached
    ");
}

/// What the comparisons of the targets were counted with.
#[test]
fn the_measure_of_seccompilers_programs_is_the_published_one() {
    let firecracker: String = policies()
        .iter()
        .filter(|(target, _)| target.file == FIRECRACKER)
        .map(|(target, policy)| row(target.name, measure(policy, &reference(policy).unwrap())))
        .collect();
    if !firecracker.is_empty() {
        insta::assert_snapshot!(firecracker, @r"
        Firecracker vmm: 443 / 84.2 / 130, 37 of 50 calls cached
        Firecracker api: 213 / 42.9 / 71, 22 of 31 calls cached
        Firecracker vcpu: 271 / 51.6 / 82, 20 of 27 calls cached
        ");
    }
}

#[test]
fn programs_for_policies_of_other_projects_decide_every_call_as_the_policies_do() {
    for (target, policy) in policies() {
        let program = optimized(&policy);
        let decided = Decisions::of_program(program.instructions()).unwrap();
        assert!(decided == Decisions::of_policy(&policy), "{}", target.name);
    }
}

#[test]
fn the_action_cache_answers_all_that_policies_of_other_projects_always_allow() {
    for (_, policy) in policies() {
        assert_cached_are_those_always_allowed(&policy, &optimized(&policy));
    }
}
