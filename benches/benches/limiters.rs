//! Whether rate limiters keep their numbers by the wall clock: what is limited takes as long as its buckets say.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use ringfence::bench::method::statistics::bootstrap_median;
use ringfence_benches::binary::Binary;
use ringfence_benches::machine::{self, Machine};
use ringfence_benches::network::{self, Echo};
use ringfence_benches::or_stop;
use ringfence_benches::report::Report;
use ringfence_benches::table::{MILLISECONDS, Table};
use serde_json::{Value, json};

/// A bucket: what it holds, which it does at the start, and the milliseconds in which it fills.
#[derive(Clone, Copy)]
struct Bucket {
    size: u32,
    refill_ms: u32,
}

const OPERATIONS: Bucket = Bucket { size: 100, refill_ms: 100 };
const BYTES: Bucket = Bucket { size: 1 << 20, refill_ms: 100 };

/// Of each case.
const ROUNDS: usize = 15;
const SEED: u64 = 15;

const FRAME_BYTES: Bucket = Bucket { size: 256 << 10, refill_ms: 100 };

/// Bytes of a datagram, and of its frame: with the headers of UDP, IP and Ethernet.
const DATAGRAM: usize = 1400;
const FRAME: u32 = 1400 + 8 + 20 + 14;

/// Which the monitor makes, and which goes with it.
const TAP: &str = "tap0";

/// Datagrams on their way at once: few enough for every queue between here and there.
const WINDOW: u32 = 32;

fn main() {
    or_stop(network::enter_namespace());
    let folder = or_stop(tempfile::tempdir());
    let mut cases = disk_cases(folder.path());
    cases.extend(net_cases(folder.path()));
    let mut times = vec![Vec::new(); cases.len()];
    for _ in 0..ROUNDS {
        for (case, times) in cases.iter_mut().zip(&mut times) {
            times.push(nanoseconds((case.block)()));
        }
    }
    let mut table = Table::new(&["what is limited", "by its buckets", "seen, median", "99 % interval"]);
    for (case, times) in cases.iter().zip(&times) {
        let Some(estimate) = bootstrap_median(times, SEED) else { continue };
        let [low, high] = [estimate.low, estimate.high].map(|end| MILLISECONDS.time(end));
        table.row(vec![
            case.name.to_owned(),
            MILLISECONDS.time(nanoseconds(case.expected)),
            MILLISECONDS.time(estimate.median),
            format!("{low} to {high}"),
        ]);
    }
    let mut report = Report::new("limiters");
    report.add(table);
    report.add(format_args!("{ROUNDS} rounds, each case once in every round, its bucket full at the start."));
    println!("{report}");
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn nanoseconds(time: Duration) -> f64 {
    time.as_nanos() as f64
}

/// Something limited, and how long it has to take.
struct Case {
    name: &'static str,
    expected: Duration,
    block: Box<dyn FnMut() -> Duration>,
}

impl Bucket {
    fn json(self, kind: &str) -> Value {
        json!({ kind: { "size": self.size, "refill_time": self.refill_ms } })
    }

    /// How long so many tokens take: those that the full bucket has are there at once.
    fn time(self, tokens: u32) -> Duration {
        let missing = tokens.saturating_sub(self.size);
        Duration::from_millis(self.refill_ms.into()) * missing / self.size
    }
}

/// A machine's configuration as a file.
fn file(folder: &Path, name: &str, guest: &'static str, told: &str, device: (&str, Value)) -> PathBuf {
    let (kernel, path) = (or_stop(machine::guest_file(folder, guest)), folder.join(name));
    let (kind, device) = device;
    let machine = json!({
        "boot-source": { "kernel_image_path": kernel, "boot_args": told },
        kind: [device],
    });
    or_stop(std::fs::write(&path, machine.to_string()));
    path
}

fn run(file: &Path) -> Command {
    let mut command = or_stop(Binary::find()).command();
    command.args(["run", "--config"]).arg(file);
    command
}

fn disk_cases(folder: &Path) -> Vec<Case> {
    let disk = folder.join("disk.img");
    or_stop(std::fs::write(&disk, vec![0x5a; 1 << 20]));
    let case = |name, kind, bucket: Bucket, requests: u32, bytes: u32, tokens| {
        let drive = json!({
            "drive_id": "d", "path_on_host": disk, "is_root_device": false, "rate_limiter": bucket.json(kind),
        });
        let told = format!("requests={requests} bytes={bytes}");
        let file = file(folder, name, "disk", &told, ("drives", drive));
        let block = move || or_stop(machine::time_between(&mut run(&file), "disk: begin", "disk: end"));
        Case { name, expected: bucket.time(tokens), block: Box::new(block) }
    };
    vec![
        // The disk's name, which the guest asks for before, is an operation of its own.
        case("a disk's operations, 1000 a second", "ops", OPERATIONS, 500, 4096, 501),
        case("a disk's bytes, 10 MiB a second", "bandwidth", BYTES, 100, 65536, 100 * 65536),
    ]
}

fn net_cases(folder: &Path) -> Vec<Case> {
    let case = |name, direction: &str, kind, bucket: Bucket, datagrams: u32, tokens| {
        let interface = json!({ "iface_id": "eth0", "host_dev_name": TAP, direction: bucket.json(kind) });
        let file = file(folder, name, "net", "", ("network-interfaces", interface));
        let block = move || {
            let mut machine = or_stop(Machine::start(&mut run(&file)));
            or_stop(machine.wait_for("net: ready at 10.0.0.2"));
            let echo = or_stop(Echo::new(TAP, 0));
            // Each end hears the other's hardware address before anything is measured.
            or_stop(echo.exchange(1, 1, 1));
            std::thread::sleep(Duration::from_millis(u64::from(bucket.refill_ms) * 2));
            or_stop(echo.exchange(DATAGRAM, WINDOW, datagrams))
        };
        Case { name, expected: bucket.time(tokens), block: Box::new(block) }
    };
    let (to, from) = ("rx_rate_limiter", "tx_rate_limiter");
    vec![
        case("frames to the guest, 1000 a second", to, "ops", OPERATIONS, 500, 500),
        case("frames from the guest, 1000 a second", from, "ops", OPERATIONS, 500, 500),
        case("bytes to the guest, 2.5 MiB a second", to, "bandwidth", FRAME_BYTES, 1000, 1000 * FRAME),
        case("bytes from the guest, 2.5 MiB a second", from, "bandwidth", FRAME_BYTES, 1000, 1000 * FRAME),
    ]
}
