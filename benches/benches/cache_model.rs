//! The model of the kernel's action cache against the running kernel, by time: one call under programs that decide it
//! alike, of which the model says that the cache answers some.
//!
//! Any filter costs the slow way into the kernel. Where model and kernel agree, a call that is said to be cached costs
//! that alone, however long its way through the program, and another what it executes on top.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use criterion::{Criterion, SamplingMode};
use ringfence::confine::install::{self, Hold};
use ringfence_benches::contest::{Contest, Contestant};
use ringfence_benches::report::Report;
use ringfence_benches::table::{NANOSECONDS, Table};
use seccomp_policies::bpf::{Program, cached_calls, interpret};
use seccomp_policies::call::Call;
use seccomp_policies::compile::reference;
use seccomp_policies::language::check_sources;
use seccomp_policies::syscalls::{self, Arch, Syscall, by_name};

/// What is called: one argument, and next to nothing to do.
const CALL: &str = "getpgid";

/// A program under which everything is allowed but what nobody asks for.
struct Shape {
    name: &'static str,
    /// Whether it has a rule for each call with a lower number, past which the way to the measured one leads, or for one
    /// such call.
    is_long: bool,
    /// Whether an argument of the measured call decides.
    looks_at_argument: bool,
}

const SHAPES: [Shape; 4] = [
    Shape { name: "short, by number", is_long: false, looks_at_argument: false },
    Shape { name: "short, by argument", is_long: false, looks_at_argument: true },
    Shape { name: "long, by number", is_long: true, looks_at_argument: false },
    Shape { name: "long, by argument", is_long: true, looks_at_argument: true },
];

/// No call has this for its first argument: neither a descriptor, an address nor a process.
const UNUSED: u32 = 0x7fff_fff1;

/// A block takes some hundred microseconds.
const CALLS_PER_BLOCK: u32 = 2000;

fn main() {
    let programs = SHAPES.map(|shape| (shape.name, compiled(&shape)));
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

fn measured() -> &'static Syscall {
    by_name(Arch::X86_64, CALL).expect("the kernel has it")
}

/// The reference backend's program, which tests for one call after another.
fn compiled(shape: &Shape) -> Program {
    let own = measured().number;
    let lower =
        syscalls::all(Arch::X86_64).iter().filter(|call| call.number < own && !call.arguments.is_empty());
    let mut others: Vec<_> = lower.collect();
    if !shape.is_long {
        others.truncate(1);
    }
    let rule = |call: &Syscall| {
        format!("{}: errno EPERM if {} == {UNUSED} -- never asked for\n", call.name, call.arguments[0].name)
    };
    let own = shape.looks_at_argument.then_some(measured());
    let rules: String = others.into_iter().chain(own).map(rule).collect();
    let text = format!("role measured\ntier filter\notherwise allow\n{rules}");
    let checked = check_sources("measured.policy", &[("measured.policy", &text)], Arch::X86_64);
    let policy = checked.unwrap_or_else(|findings| panic!("{findings}")).policy;
    reference(&policy).unwrap_or_else(|error| panic!("{error}"))
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
                // A thread keeps its filter for life, and so does the benchmark.
                let hold = Hold::Program(Box::leak(program.instructions().into()));
                install::install(hold).unwrap_or_else(|error| panic!("{error}"));
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
fn contest<'a>(threads: &'a [(&'static str, Caller)]) -> Contest<'a> {
    let contestants = threads.iter().map(|(name, caller)| {
        let block = move || caller.block(CALLS_PER_BLOCK).as_nanos() as f64 / f64::from(CALLS_PER_BLOCK);
        Contestant { name, block: Box::new(block) }
    });
    Contest::new(contestants.collect(), u64::from(CALLS_PER_BLOCK))
}

fn report(programs: &[(&'static str, Program)], contest: &Contest<'_>) -> Report {
    let number = measured().number;
    let arch = Arch::X86_64.audit_value();
    let call = Call { number, arch, instruction_pointer: 0, arguments: [0; 6] };
    let mut table = Table::new(&[CALL, "on its way", "cached", "a call", "over no filter", "99 % interval"]);
    for outcome in contest.results() {
        let program = programs.iter().find(|(known, _)| *known == outcome.name).map(|(_, program)| program);
        let [way, cached] = program.map_or([String::new(), String::new()], |program| {
            let executed = interpret(program.instructions(), &call).expect("a valid program").executed;
            let is_cached = cached_calls(program.instructions(), Arch::X86_64).contains(&number);
            [executed.to_string(), if is_cached { "yes" } else { "no" }.to_owned()]
        });
        table.row(outcome.row(vec![outcome.name.clone(), way, cached], NANOSECONDS));
    }
    let mut report = Report::new("cache_model");
    report.add(table);
    report.add(format_args!(
        "{} rounds, a block of {CALLS_PER_BLOCK} calls of each in every round.",
        contest.rounds()
    ));
    report
}
