//! What each thread holds: its role's slots and nothing else, and behind each the right object.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::net::UnixStream;
use std::path::Path;

use ringfence::role::policies::{ALL, api, console, disk, io, io_vsock, main, main_api, vcpu};
use ringfence_tests::network;
use ringfence_tests::procfs::Thread;
use ringfence_tests::run::Run;
use ringfence_tests::wait;
use rustix::io::Errno;
use rustix::process::{PidfdFlags, pidfd_open};

use crate::threads::{own_threads, spinning};

const NULL: &str = "/dev/null";
const EVENTFD: &str = "anon_inode:[eventfd]";
const PIPE: &str = "pipe:";

/// Eventfds of io that are there where a device was asked for. Those of a socket device are another role's.
const OPTIONAL_BELLS: [&str; 15] = [
    "entropy_queue",
    "entropy_irq",
    "keyboard_irq",
    "disk_queues",
    "disk_irqs",
    "net_receive_queues",
    "net_transmit_queues",
    "net_irqs",
    "balloon_queues",
    "balloon_irq",
    "console_receive_queue",
    "console_transmit_queue",
    "console_irq",
    "output_bell",
    "disk_bells",
];

/// What `/proc` calls the object behind a slot: the start of it.
fn object(role: &str, slot: &str) -> &'static str {
    // The same thread, with a device more.
    let role = if role == "io_vsock" { "io" } else { role };
    match (role, slot) {
        (_, "stdin" | "stdout" | "stderr" | "terminal") => PIPE,
        (_, "bell" | "main_bell" | "console_bell" | "io_bell" | "api_bell" | "room" | "serial_irq") => {
            EVENTFD
        }
        ("io", slot) if OPTIONAL_BELLS.contains(&slot) => EVENTFD,
        ("io", "vsock_receive_queue" | "vsock_transmit_queue" | "vsock_event_queue" | "vsock_irq")
        | ("disk", "queue" | "irq") => EVENTFD,
        ("io", "taps") => "/dev/net/tun",
        ("vcpu", "vcpu") | ("main" | "main_api", "vcpus") => "anon_inode:kvm-vcpu:",
        ("main" | "main_api", "vm") => "anon_inode:kvm-vm",
        ("main" | "main_api", "signals") => "anon_inode:[signalfd]",
        // A file of its own file system since Linux 6.9.
        ("main" | "main_api", "console_exit") => "anon_inode:[pidfd]",
        ("io" | "disk" | "api", "timer") => "anon_inode:[timerfd]",
        ("main" | "main_api", "counters") => "anon_inode:[perf_event]",
        ("main" | "main_api", "report" | "log" | "metrics" | "stat") | ("io", "disks") | ("disk", "disk") => {
            "/"
        }
        ("io" | "disk" | "api", "epoll") | ("io", "vsock_epoll") => "anon_inode:[eventpoll]",
        ("io", "vsock_socket" | "vsock_streams")
        | ("io" | "disk", "main_socket" | "received")
        | ("main_api", "io_socket" | "disk_sockets" | "opened") => "socket:[",
        ("api", "listener") => "socket:",
        _ => panic!("slot {slot} of role {role} is new: say here what lies there"),
    }
}

/// The role of a thread, by its name and what was asked for.
fn role<'name>(thread: &'name str, extra: &[&str]) -> &'name str {
    if thread == "rf-io" && extra.contains(&"vsock_streams") {
        return "io_vsock";
    }
    thread
        .strip_prefix("rf-")
        .expect("a role's thread")
        .trim_end_matches(|letter: char| letter.is_ascii_digit())
}

/// The slots that a role must fill in a run with so many vCPUs; `extra`: the slots of what was asked for.
fn slots_of(role: &str, vcpus: usize, extra: &[&str]) -> BTreeMap<i32, &'static str> {
    let policy = ALL.iter().find(|policy| policy.role == role).expect("every thread's role has a policy");
    // Without gaps where a thread makes descriptors.
    let filled = match role {
        "io_vsock" => *io_vsock::slot::VSOCK_STREAMS.start(),
        "io" | "disk" if extra.contains(&"received") => io::slot::RECEIVED,
        "main_api" => main_api::slot::OPENED,
        _ => 3,
    };
    let mut slots: BTreeMap<i32, &'static str> = (0..filled).map(|number| (number, NULL)).collect();
    for slot in policy.slots {
        let count = match slot.name {
            "vcpus" => vcpus,
            "timer" if role == "api" || role == "disk" => 1,
            "disk_bells" | "disk_sockets" if extra.contains(&slot.name) => 2,
            "balloon_queues" if extra.contains(&slot.name) => 4,
            "report" | "log" | "metrics" | "stat" | "timer" | "disks" | "taps" | "main_socket"
            | "received"
                if !extra.contains(&slot.name) =>
            {
                0
            }
            // Of disks with threads of their own, and a file that is there for as long as a request takes.
            "disk_sockets" | "opened" => 0,
            name if OPTIONAL_BELLS.contains(&name) && !extra.contains(&name) => 0,
            // As many as there are calls to count, where `counters_are_...` looks at them, as clients, and as streams.
            "counters" | "connections" | "vsock_streams" => 0,
            "console_exit" if !kernel_has_pidfds_of_threads() => 0,
            _ => 1,
        };
        let numbers = (slot.first..=slot.last).take(count);
        slots.extend(numbers.map(|number| (number.cast_signed(), object(role, slot.name))));
    }
    slots
}

/// Linux has them since 6.9 (`PIDFD_THREAD`, include/uapi/linux/pidfd.h); where it has none, main looks at the console
/// every second.
fn kernel_has_pidfds_of_threads() -> bool {
    const PIDFD_THREAD: u32 = 0o200;
    match pidfd_open(rustix::thread::gettid(), PidfdFlags::from_bits_retain(PIDFD_THREAD)) {
        Ok(_) => true,
        Err(Errno::INVAL) => false,
        Err(error) => panic!("the kernel answers neither yes nor no: {error}"),
    }
}

fn assert_holds_its_slots(thread: &Thread, vcpus: usize, extra: &[&str]) {
    assert_holds_slots_of(role(&thread.name, extra), thread, vcpus, extra);
}

fn assert_holds_slots_of(role: &str, thread: &Thread, vcpus: usize, extra: &[&str]) {
    let expected = slots_of(role, vcpus, extra);
    let held = thread.descriptors();
    let numbers = |numbers: Vec<&i32>| numbers.into_iter().copied().collect::<BTreeSet<_>>();
    let (held_numbers, slots) = (numbers(held.keys().collect()), numbers(expected.keys().collect()));
    assert_eq!(held_numbers, slots, "{} holds {held:?}", thread.name);
    for (number, object) in expected {
        let held = &held[&number];
        let same = held.starts_with(object) || (object.contains("[pidfd]") && held.starts_with("pidfd:"));
        assert!(same, "{} holds {held} at {number}, not {object}", thread.name);
    }
}

fn assert_all_hold_their_slots(threads: &BTreeMap<String, Thread>, vcpus: usize, extra: &[&str]) {
    for thread in threads.values() {
        assert_holds_its_slots(thread, vcpus, extra);
    }
}

#[test]
fn every_threads_table_holds_its_roles_slots_and_nothing_else() {
    for vcpus in [1, 2, 4] {
        let run = spinning(vcpus, &[]);
        assert_all_hold_their_slots(&own_threads(&run), vcpus, &[]);
    }
}

#[test]
fn the_tables_are_the_same_in_every_tier() {
    for tier in ["bitmask", "none"] {
        let run = spinning(2, &["--tier", tier]);
        assert_all_hold_their_slots(&own_threads(&run), 2, &[]);
    }
}

#[test]
fn only_main_holds_the_report_file() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let report = folder.path().join("report.json");
    let report = report.to_str().expect("the folder's name is text");
    let run = spinning(1, &["--report", report]);
    let threads = own_threads(&run);
    assert_all_hold_their_slots(&threads, 1, &["report"]);
    assert_eq!(threads["rf-main"].descriptors()[&main::slot::REPORT], report);
}

#[test]
fn only_main_holds_the_files_of_the_log_and_the_metrics() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let [log, metrics] = ["log", "metrics"].map(|name| folder.path().join(name));
    let text = |path: &Path| path.to_str().expect("its name is text").to_owned();
    let run = spinning(1, &["--log-path", &text(&log), "--metrics-path", &text(&metrics)]);
    let threads = own_threads(&run);
    assert_all_hold_their_slots(&threads, 1, &["log", "metrics", "stat"]);
    let held = threads["rf-main"].descriptors();
    assert_eq!(held[&main::slot::LOG], text(&log));
    assert_eq!(held[&main::slot::METRICS], text(&metrics));
    assert!(held[&main::slot::STAT].ends_with("/stat"), "{held:?}");
}

#[test]
fn only_io_holds_a_devices_descriptors() {
    let disk = tempfile::NamedTempFile::new().expect("a temporary file");
    disk.as_file().set_len(1 << 20).expect("it can be of any size");
    let path = disk.path().to_str().expect("its name is text");
    let run = spinning(
        2,
        &[
            "--entropy",
            "--keyboard",
            "--disk",
            path,
            "--console",
            "virtio",
            "--balloon",
            "1,statistics=9,free-page-reporting",
        ],
    );
    let threads = own_threads(&run);
    let of_devices = [
        "balloon_queues",
        "balloon_irq",
        "console_receive_queue",
        "console_transmit_queue",
        "console_irq",
        "output_bell",
        "timer",
        "entropy_queue",
        "entropy_irq",
        "keyboard_irq",
        "disks",
        "disk_queues",
        "disk_irqs",
    ];
    assert_all_hold_their_slots(&threads, 2, &of_devices);
    assert_eq!(threads["rf-io"].descriptors()[io::slot::DISKS.start()], path);
}

#[test]
fn a_disk_with_a_thread_of_its_own_lies_in_that_threads_table_alone() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let text = |name: &str| folder.path().join(name).to_str().expect("its name is text").to_owned();
    let paths = ["one", "two"].map(text);
    for path in &paths {
        std::fs::write(path, [0; 512]).expect("the folder takes files");
    }
    let [one, two] = &paths;
    let socket = text("api");
    let run = spinning(
        1,
        &["--entropy", "--io-threads", "disks", "--disk", one, "--disk", two, "--api-sock", &socket],
    );
    let threads = own_threads(&run);
    let extra = ["timer", "entropy_queue", "entropy_irq", "disk_bells"];
    for (name, thread) in &threads {
        let role = if name == "rf-main" { "main_api" } else { role(name, &[]) };
        let extra = if role == "main_api" { &["disk_sockets"][..] } else { &extra };
        assert_holds_slots_of(role, thread, 1, &[extra, &["main_socket", "received"]].concat());
    }
    for ((index, path), name) in (0..).zip(&paths).zip(["rf-disk0", "rf-disk1"]) {
        assert_eq!(&threads[name].descriptors()[&disk::slot::DISK], path);
        let bell = io::slot::DISK_BELLS.start() + index;
        assert!(is_same(&run, (name, disk::slot::BELL), ("rf-io", bell)), "{name} is rung by io");
    }
    assert!(!is_same(&run, ("rf-disk0", disk::slot::BELL), ("rf-disk1", disk::slot::BELL)));
}

#[test]
fn only_io_holds_a_tap() {
    network::in_namespace(|| {
        let run = spinning(2, &["--net", "tap0"]);
        let of_devices = ["timer", "taps", "net_receive_queues", "net_transmit_queues", "net_irqs"];
        assert_all_hold_their_slots(&own_threads(&run), 2, &of_devices);
    });
}

#[test]
fn with_an_api_its_thread_and_main_hold_their_slots_and_the_others_no_more_than_without() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let socket = folder.path().join("api");
    let run = spinning(2, &["--api-sock", socket.to_str().expect("the folder's name is text")]);
    let threads = own_threads(&run);
    for (name, thread) in &threads {
        let role = if name == "rf-main" { "main_api" } else { role(name, &[]) };
        assert_holds_slots_of(role, thread, 2, &["main_socket", "received"]);
    }
    let wires = [
        (("rf-api", api::slot::MAIN_BELL), ("rf-main", main_api::slot::BELL)),
        (("rf-api", api::slot::BELL), ("rf-main", main_api::slot::API_BELL)),
        (("rf-io", io::slot::BELL), ("rf-main", main_api::slot::IO_BELL)),
    ];
    for (one, other) in wires {
        assert!(is_same(&run, one, other), "{one:?} and {other:?}");
    }
    let client = UnixStream::connect(&socket).expect("the socket takes connections");
    let first = *api::slot::CONNECTIONS.start();
    let taken = || threads["rf-api"].descriptors().get(&first).map(|object| object.starts_with("socket:"));
    wait::until("the connection at its slot", || taken().filter(|is_socket| *is_socket));
    drop(client);
    wait::until("the slot to be free", || taken().is_none().then_some(()));
}

#[test]
fn with_a_socket_device_ios_table_has_no_gap_below_the_streams() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let option = format!("3,{}/guest.sock", folder.path().display());
    for tier in ["filter", "none"] {
        let run = spinning(2, &["--vsock", &option, "--tier", tier]);
        assert_all_hold_their_slots(&own_threads(&run), 2, &["timer", "vsock_streams"]);
        std::fs::remove_file(folder.path().join("guest.sock")).expect("a run leaves its socket behind");
    }
}

#[test]
fn counters_lie_in_mains_slots_for_them_and_nowhere_else() {
    let run = spinning(2, &["--count-calls"]);
    for (name, thread) in own_threads(&run) {
        let counters = thread.descriptors().into_iter().filter(|(_, object)| object.contains("perf_event"));
        let numbers: Vec<i32> = counters.map(|(number, _)| number).collect();
        if name == "rf-main" {
            assert!(!numbers.is_empty(), "calls are counted");
            assert!(numbers.iter().all(|number| main::slot::COUNTERS.contains(number)), "{numbers:?}");
        } else {
            assert!(numbers.is_empty(), "{name} holds counters at {numbers:?}");
        }
    }
}

/// A slot of a thread.
type End = (&'static str, i32);

/// Slots of different threads behind which the same open file must be: who rings whom.
const WIRES: &[(End, End)] = &[
    (("rf-vcpu0", vcpu::slot::MAIN_BELL), ("rf-main", main::slot::BELL)),
    (("rf-vcpu1", vcpu::slot::MAIN_BELL), ("rf-main", main::slot::BELL)),
    (("rf-io", io::slot::MAIN_BELL), ("rf-main", main::slot::BELL)),
    (("rf-vcpu0", vcpu::slot::CONSOLE_BELL), ("rf-console", console::slot::BELL)),
    (("rf-vcpu1", vcpu::slot::CONSOLE_BELL), ("rf-console", console::slot::BELL)),
    (("rf-vcpu0", vcpu::slot::IO_BELL), ("rf-io", io::slot::BELL)),
    (("rf-vcpu1", vcpu::slot::IO_BELL), ("rf-io", io::slot::BELL)),
    (("rf-vcpu0", vcpu::slot::SERIAL_IRQ), ("rf-io", io::slot::SERIAL_IRQ)),
    (("rf-vcpu1", vcpu::slot::SERIAL_IRQ), ("rf-io", io::slot::SERIAL_IRQ)),
    (("rf-console", console::slot::ROOM), ("rf-io", io::slot::ROOM)),
    (("rf-console", console::slot::STDOUT), ("rf-main", main::slot::STDOUT)),
    (("rf-io", io::slot::STDIN), ("rf-main", main::slot::TERMINAL)),
    (("rf-vcpu0", vcpu::slot::VCPU), ("rf-main", *main::slot::VCPUS.start())),
    (("rf-vcpu1", vcpu::slot::VCPU), ("rf-main", *main::slot::VCPUS.start() + 1)),
];

/// The bells that are read, each by the thread that has it here.
const READERS: &[End] = &[
    ("rf-main", main::slot::BELL),
    ("rf-console", console::slot::BELL),
    ("rf-io", io::slot::BELL),
    ("rf-io", io::slot::ROOM),
    ("rf-io", io::slot::SERIAL_IRQ),
];

fn is_same(run: &Run, one: End, other: End) -> bool {
    let threads = own_threads(run);
    threads[one.0].shares_file(one.1, &threads[other.0], other.1).expect("the kernel compares open files")
}

#[test]
fn each_bell_is_the_one_that_its_reader_hears() {
    let run = spinning(2, &[]);
    for &(one, other) in WIRES {
        assert!(is_same(&run, one, other), "{one:?} and {other:?}");
    }
    for (index, &one) in READERS.iter().enumerate() {
        for &other in &READERS[index + 1..] {
            assert!(!is_same(&run, one, other), "{one:?} and {other:?} are one bell");
        }
    }
}
