//! What a disk does: a guest that drives its queue at the processor's own speed, under this monitor and under QEMU's microvm.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use criterion::{Criterion, SamplingMode};
use ringfence_benches::contest::{Contest, Contestant};
use ringfence_benches::machine;
use ringfence_benches::or_stop;
use ringfence_benches::qemu;
use ringfence_benches::report::Report;
use ringfence_benches::table::{NANOSECONDS, Table};
use tempfile::TempDir;

/// What is measured: a name, what the guest is told, and how many requests it makes.
const WORK: [(&str, &str, u64); 5] = [
    ("read 4 KiB, 1 at once", "", 5000),
    ("write 4 KiB, 1 at once", "write", 5000),
    ("read 4 KiB, 16 at once", "depth=16", 20_000),
    ("read 64 KiB, 1 at once", "bytes=65536", 3000),
    ("write 64 KiB, 16 at once", "write bytes=65536 depth=16", 3000),
];

/// Bytes of the disk: it stays in the host's page cache, so that what is measured is the monitor's own work.
const DISK_BYTES: u64 = 64 << 20;

fn main() {
    let folder = or_stop(tempfile::tempdir());
    let files = or_stop(Files::make(&folder));
    let mut criterion = Criterion::default().configure_from_args();
    let mut report = Report::new("disk");
    let mut table = Table::new(&["a request", "monitor", "median", "over the filter tier", "99 % interval"]);
    let mut rounds = 0;
    let qemu = qemu::is_here();
    for (name, told, requests) in WORK {
        let mut contest = files.contest(told, requests, qemu);
        let mut group = criterion.benchmark_group(name);
        group
            .sampling_mode(SamplingMode::Flat)
            .sample_size(10)
            .measurement_time(std::time::Duration::from_secs(2));
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
        "{rounds} rounds or more, one run of each monitor in every round, on a file of {} MiB in the host's page cache.",
        DISK_BYTES >> 20
    ));
    if !qemu {
        report.add(qemu::ABSENT);
    }
    println!("{report}");
}

/// What the monitors are given.
struct Files {
    ringfence: PathBuf,
    kernel: PathBuf,
    disk: PathBuf,
}

impl Files {
    fn make(folder: &TempDir) -> Result<Self, Box<dyn std::error::Error>> {
        let kernel = machine::guest_file(folder.path(), "disk")?;
        let disk = folder.path().join("disk.img");
        File::create(&disk)?.set_len(DISK_BYTES)?;
        // No holes, and all of it in the page cache.
        std::fs::write(&disk, vec![0x5a; usize::try_from(DISK_BYTES)?])?;
        let ringfence = ringfence_benches::binary::Binary::find()?.path().to_owned();
        Ok(Self { ringfence, kernel, disk })
    }

    fn contest<'a>(&'a self, told: &'a str, requests: u64, qemu: bool) -> Contest<'a> {
        let ours = |name, tier| Contestant {
            name,
            block: Box::new(move || time(&mut self.ringfence(told, requests, tier), requests)),
        };
        let mut contestants = vec![
            ours("ringfence", "filter"),
            ours("ringfence, again", "filter"),
            ours("ringfence without filters", "none"),
            Contestant {
                name: "ringfence, a thread of the disk's own",
                block: Box::new(move || {
                    let mut command = self.ringfence(told, requests, "filter");
                    time(command.args(["--io-threads", "disks"]), requests)
                }),
            },
        ];
        if qemu {
            contestants.push(Contestant {
                name: "QEMU microvm",
                block: Box::new(move || time(&mut self.qemu(told, requests), requests)),
            });
        }
        Contest::new(contestants, 1)
    }

    fn ringfence(&self, told: &str, requests: u64, tier: &str) -> Command {
        let mut command = Command::new(&self.ringfence);
        command.args([
            "run",
            "disk",
            "--tier",
            tier,
            "--cmdline",
            &format!("requests={requests} {told}"),
            "--disk",
        ]);
        command.arg(&self.disk);
        command
    }

    fn qemu(&self, told: &str, requests: u64) -> Command {
        let mut command = qemu::microvm(&self.kernel, &format!("requests={requests} {told}"));
        command.args(["-device", "virtio-blk-device,drive=d"]);
        command.arg("-drive").arg(drive(&self.disk));
        command
    }
}

/// As ringfence has it: written to the page cache, by threads.
fn drive(disk: &Path) -> String {
    format!("if=none,id=d,format=raw,cache=writeback,aio=threads,file={}", disk.display())
}

/// Nanoseconds for a request.
#[expect(clippy::cast_precision_loss, reason = "far below 2^52 of both")]
fn time(command: &mut Command, requests: u64) -> f64 {
    let time = or_stop(machine::time_between(command, "disk: begin", "disk: end"));
    time.as_nanos() as f64 / requests as f64
}
