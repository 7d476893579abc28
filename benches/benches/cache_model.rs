//! The model of the kernel's action cache against the running kernel, by time: one call under programs that decide it
//! alike, of which the model says that the cache answers one.
//!
//! Where model and kernel agree, the call that is said to be cached costs a few nanoseconds over no filter, and the other
//! what its program takes.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use criterion::{Criterion, SamplingMode};
use ringfence::confine::install::{self, Hold};
use ringfence_benches::contest::{Contest, Contestant};
use ringfence_benches::report::Report;
use ringfence_benches::table::{NANOSECONDS, Table};
use seccomp_policies::bpf::{Program, cached_calls};
use seccomp_policies::compile::{Weights, optimize};
use seccomp_policies::language::check_sources;
use seccomp_policies::syscalls::{Arch, by_name};

/// What is called: one argument, and next to nothing to do.
const CALL: &str = "getpgid";

/// Names for the table, and a rule each: of `getpgid` itself, whose argument then decides, or of another call.
const PROGRAMS: [(&str, &str); 2] = [
    ("an argument of another call decides", "setpgid: errno EPERM if pid == 1"),
    ("its own argument decides", "getpgid: errno EPERM if pid == 1"),
];

/// A block takes some hundred microseconds.
const CALLS_PER_BLOCK: u32 = 2000;

fn main() {
    let programs = PROGRAMS.map(|(name, rule)| (name, compiled(rule)));
    let filtered = programs.iter().map(|(name, program)| (*name, Some(program.clone())));
    let threads: Vec<(&'static str, Caller)> = [("no filter", None), ("no filter, again", None)]
        .into_iter()
        .chain(filtered)
        .map(|(name, program)| (name, Caller::start(program)))
        .collect();
    let mut criterion = Criterion::default().configure_from_args();
    let mut contest = contest(&threads);
    let mut group = criterion.benchmark_group("cache_model");
    group.sampling_mode(SamplingMode::Flat).measurement_time(Duration::from_secs(1));
    contest.run(&mut group);
    group.finish();
    criterion.final_summary();
    println!("{}", report(&programs, &contest));
}

/// A program under which everything is allowed but for this rule.
fn compiled(rule: &str) -> Program {
    let text = format!("role measured\ntier filter\notherwise allow\n{rule} -- tells two programs apart\n");
    let checked = check_sources("measured.policy", &[("measured.policy", &text)], Arch::X86_64);
    let policy = checked.unwrap_or_else(|findings| panic!("{findings}")).policy;
    optimize(&policy, &Weights::default()).unwrap_or_else(|error| panic!("{error}"))
}

/// A thread that makes calls on command. Its filter stays for its life, and so does it.
struct Caller {
    orders: Sender<u32>,
    times: Receiver<Duration>,
}

impl Caller {
    fn start(program: Option<Program>) -> Self {
        let (orders, taken) = channel::<u32>();
        let (done, times) = channel();
        thread::spawn(move || {
            if let Some(program) = program {
                let instructions = Box::leak(program.instructions().into());
                install::install(Hold::Program(instructions)).unwrap_or_else(|error| panic!("{error}"));
            }
            // Ends with whoever gives orders.
            while let Ok(calls) = taken.recv() {
                if done.send(time_of(calls)).is_err() {
                    return;
                }
            }
        });
        Self { orders, times }
    }

    fn block(&self, calls: u32) -> Duration {
        self.orders.send(calls).expect("the thread waits for orders");
        self.times.recv().expect("the thread answers")
    }
}

fn time_of(calls: u32) -> Duration {
    let repeat = |calls| {
        for _ in 0..calls {
            // The thread has just been woken; its own group cannot be missing.
            let group = rustix::process::getpgid(None);
            assert!(group.is_ok(), "{group:?}");
        }
    };
    repeat(calls / 8);
    let start = Instant::now();
    repeat(calls);
    start.elapsed()
}

#[expect(clippy::cast_precision_loss, reason = "a block takes far less than 2^52 ns")]
fn contest(threads: &[(&'static str, Caller)]) -> Contest<'_> {
    let contestants = threads.iter().map(|(name, caller)| {
        let block = move || caller.block(CALLS_PER_BLOCK).as_nanos() as f64 / f64::from(CALLS_PER_BLOCK);
        Contestant { name, block: Box::new(block) }
    });
    Contest::new(contestants.collect(), u64::from(CALLS_PER_BLOCK))
}

fn report(programs: &[(&'static str, Program)], contest: &Contest<'_>) -> Report {
    let number = by_name(Arch::X86_64, CALL).expect("the kernel has it").number;
    let cached = |name: &str| {
        let program = programs.iter().find(|(known, _)| *known == name).map(|(_, program)| program)?;
        Some(cached_calls(program.instructions(), Arch::X86_64).contains(&number))
    };
    let mut table = Table::new(&[CALL, "cached by the model", "a call", "over no filter", "99 % interval"]);
    for outcome in contest.results() {
        let said = match cached(outcome.name) {
            None => "",
            Some(true) => "yes",
            Some(false) => "no",
        };
        table.row(vec![
            outcome.name.to_owned(),
            said.to_owned(),
            NANOSECONDS.time(outcome.time.median),
            NANOSECONDS.difference(outcome.difference.median),
            NANOSECONDS.interval(&outcome.difference),
        ]);
    }
    let mut report = Report::new("cache_model");
    report.add(table);
    report.add(format_args!(
        "{} rounds, a block of {CALLS_PER_BLOCK} calls of each in every round.",
        contest.rounds()
    ));
    report
}
