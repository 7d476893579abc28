//! Whether a disk's requests should go another way than one call after the other: what each way costs a request, and how long other
//! devices wait meanwhile.

use std::io;
use std::time::{Duration, Instant};

use criterion::{Criterion, SamplingMode};
use ringfence_benches::contest::{Contest, Contestant};
use ringfence_benches::neighbour::{self, Beside};
use ringfence_benches::or_stop;
use ringfence_benches::report::Report;
use ringfence_benches::requests::{self, Access, Disk};
use ringfence_benches::ring::Ring;
use ringfence_benches::table::{NANOSECONDS, Table};

/// 64 MiB: the page cache has all of it.
const DISK_PAGES: u64 = 16_384;

/// A file, what is asked of it, how many requests are in a block: so many that a block takes some milliseconds.
const WORK: [(&str, bool, Access, u32); 4] = [
    ("read, page cache", false, Access::Read, 2000),
    ("write, page cache", false, Access::Write, 2000),
    ("read, past the cache", true, Access::Read, 128),
    ("write, past the cache", true, Access::Write, 128),
];

/// So many at once in a ring that has several, and so many threads where there are several.
const DEPTH: u32 = 32;
const THREADS: u32 = 4;

const BESIDE: [(&str, Beside); 4] = [
    ("nothing", Beside::Nothing),
    ("the same thread", Beside::TheSameThread),
    ("a thread of the disk's own", Beside::AnotherThread),
    ("a ring", Beside::ARing),
];

/// Questions of a block.
const QUESTIONS: u32 = 5;

const MEASURED: Duration = Duration::from_secs(2);

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut report = Report::new("asynchronous");
    let disk = or_stop(Disk::new(DISK_PAGES, false));
    let has_rings = Ring::new(&disk, 1).map(drop);
    if let Err(error) = &has_rings {
        report.add(format_args!("Rings were left out: there are none here ({error})."));
    }
    let has_rings = has_rings.is_ok();
    add_requests(&mut criterion, &mut report, has_rings);
    add_neighbours(&mut criterion, &mut report, &disk, has_rings);
    criterion.final_summary();
    println!("{report}");
}

fn add_requests(criterion: &mut Criterion, report: &mut Report, has_rings: bool) {
    let mut table = Table::new(&["4 KiB", "how", "a request", "over one by one", "99 % interval"]);
    for (name, direct, access, count) in WORK {
        let disk = match Disk::new(DISK_PAGES, direct) {
            Ok(disk) => disk,
            Err(error) if direct => {
                report.add(format_args!("{name} was left out: the file system knows no such way ({error})."));
                continue;
            }
            Err(error) => or_stop(Err(error)),
        };
        let mut contest = ways(&disk, access, count, has_rings);
        measure(criterion, name, &mut contest);
        for outcome in contest.results() {
            table.row(outcome.row(vec![name.to_owned(), outcome.name.clone()], NANOSECONDS));
        }
    }
    report.add(table);
}

/// Carries out a block's requests at places that the number leads to.
type Run<'a> = Box<dyn FnMut(u64) -> io::Result<()> + 'a>;

fn ways(disk: &Disk, access: Access, count: u32, has_rings: bool) -> Contest<'_> {
    let one_by_one = || -> Run<'_> { Box::new(move |seed| requests::one_by_one(disk, access, count, seed)) };
    let threads: Run<'_> = Box::new(move |seed| requests::by_threads(disk, access, count, THREADS, seed));
    let ring = |depth| -> Run<'_> {
        let mut ring = or_stop(Ring::new(disk, depth));
        Box::new(move |seed| ring.run(disk, access, count, seed))
    };
    let mut all =
        vec![("one by one", one_by_one()), ("one by one, again", one_by_one()), ("4 threads", threads)];
    if has_rings {
        all.extend([("ring, 1 at once", ring(1)), ("ring, 32 at once", ring(DEPTH))]);
    }
    Contest::new(all.into_iter().map(|(name, run)| way(name, count, run)).collect(), u64::from(count))
}

/// Each block asks for other places.
fn way<'a>(name: &'static str, count: u32, mut run: Run<'a>) -> Contestant<'a> {
    let mut seed = 0;
    let block = move || {
        seed += 1;
        let start = Instant::now();
        or_stop(run(seed));
        nanoseconds(start.elapsed()) / f64::from(count)
    };
    Contestant { name, block: Box::new(block) }
}

fn add_neighbours(criterion: &mut Criterion, report: &mut Report, disk: &Disk, has_rings: bool) {
    let contestant = |(name, beside): (&'static str, Beside)| Contestant {
        name,
        block: Box::new(move || nanoseconds(or_stop(neighbour::wait(disk, beside, QUESTIONS)))),
    };
    let all = BESIDE.into_iter().filter(|(_, beside)| has_rings || *beside != Beside::ARing);
    let mut contest = Contest::new(all.map(contestant).collect(), 1);
    measure(criterion, "answer beside a flushing disk", &mut contest);
    let mut table = Table::new(&["a flushing disk on", "an answer", "over nothing", "99 % interval"]);
    for outcome in contest.results() {
        table.row(outcome.row(vec![outcome.name.clone()], NANOSECONDS));
    }
    report.add(table);
    let rounds = contest.rounds();
    report.add(format_args!(
        "{rounds} rounds of the second table, in each the mean of {QUESTIONS} answers of each kind."
    ));
}

fn measure(criterion: &mut Criterion, name: &str, contest: &mut Contest<'_>) {
    let mut group = criterion.benchmark_group(name);
    group
        .sampling_mode(SamplingMode::Flat)
        .sample_size(10)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(MEASURED);
    contest.run(&mut group);
    group.finish();
}

#[expect(clippy::cast_precision_loss, reason = "a block takes far less than 2^52 ns")]
fn nanoseconds(duration: Duration) -> f64 {
    duration.as_nanos() as f64
}
