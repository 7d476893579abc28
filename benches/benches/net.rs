//! What a network interface does: datagrams from the host to a guest that sends them back, under this monitor and under QEMU's
//! microvm.

use std::path::Path;
use std::process::Command;

use criterion::{Criterion, SamplingMode};
use ringfence_benches::binary::Binary;
use ringfence_benches::contest::{Contest, Contestant};
use ringfence_benches::machine::{self, Machine};
use ringfence_benches::network::{self, Echo};
use ringfence_benches::or_stop;
use ringfence_benches::qemu;
use ringfence_benches::report::Report;
use ringfence_benches::table::{NANOSECONDS, Table};

/// What is measured: a name, bytes of a datagram, how many are on their way at once, how many are sent in a block.
const WORK: [(&str, usize, u32, u32); 4] = [
    ("64 bytes, 1 at once", 64, 1, 300),
    ("1400 bytes, 1 at once", 1400, 1, 300),
    ("64 bytes, 32 at once", 64, 32, 2000),
    ("1400 bytes, 32 at once", 1400, 32, 2000),
];

/// The tiers of ours; the baseline first, and again.
const OURS: [(&str, &str); 3] =
    [("ringfence", "filter"), ("ringfence, again", "filter"), ("ringfence without filters", "none")];

/// Which each monitor makes, and which goes with it.
const TAP: &str = "tap0";

/// Datagrams before those that are measured.
const WARM_UP: u32 = 20;

fn main() {
    or_stop(network::enter_namespace());
    let folder = or_stop(tempfile::tempdir());
    let kernel = or_stop(machine::guest_file(folder.path(), "net"));
    let binary = or_stop(Binary::find());

    let mut criterion = Criterion::default().configure_from_args();
    let mut report = Report::new("net");
    let mut table = Table::new(&["a datagram", "monitor", "median", "over the filter tier", "99 % interval"]);
    let (qemu, mut rounds) = (qemu::is_here(), 0);
    for (name, bytes, window, count) in WORK {
        let ours = |(name, tier)| {
            let binary = &binary;
            let block = move || time(&mut ringfence(binary, tier), bytes, window, count);
            Contestant { name, block: Box::new(block) }
        };
        let mut contestants: Vec<_> = OURS.into_iter().map(ours).collect();
        if qemu {
            let block = || time(&mut microvm(&kernel), bytes, window, count);
            contestants.push(Contestant { name: "QEMU microvm", block: Box::new(block) });
        }
        let mut contest = Contest::new(contestants, 1);
        let mut group = criterion.benchmark_group(name);
        group
            .sampling_mode(SamplingMode::Flat)
            .sample_size(10)
            .measurement_time(std::time::Duration::from_secs(1));
        contest.run(&mut group);
        group.finish();
        for outcome in contest.results() {
            table.row(outcome.row(vec![name.to_owned(), outcome.name.clone()], NANOSECONDS));
        }
        rounds = contest.rounds();
    }
    criterion.final_summary();
    report.add(table);
    report.add(format_args!(
        "There and back, through the host's kernel, a TAP, the monitor and its guest. {rounds} rounds or more, a block of each monitor in \
         every round. The guest waits for frames without a halt, so one processor of the host is its own."
    ));
    if !qemu {
        report.add(qemu::ABSENT);
    }
    println!("{report}");
}

fn ringfence(binary: &Binary, tier: &str) -> Command {
    let mut command = binary.command();
    command.args(["run", "net", "--tier", tier, "--net", TAP]);
    command
}

fn microvm(kernel: &Path) -> Command {
    let mut command = qemu::microvm(kernel, "");
    command.args(["-device", "virtio-net-device,netdev=n", "-netdev"]);
    command.arg(format!("tap,id=n,ifname={TAP},script=no,downscript=no,vhost=off"));
    command
}

/// Starts a monitor; nanoseconds for a datagram.
#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn time(command: &mut Command, bytes: usize, window: u32, count: u32) -> f64 {
    let mut machine = or_stop(Machine::start(command));
    or_stop(machine.wait_for("net: ready at 10.0.0.2"));
    let echo = or_stop(Echo::new(TAP, 0));
    // Each end hears the other's hardware address before anything is measured.
    or_stop(echo.exchange(bytes, 1, WARM_UP));
    or_stop(echo.exchange(bytes, window, count)).as_nanos() as f64 / f64::from(count)
}
