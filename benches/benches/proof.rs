//! How long it takes to compile a policy and to prove its program: a role of our own, and Docker's default profile where
//! it is at hand.

use criterion::{Criterion, criterion_group, criterion_main};
use ringfence_benches::policies::{self, Named};
use seccomp_policies::compile::{optimize, reference};
use seccomp_policies::prove::{Decisions, prove};

/// The longest of each kind, by their names in tables.
const POLICIES: [&str; 2] = ["ringfence main", "Docker default"];

fn policies() -> Vec<Named> {
    let mut policies = policies::own().unwrap_or_else(|error| panic!("{error}"));
    match policies::corpora() {
        Some(folder) => {
            policies.extend(policies::foreign(&folder).unwrap_or_else(|error| panic!("{error}")));
        }
        None => eprintln!(
            "proof: policies of other projects are left out; {} may name their folder",
            policies::VARIABLE
        ),
    }
    policies.retain(|named| POLICIES.contains(&named.name));
    policies
}

fn proof(criterion: &mut Criterion) {
    for named in policies() {
        let Named { name, policy, .. } = &named;
        let compile = || optimize(policy, &named.weights()).unwrap_or_else(|error| panic!("{name}: {error}"));
        let others = reference(policy).unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut group = criterion.benchmark_group(*name);
        group.sample_size(10);
        group.bench_function("decisions of the policy", |bench| bench.iter(|| Decisions::of_policy(policy)));
        for (backend, program) in [("optimizing", compile()), ("reference", others)] {
            let benchmark = format!("decisions of the {backend} backend's {} instructions", program.len());
            group.bench_function(benchmark, |bench| {
                bench.iter(|| Decisions::of_program(program.instructions()));
            });
        }
        group.bench_function("compiled", |bench| bench.iter(compile));
        group.bench_function("compiled and proved", |bench| {
            bench.iter(|| prove(compile().instructions(), policy).unwrap_or_else(|error| panic!("{error}")));
        });
        group.finish();
    }
}

criterion_group!(benches, proof);
criterion_main!(benches);
