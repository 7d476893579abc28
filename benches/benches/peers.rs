//! What others take for the same, in the same rounds, where Debian's packages of them are here: filters for the vCPU's policy by
//! libseccomp, and QEMU's microvm, its start and its exits, without and with its sandbox.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use criterion::{Criterion, SamplingMode};
use ringfence::bench::exit_path::ExitPath;
use ringfence::bench::experiment::Work;
use ringfence::bench::thread::processors;
use ringfence::bench::variant::{Other, policy};
use ringfence::role::policies::vcpu;
use ringfence_benches::binary::Binary;
use ringfence_benches::contest::{Contest, Contestant};
use ringfence_benches::libseccomp::{self, Libseccomp, Tree};
use ringfence_benches::machine::{self, Machine};
use ringfence_benches::report::Report;
use ringfence_benches::table::{MICROSECONDS, MILLISECONDS, NANOSECONDS, Table, Unit};
use ringfence_benches::{or_stop, qemu};

/// Exits of a guest, between the two lines.
const EXITS: u32 = 4000;
const BEGIN: &str = "exits: begin, 4000 port exits";
const END: &str = "exits: end";

/// QEMU's own filters, all of them.
const SANDBOX: &str = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny";

fn main() {
    let folder = or_stop(tempfile::tempdir());
    let machines = Machines {
        ringfence: or_stop(Binary::find()).path().to_owned(),
        kernel: or_stop(machine::guest_file(folder.path(), "exits")),
    };
    let mut criterion = Criterion::default().configure_from_args();
    let mut report = Report::new("peers");
    filters(&mut criterion, &mut report);
    if !qemu::is_here() {
        report.add(qemu::ABSENT);
    }
    let starts = machines.contest(|command| {
        let start = Instant::now();
        let mut machine = or_stop(Machine::start(command));
        or_stop(machine.wait_for(BEGIN)).duration_since(start)
    });
    add(&mut criterion, &mut report, ("start to the guest's first line", MILLISECONDS), starts);
    let exits = machines.contest(|command| or_stop(machine::time_between(command, BEGIN, END)) / EXITS);
    add(&mut criterion, &mut report, ("a port exit", MICROSECONDS), exits);
    criterion.final_summary();
    println!("{report}");
}

/// The vCPU's policy by every compiler that is here.
fn filters(criterion: &mut Criterion, report: &mut Report) {
    let libseccomp = match Libseccomp::find() {
        Ok(found) => found,
        Err(error @ libseccomp::Error::Missing(_)) => {
            report.add(format!("Libseccomp was not here: {error}."));
            return;
        }
        Err(error) => or_stop(Err(error)),
    };
    let own = or_stop(policy(&vcpu::POLICY)).policy;
    let other = |(name, tree): (&str, Tree)| {
        Other::new(name.to_owned(), or_stop(libseccomp.compile(&own, tree)).instructions())
    };
    let others = [("libseccomp", Tree::Priority), ("libseccomp, tree", Tree::Binary)].map(other).to_vec();
    let mut exit_path = or_stop(ExitPath::new(others, Ok(Vec::new()), or_stop(processors())));
    let prepared = or_stop(exit_path.prepare("exit/refused", Work::calibrate()));
    add(criterion, report, ("KVM_RUN refused", NANOSECONDS), Contest::of(prepared, 1500));
    report.add(format!("Libseccomp {}.", libseccomp.version()));
}

fn add<E: std::fmt::Display>(
    criterion: &mut Criterion,
    report: &mut Report,
    (name, unit): (&str, Unit),
    mut contest: Contest<'_, E>,
) {
    let mut group = criterion.benchmark_group(name);
    group.sampling_mode(SamplingMode::Flat).sample_size(10).measurement_time(Duration::from_secs(2));
    contest.run(&mut group);
    group.finish();
    let mut table = Table::new(&[name, "median", "more than the first", "99 % interval"]);
    for outcome in contest.results() {
        table.row(outcome.row(vec![outcome.name.clone()], unit));
    }
    report.add(table);
    report.add(format_args!("{} rounds.", contest.rounds()));
}

/// The monitors, and the guest that all of them run.
struct Machines {
    ringfence: PathBuf,
    kernel: PathBuf,
}

impl Machines {
    fn contest<'a>(&'a self, time: impl Fn(&mut Command) -> Duration + Copy + 'a) -> Contest<'a> {
        let ours = |name, tier| Contestant {
            name,
            block: Box::new(move || nanoseconds(time(&mut self.ringfence(tier)))),
        };
        let mut contestants = vec![
            ours("ringfence without filters", "none"),
            ours("ringfence without filters, again", "none"),
            ours("ringfence", "filter"),
        ];
        if qemu::is_here() {
            let theirs = |name, sandbox: &'static [&'static str]| Contestant {
                name,
                block: Box::new(move || nanoseconds(time(self.qemu().args(sandbox)))),
            };
            contestants.push(theirs("QEMU microvm", &[]));
            contestants.push(theirs("QEMU microvm, sandboxed", &["-sandbox", SANDBOX]));
        }
        Contest::new(contestants, 1)
    }

    fn ringfence(&self, tier: &str) -> Command {
        let mut command = Command::new(&self.ringfence);
        command.args(["run", "--kernel"]).arg(&self.kernel).args(["--cmdline", &EXITS.to_string()]);
        command.args(["--tier", tier]);
        command
    }

    fn qemu(&self) -> Command {
        qemu::microvm(&self.kernel, &EXITS.to_string())
    }
}

#[expect(clippy::cast_precision_loss, reason = "a start takes far less than 2^52 ns")]
fn nanoseconds(duration: Duration) -> f64 {
    duration.as_nanos() as f64
}
