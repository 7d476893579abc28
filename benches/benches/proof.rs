//! How long it takes to compile a policy and to prove its program: Docker's default profile, and a role of our own.
//!
//! Docker's profile is read from `../shared/corpora` beside the workspace; where that is not there, it is said and left out.

use std::path::Path;

use criterion::{Criterion, criterion_group, criterion_main};
use seccomp_policies::compile::{Weights, optimize, reference};
use seccomp_policies::import::{Options, read};
use seccomp_policies::language::Policy;
use seccomp_policies::prove::{Decisions, prove};
use seccomp_policies::syscalls::Arch;

/// The policies, by a name for the report.
fn policies() -> Vec<(&'static str, Policy)> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let files = [
        ("main", workspace.join("seccomp-policies/policies/main.policy")),
        ("docker", workspace.join("../shared/corpora/oci/docker-default.json")),
    ];
    let mut policies = Vec::new();
    for (name, path) in files {
        if !path.exists() {
            println!("{}: {} is not there, left out", name, path.display());
            continue;
        }
        let options = Options { arch: Some(Arch::X86_64), lossy: true, ..Options::default() };
        let imported = read(&path, None, &options).unwrap_or_else(|errors| panic!("{errors}"));
        policies.extend(imported.policies.into_iter().map(|policy| (name, policy)));
    }
    policies
}

fn proof(criterion: &mut Criterion) {
    for (name, policy) in policies() {
        let program = reference(&policy).unwrap_or_else(|error| panic!("{name}: {error}"));
        criterion.bench_function(&format!("{name}: decisions of the policy"), |bench| {
            bench.iter(|| Decisions::of_policy(&policy));
        });
        criterion.bench_function(&format!("{name}: decisions of a program of {}", program.len()), |bench| {
            bench.iter(|| Decisions::of_program(program.instructions()));
        });
        criterion.bench_function(&format!("{name}: compiled and proved"), |bench| {
            let compile = || optimize(&policy, &Weights::default()).expect("shorter than the reference's");
            bench.iter(|| prove(compile().instructions(), &policy));
        });
    }
}

criterion_group! { name = benches; config = Criterion::default().sample_size(10); targets = proof }
criterion_main!(benches);
