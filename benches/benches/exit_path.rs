//! What a filter adds to one round trip of `KVM_RUN`: a real port exit, and the guest-free call that the kernel
//! refuses for its argument. Firecracker's filter is measured beside ours where its policy file is at hand.

use std::time::Duration;

use criterion::{Criterion, SamplingMode};
use ringfence_benches::contest::{Contest, Contestant};
use ringfence_benches::or_stop;
use ringfence_benches::peer;
use ringfence_benches::report::Report;
use ringfence_benches::table::{NANOSECONDS, Table};
use ringfence_benches::variant::{self, Variant};
use ringfence_benches::vcpu::{self, Guest, Kind, VcpuThread};

/// One of the two ways to come back from `KVM_RUN`.
struct Path {
    name: &'static str,
    kind: Kind,
    /// So many that a block takes some hundred microseconds: short beside what disturbs it.
    calls_per_block: u32,
    /// Time of one variant's own calls; all together take as many times longer as there are variants.
    measured: Duration,
}

const PATHS: [Path; 2] = [
    Path { name: "port exit", kind: Kind::PortExit, calls_per_block: 50, measured: Duration::from_secs(3) },
    Path {
        name: "KVM_RUN refused",
        kind: Kind::Refused,
        calls_per_block: 2000,
        measured: Duration::from_secs(1),
    },
];

fn main() {
    let mut variants = or_stop(variant::all()).to_vec();
    match peer::policy_file() {
        Some(path) => variants.push(or_stop(peer::variant(&path))),
        None => eprintln!(
            "exit_path: Firecracker's filter is left out; {} may name its policy file",
            peer::VARIABLE
        ),
    }
    let threads = or_stop(start_threads(&variants));
    let mut criterion = Criterion::default().configure_from_args();
    let mut report = Report::new("exit_path");
    for path in &PATHS {
        let mut contest = contest(path, &variants, &threads);
        measure(&mut criterion, path, &mut contest);
        add_results(&mut report, path, &variants, &contest);
    }
    criterion.final_summary();
    println!("{report}");
}

/// So many guests, each with a thread for every variant: what is found shall not be one machine's peculiarity.
const GUESTS: usize = 4;

/// For each variant a thread for each guest.
fn start_threads(variants: &[Variant]) -> Result<Vec<Vec<VcpuThread>>, vcpu::Error> {
    let guests = (0..GUESTS).map(|_| Guest::new()).collect::<Result<Vec<_>, _>>()?;
    let start =
        |variant: &Variant| guests.iter().map(|&guest| VcpuThread::start(guest, variant.hold)).collect();
    variants.iter().map(start).collect()
}

/// Each round is done by the next guest's threads.
fn contest<'a>(path: &Path, variants: &[Variant], threads: &'a [Vec<VcpuThread>]) -> Contest<'a> {
    let (kind, calls) = (path.kind, path.calls_per_block);
    let contestant = |(variant, threads): (&Variant, &'a Vec<VcpuThread>)| {
        let mut turns = threads.iter().cycle();
        let block = move || {
            let time = turns.next().map(|thread| or_stop(thread.block(kind, calls))).unwrap_or_default();
            nanoseconds(time) / f64::from(calls)
        };
        Contestant { name: variant.name, block: Box::new(block) }
    };
    Contest::new(variants.iter().zip(threads).map(contestant).collect(), u64::from(calls))
}

fn measure(criterion: &mut Criterion, path: &Path, contest: &mut Contest<'_>) {
    let mut group = criterion.benchmark_group(path.name);
    group
        .sampling_mode(SamplingMode::Flat)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(path.measured);
    contest.run(&mut group);
    group.finish();
}

fn add_results(report: &mut Report, path: &Path, variants: &[Variant], contest: &Contest<'_>) {
    let head = [path.name, "program", "executed", "a call", "over no filter", "99 % interval"];
    let mut table = Table::new(&head);
    let kvm_run = variant::kvm_run();
    let number = |count: Option<usize>| count.map_or_else(|| "none".to_owned(), |count| count.to_string());
    for (variant, outcome) in variants.iter().zip(contest.results()) {
        table.row(outcome.row(
            vec![
                outcome.name.to_owned(),
                number(variant.length()),
                number(or_stop(variant.executed(&kvm_run))),
            ],
            NANOSECONDS,
        ));
    }
    report.add(table);
    let (rounds, calls) = (contest.rounds(), path.calls_per_block);
    report.add(format_args!("{rounds} rounds, a block of {calls} calls of each variant in every round."));
}

#[expect(clippy::cast_precision_loss, reason = "a block takes far less than 2^52 ns")]
fn nanoseconds(duration: Duration) -> f64 {
    duration.as_nanos() as f64
}
