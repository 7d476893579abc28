//! One round trip of `KVM_RUN` under each variant, as Criterion's benchmarks with its history: for the makers. What it costs,
//! with intervals that hold from process to process, `ringfence bench` says.

use std::time::Duration;

use criterion::{Criterion, SamplingMode};
use ringfence::bench::exit_path::ExitPath;
use ringfence::bench::experiment::Work;
use ringfence::bench::thread::processors;
use ringfence_benches::contest::Contest;
use ringfence_benches::or_stop;

/// An experiment of `ringfence bench`, and about how many calls of a variant it has in a round.
const PATHS: [(&str, u64); 2] = [("exit/port", 50), ("exit/refused", 1500)];

fn main() {
    // Without a tracer: that would have to be made before the first thread is.
    let mut exit_path = or_stop(ExitPath::new(Vec::new(), Ok(Vec::new()), or_stop(processors())));
    let mut criterion = Criterion::default().configure_from_args();
    for (name, calls) in PATHS {
        let mut contest = Contest::of(or_stop(exit_path.prepare(name, Work::calibrate())), calls);
        let mut group = criterion.benchmark_group(name);
        group
            .sampling_mode(SamplingMode::Flat)
            .warm_up_time(Duration::from_millis(500))
            .measurement_time(Duration::from_secs(2));
        contest.run(&mut group);
        group.finish();
    }
    criterion.final_summary();
}
