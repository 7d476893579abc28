//! How long the monitor takes from the start of its process to its guest's first byte, and what it holds then.

use std::time::Duration;

use criterion::{Criterion, SamplingMode};
use ringfence_benches::binary::{self, Binary};
use ringfence_benches::contest::{Contest, Contestant};
use ringfence_benches::or_stop;
use ringfence_benches::process::{self, Footprint};
use ringfence_benches::report::Report;
use ringfence_benches::table::{MILLISECONDS, Table};

/// What is started: a guest that prints at once, in one of the tiers; the last is the program alone, which makes no
/// machine. The baseline first, and again.
const STARTS: [(&str, &[&str]); 4] = [
    ("no filter", &["run", "hello", "--tier", "none"]),
    ("no filter, again", &["run", "hello", "--tier", "none"]),
    ("filter tier", &["run", "hello", "--tier", "filter"]),
    ("`--version` alone", &["--version"]),
];

/// A guest that stays, and the memory that it is given in MiB.
const STAYING: [&str; 4] = ["run", "spin", "--memory", "128"];
const GUEST_MIB: u64 = 128;

/// Between the guest's first byte and the look at the process: all threads have come to rest.
const SETTLED_AFTER: Duration = Duration::from_millis(200);

fn main() {
    let folder = or_stop(tempfile::tempdir());
    let binary = or_stop(Binary::find().and_then(|binary| binary.copied_to(folder.path())));
    let mut criterion = Criterion::default().configure_from_args();
    let mut contest = contest(&binary);
    let mut group = criterion.benchmark_group("start");
    group.sampling_mode(SamplingMode::Flat).sample_size(20).measurement_time(Duration::from_secs(2));
    contest.run(&mut group);
    group.finish();
    criterion.final_summary();
    let mut report = Report::new("start");
    add_times(&mut report, &contest);
    add_holdings(&mut report, &binary);
    println!("{report}");
}

fn contest(binary: &Binary) -> Contest<'_> {
    let contestant = |(name, arguments): (&'static str, &'static [&'static str])| Contestant {
        name,
        block: Box::new(move || or_stop(nanoseconds_to_first_byte(binary, arguments))),
    };
    Contest::new(STARTS.into_iter().map(contestant).collect(), 1)
}

#[expect(clippy::cast_precision_loss, reason = "a start takes far less than 2^52 ns")]
fn nanoseconds_to_first_byte(binary: &Binary, arguments: &[&str]) -> Result<f64, binary::Error> {
    let running = binary.start(arguments)?;
    let nanoseconds = running.first_byte_after.as_nanos() as f64;
    running.finish()?;
    Ok(nanoseconds)
}

fn add_times(report: &mut Report, contest: &Contest<'_>) {
    let mut table = Table::new(&["start to first byte", "median", "over no filter", "99 % interval"]);
    for outcome in contest.results() {
        table.row(outcome.row(vec![outcome.name.clone()], MILLISECONDS));
    }
    report.add(table);
    report.add(format_args!("{} rounds, one start of each variant in every round.", contest.rounds()));
}

fn add_holdings(report: &mut Report, binary: &Binary) {
    let running = or_stop(binary.start(&STAYING));
    std::thread::sleep(SETTLED_AFTER);
    let Footprint { own, guest } = or_stop(process::footprint(running.pid(), GUEST_MIB));
    let mut table = Table::new(&["memory", "resident", "anonymous", "private"]);
    for (name, memory) in [("the monitor's own", own), ("the guest's", guest)] {
        let sizes = [memory.resident_kib, memory.anonymous_kib, memory.private_kib];
        table.row([name.to_owned()].into_iter().chain(sizes.map(|size| format!("{size} KiB"))).collect());
    }
    report.add(table);
    let mut table = Table::new(&["thread", "descriptors"]);
    for thread in or_stop(process::threads(running.pid())) {
        table.row(vec![thread.name, thread.descriptors.to_string()]);
    }
    report.add(table);
}
