//! What the API takes: from the start of the process to an answer, a request of an idle process, and memory with a disk.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use criterion::{Criterion, SamplingMode};
use ringfence_benches::binary::{Binary, LIBRARY_PATH};
use ringfence_benches::client::Served;
use ringfence_benches::contest::{Contest, Contestant};
use ringfence_benches::machine;
use ringfence_benches::or_stop;
use ringfence_benches::process::{self, Footprint};
use ringfence_benches::report::Report;
use ringfence_benches::table::{MICROSECONDS, MILLISECONDS, Table};

/// Requests of a block.
const REQUESTS: u32 = 100;

/// The guest's memory, in MiB: the API's default.
const GUEST_MIB: u64 = 128;

/// Between the start and the look at the process: all threads have come to rest.
const SETTLED_AFTER: Duration = Duration::from_millis(200);

fn main() {
    let folder = or_stop(tempfile::tempdir());
    let binary = or_stop(Binary::find().and_then(|binary| binary.copied_to(folder.path())));
    let mut criterion = Criterion::default().configure_from_args();
    let mut report = Report::new("api");
    let mut table = Table::new(&["what", "median", "over the filter tier", "99 % interval"]);
    let starts = Contest::new(
        vec![
            start("start to an answer", &binary, "filter", folder.path()),
            start("the same again", &binary, "filter", folder.path()),
            start("the same without filters", &binary, "none", folder.path()),
            Contestant { name: "start and end of `true`", block: Box::new(nothing) },
        ],
        1,
    );
    let (first, second) = (folder.path().join("idle"), folder.path().join("idle, free"));
    let requests = Contest::new(
        vec![
            request("GET / of an idle process", &binary, "filter", &first),
            request("the same without filters", &binary, "none", &second),
        ],
        REQUESTS.into(),
    );
    for (name, unit, mut contest) in [("start", MILLISECONDS, starts), ("request", MICROSECONDS, requests)] {
        let mut group = criterion.benchmark_group(name);
        group.sampling_mode(SamplingMode::Flat).sample_size(20).measurement_time(Duration::from_secs(2));
        contest.run(&mut group);
        group.finish();
        for outcome in contest.results() {
            table.row(outcome.row(vec![outcome.name.clone()], unit));
        }
    }
    criterion.final_summary();
    report.add(table);
    report.add("The program is a copy, as an installation has it; the linker's own file takes 0.1 to 0.2 ms longer to start.");
    report.add(holdings(&binary, folder.path()));
    report.add(format_args!(
        "The process's own memory, its guest's left out, by /proc/PID/smaps, {} ms after the start of a guest with a disk that was \
         configured and started by the API.",
        SETTLED_AFTER.as_millis()
    ));
    println!("{report}");
}

fn serving(binary: &Binary, tier: &str, socket: &Path) -> Served {
    let mut command = binary.command();
    or_stop(Served::start(command.args(["api", "--tier", tier, "--sock"]).arg(socket), socket))
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52 ns")]
fn start<'a>(name: &'static str, binary: &'a Binary, tier: &'static str, folder: &Path) -> Contestant<'a> {
    let socket = folder.join("start");
    let block = move || serving(binary, tier, &socket).first_answer_after.as_nanos() as f64;
    Contestant { name, block: Box::new(block) }
}

/// What any process takes here.
#[expect(clippy::cast_precision_loss, reason = "far below 2^52 ns")]
fn nothing() -> f64 {
    let begun = Instant::now();
    or_stop(Command::new("true").env_remove(LIBRARY_PATH).status());
    begun.elapsed().as_nanos() as f64
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52 ns")]
fn request(name: &'static str, binary: &Binary, tier: &str, socket: &Path) -> Contestant<'static> {
    let mut served = serving(binary, tier, socket);
    let block = move || {
        let begun = Instant::now();
        for _ in 0..REQUESTS {
            expect(&mut served, "GET", "/", "", 200);
        }
        begun.elapsed().as_nanos() as f64 / f64::from(REQUESTS)
    };
    Contestant { name, block: Box::new(block) }
}

fn holdings(binary: &Binary, folder: &Path) -> Table {
    let [socket, disk] = ["machine", "disk.img"].map(|name| folder.join(name));
    let kernel = or_stop(machine::guest_file(folder, "spin"));
    or_stop(std::fs::write(&disk, vec![0; 1 << 20]));
    let mut served = serving(binary, "filter", &socket);
    let boot = serde_json::json!({ "kernel_image_path": kernel, "boot_args": "" });
    let drive = serde_json::json!({ "drive_id": "d", "path_on_host": disk, "is_root_device": false });
    expect(&mut served, "PUT", "/boot-source", &boot.to_string(), 204);
    expect(&mut served, "PUT", "/drives/d", &drive.to_string(), 204);
    expect(&mut served, "PUT", "/actions", r#"{"action_type":"InstanceStart"}"#, 204);
    std::thread::sleep(SETTLED_AFTER);
    let Footprint { own, .. } = or_stop(process::footprint(served.pid(), GUEST_MIB));
    let mut table = Table::new(&["memory", "resident", "anonymous", "private"]);
    let sizes = [own.resident_kib, own.anonymous_kib, own.private_kib];
    let cells = ["with an API and a disk".to_owned()];
    table.row(cells.into_iter().chain(sizes.map(|size| format!("{size} KiB"))).collect());
    table
}

fn expect(served: &mut Served, method: &str, path: &str, body: &str, expected: u16) {
    let status = or_stop(served.ask(method, path, body));
    if status != expected {
        or_stop::<(), _>(Err(format!("{method} {path} {body} was answered by {status}")));
    }
}
