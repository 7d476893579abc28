//! How programs, and the time to make and to prove them, grow with a policy's rules.

use std::hint::black_box;
use std::time::Instant;

use ringfence::bench::method::statistics::median;
use ringfence_benches::or_stop;
use ringfence_benches::report::Report;
use ringfence_benches::synthetic::{RULES, policy};
use ringfence_benches::table::{MILLISECONDS, Table};
use seccomp_policies::bpf::Program;
use seccomp_policies::compile::{Weights, measure, optimize, reference};
use seccomp_policies::language::Policy;
use seccomp_policies::prove::prove;

/// How often each time is taken, for its median.
const REPETITIONS: usize = 7;

fn main() {
    let mut report = Report::new("growth");
    let head =
        ["rules", "ringfence", "longest", "seccompiler", "longest", "compiled", "proved", "by seccompiler"];
    let mut table = Table::new(&head);
    for rules in RULES {
        let policy = or_stop(policy(rules));
        let compile = || or_stop(optimize(&policy, &Weights::default()));
        let (ours, theirs) = (compile(), or_stop(reference(&policy)));
        let proof = || or_stop(prove(ours.instructions(), &policy));
        let [length, longest] = lengths(&policy, &ours);
        let [their_length, their_longest] = lengths(&policy, &theirs);
        table.row(vec![
            rules.to_string(),
            length,
            longest,
            their_length,
            their_longest,
            time(|| drop(black_box(compile()))),
            time(proof),
            time(|| drop(black_box(or_stop(reference(&policy))))),
        ]);
    }
    report.add(table);
    println!("{report}");
}

/// Instructions of the whole program, and on its longest way.
fn lengths(policy: &Policy, program: &Program) -> [String; 2] {
    let measure = measure(policy, program);
    [measure.length, measure.longest].map(|count| count.to_string())
}

/// The median of several times.
#[expect(clippy::cast_precision_loss, reason = "what is timed takes far less than 2^52 ns")]
fn time(mut work: impl FnMut()) -> String {
    let once = |_| {
        let start = Instant::now();
        work();
        start.elapsed().as_nanos() as f64
    };
    let times: Vec<f64> = (0..REPETITIONS).map(once).collect();
    MILLISECONDS.time(median(&times).unwrap_or_default())
}
