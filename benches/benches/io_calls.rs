//! What a filter adds to the io thread's calls: reading a disk, hearing a queue, ringing an interrupt.

use std::fs::File;
use std::time::Duration;

use criterion::{Criterion, SamplingMode};
use ringfence_benches::contest::{Contest, Contestant};
use ringfence_benches::io::{self, IoThread, Kind, READ_BYTES};
use ringfence_benches::or_stop;
use ringfence_benches::report::Report;
use ringfence_benches::table::{NANOSECONDS, Table};
use ringfence_benches::variant::Variant;

/// As tables have them.
const CALLS: [(&str, Kind); 3] = [
    ("pread64 of 4 KiB", Kind::ReadDisk),
    ("read of a queue's bell", Kind::HearQueue),
    ("write to an interrupt", Kind::RingInterrupt),
];

/// So many that a block takes some hundred microseconds: short beside what disturbs it.
const CALLS_PER_BLOCK: u32 = 1000;

/// Time of one variant's own calls; all together take as many times longer as there are variants.
const MEASURED: Duration = Duration::from_secs(1);

/// So many threads for every variant: what is found shall not be where one thread's stack lies.
const THREADS: usize = 4;

fn main() {
    let variants = or_stop(io::variants());
    let disk = or_stop(disk());
    let start = |variant: &Variant| {
        (0..THREADS).map(|_| IoThread::start(&disk, variant.hold)).collect::<Result<Vec<_>, _>>()
    };
    let threads: Vec<_> = or_stop(variants.iter().map(start).collect());
    let mut criterion = Criterion::default().configure_from_args();
    let mut report = Report::new("io_calls");
    for (name, kind) in CALLS {
        let mut contest = contest(kind, &variants, &threads);
        let mut group = criterion.benchmark_group(name);
        group
            .sampling_mode(SamplingMode::Flat)
            .warm_up_time(Duration::from_millis(300))
            .measurement_time(MEASURED);
        contest.run(&mut group);
        group.finish();
        add_results(&mut report, (name, kind), &variants, &contest);
    }
    criterion.final_summary();
    println!("{report}");
}

/// A file in the page cache.
fn disk() -> std::io::Result<File> {
    use std::io::Write as _;

    let mut file = tempfile::tempfile()?;
    file.write_all(&[0x5a; READ_BYTES])?;
    Ok(file)
}

/// Each round is done by the next thread of every variant.
fn contest<'a>(kind: Kind, variants: &[Variant], threads: &'a [Vec<IoThread>]) -> Contest<'a> {
    let contestant = |(variant, threads): (&Variant, &'a Vec<IoThread>)| {
        let mut turns = threads.iter().cycle();
        let block = move || {
            let time =
                turns.next().map(|thread| or_stop(thread.block(kind, CALLS_PER_BLOCK))).unwrap_or_default();
            nanoseconds(time) / f64::from(CALLS_PER_BLOCK)
        };
        Contestant { name: variant.name, block: Box::new(block) }
    };
    Contest::new(variants.iter().zip(threads).map(contestant).collect(), u64::from(CALLS_PER_BLOCK))
}

fn add_results(report: &mut Report, (name, kind): (&str, Kind), variants: &[Variant], contest: &Contest<'_>) {
    let mut table = Table::new(&[name, "program", "executed", "a call", "over no filter", "99 % interval"]);
    let number = |count: Option<usize>| count.map_or_else(|| "none".to_owned(), |count| count.to_string());
    for (variant, outcome) in variants.iter().zip(contest.results()) {
        table.row(outcome.row(
            vec![
                outcome.name.to_owned(),
                number(variant.length()),
                number(or_stop(variant.executed(&kind.call()))),
            ],
            NANOSECONDS,
        ));
    }
    report.add(table);
    let rounds = contest.rounds();
    report.add(format_args!(
        "{rounds} rounds, a block of {CALLS_PER_BLOCK} calls of each variant in every round."
    ));
}

#[expect(clippy::cast_precision_loss, reason = "a block takes far less than 2^52 ns")]
fn nanoseconds(duration: Duration) -> f64 {
    duration.as_nanos() as f64
}
