//! Virtio devices, as a bare-metal guest's driver finds them.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use ringfence_tests::run::{self, Ended};
use tempfile::TempDir;

fn entropy(arguments: &[&str]) -> Ended {
    run::guest(["entropy", "--entropy", "--exit-port"].iter().chain(arguments)).wait().expect_code(16)
}

/// The guest's lines, without the carriage returns that it ends them with.
fn lines(ended: &Ended) -> Vec<String> {
    ended.output().lines().map(|line| line.trim_end_matches('\r').to_owned()).collect()
}

#[test]
fn an_entropy_device_fills_buffers_with_random_bytes() {
    for vcpus in ["1", "2", "4"] {
        for tier in ["filter", "bitmask", "none"] {
            let ended = entropy(&["--vcpus", vcpus, "--tier", tier]);
            let expected =
                ["entropy: begin, 100 buffers", "entropy: end, the bits are random, interrupt status 1"];
            assert_eq!(lines(&ended), expected, "{vcpus} vCPUs, tier {tier}");
        }
    }
}

#[test]
fn a_guest_has_an_entropy_device_only_when_asked_for() {
    let ended = run::guest(["entropy", "--exit-port"]).wait().expect_code(17);
    assert_eq!(lines(&ended), ["entropy: there is no entropy device; give me one with --entropy"]);
}

#[test]
fn a_kick_of_a_queue_leaves_the_guest_for_no_thread() {
    let exits = |buffers| {
        let report = entropy(&["--cmdline", buffers, "--json"]).report();
        report["vcpu_exits"][0].as_u64().expect("exits are counted")
    };
    let (few, many) = (exits("100"), exits("900"));
    assert!(few > 0);
    assert_eq!(few, many, "eight hundred kicks more, and as many digits");
}

#[test]
fn a_driver_that_breaks_the_rules_is_told_to_reset_the_device_which_then_works_again() {
    for vcpus in ["1", "2"] {
        let ended = entropy(&["--cmdline", "broken", "--vcpus", vcpus, "--json"]);
        let expected = [
            "entropy: descriptors in a loop: used",
            "entropy: a buffer of 4 GiB: used",
            "entropy: a buffer outside memory: needs a reset",
            "entropy: an available ring ahead of itself: needs a reset",
            "entropy: a descriptor beyond the table: needs a reset",
            "entropy: rings outside memory: refused",
            "entropy: and it works again",
        ];
        assert_eq!(lines(&ended), expected);
        assert_eq!(ended.report()["allocations_in_sealed_threads"], 0);
    }
}

const SECTOR: usize = 512;

/// A file of so many bytes, each word of which is its own number.
fn image(folder: &TempDir, name: &str, bytes: usize) -> String {
    let path = folder.path().join(name);
    let words = (0..bytes.div_ceil(8) as u64).flat_map(u64::to_le_bytes);
    fs::write(&path, words.take(bytes).collect::<Vec<_>>()).expect("the folder takes a file");
    path.to_str().expect("its path is text").to_owned()
}

fn words(path: impl AsRef<Path>) -> Vec<u64> {
    let bytes = fs::read(path).expect("the image is there");
    bytes.chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().expect("eight bytes"))).collect()
}

fn disk(disks: &[&str], command_line: &str) -> Ended {
    disk_by("one", disks, command_line)
}

/// The same; `io_threads`: which threads serve the disks.
fn disk_by(io_threads: &str, disks: &[&str], command_line: &str) -> Ended {
    let disks = disks.iter().flat_map(|disk| ["--disk", disk]);
    let arguments = ["disk", "--exit-port", "--io-threads", io_threads, "--cmdline", command_line];
    run::guest(arguments.into_iter().chain(disks)).wait()
}

#[test]
fn a_guest_writes_every_sector_and_the_file_holds_what_it_wrote() {
    let folder = TempDir::new().expect("a temporary folder");
    // Neither whole sectors nor whole pieces of what is moved at once.
    let path = image(&folder, "disk.img", 2051 * SECTOR + 300);
    let before = fs::read(&path).expect("the image is there");
    let ended = disk(&[&path], "fill=1000 flush sum").expect_code(16);
    let words = words(&path);
    for (sector, words) in (0..2051).zip(words.chunks(64)) {
        assert_eq!(words, [sector + 1000; 64], "sector {sector}");
    }
    let after = fs::read(&path).expect("the image is there");
    assert_eq!(after[2051 * 512..], before[2051 * 512..], "what the guest does not see");
    let sum: u64 = (0..2051).map(|sector| (sector + 1000) * 64).sum();
    let expected = [
        "disk: disk0, 2051 sectors, writable, no flushes".to_owned(),
        "disk: fill: done".into(),
        "disk: flush: done".into(),
        format!("disk: sum {sum:x}"),
    ];
    assert_eq!(lines(&ended), expected);
    assert!(ended.stderr.contains("the last 300 bytes of"), "{}", ended.stderr);
}

#[test]
fn a_read_only_disk_is_read_and_stays_as_it_is() {
    let folder = TempDir::new().expect("a temporary folder");
    let path = image(&folder, "disk.img", 300 * SECTOR);
    let before = words(&path);
    let read_only = format!("{path},ro");
    let ended = disk(&[&read_only], "sum").expect_code(16);
    let sum: u64 = before.iter().sum();
    assert_eq!(
        lines(&ended),
        ["disk: disk0, 300 sectors, read-only, no flushes".to_owned(), format!("disk: sum {sum:x}")]
    );
    for deed in ["fill=5", "zero", "discard"] {
        let ended = disk(&[&read_only], deed).expect_code(16 + 3);
        assert!(ended.output().contains(": refused"), "{}", ended.output());
    }
    assert_eq!(words(&path), before);
}

#[test]
fn zeroed_sectors_read_as_zeros_and_discarded_ones_leave_a_hole() {
    let folder = TempDir::new().expect("a temporary folder");
    for io_threads in ["one", "disks"] {
        let path = image(&folder, "disk.img", 8 << 20);
        let blocks = || fs::metadata(&path).expect("the image is there").blocks();
        let before = (words(&path), blocks());
        disk_by(io_threads, &[&path], "zero discard").expect_code(16);
        let (after, quarter) = (words(&path), before.0.len() / 4);
        assert!(after[..quarter].iter().all(|word| *word == 0), "zeroed");
        assert_eq!(after[quarter..3 * quarter], before.0[quarter..3 * quarter], "untouched");
        assert!(after[3 * quarter..].iter().all(|word| *word == 0), "a hole reads as zeros");
        assert_eq!(after.len(), before.0.len(), "the file is as long as it was");
        assert!(blocks() + 3000 < before.1, "{} blocks of 512 bytes, {} before", blocks(), before.1);
    }
}

#[test]
fn a_disk_with_a_thread_of_its_own_is_written_and_flushed() {
    let folder = TempDir::new().expect("a temporary folder");
    let path = image(&folder, "disk.img", 64 * SECTOR);
    disk_by("disks", &[&format!("{path},cache=writeback")], "fill=7 flush sum").expect_code(16);
    for (sector, words) in (0..64).zip(words(&path).chunks(64)) {
        assert_eq!(words, [sector + 7; 64], "sector {sector}");
    }
}

#[test]
fn disks_come_in_the_order_in_which_they_were_named_beside_an_entropy_device() {
    let folder = TempDir::new().expect("a temporary folder");
    let (first, second) = (image(&folder, "a,b.img", 512), image(&folder, "second.img", 1024));
    let (first, second) = (first.replace(',', ",,"), format!("{second},ro,cache=writeback"));
    for (nth, expected) in [
        ("nth=0", "disk: disk0, 1 sectors, writable, no flushes"),
        ("nth=1", "disk: disk1, 2 sectors, read-only, flushes"),
    ] {
        let arguments = ["disk", "--entropy", "--disk", &first, "--disk", &second, "--cmdline", nth];
        assert_eq!(lines(&run::guest(arguments).wait().expect_code(0)), [expected]);
    }
    disk(&[&first], "nth=1").expect_code(17);
}

/// Runs an embedded guest with a configuration file that names these devices.
fn configured(folder: &TempDir, guest: &str, devices: serde_json::Value, arguments: &[&str]) -> Ended {
    let kernel = folder.path().join(guest);
    fs::write(&kernel, guest_images::bare::find(guest).expect("there is one").image).expect("a file");
    let mut document = devices;
    document["boot-source"] = serde_json::json!({ "kernel_image_path": kernel, "boot_args": "" });
    let config = folder.path().join("machine.json");
    fs::write(&config, document.to_string()).expect("the folder takes a file");
    run::guest(["--config", config.to_str().expect("a path is text")].iter().chain(arguments)).wait()
}

#[test]
fn a_rate_limiter_holds_a_device_back_until_its_timer_goes_off() {
    let folder = TempDir::new().expect("a temporary folder");
    // Three tokens a second beyond the first 98, and the guest has 100 buffers.
    let limited =
        serde_json::json!({ "entropy": { "rate_limiter": { "ops": { "size": 98, "refill_time": 32000 } } } });
    let ended =
        configured(&folder, "entropy", limited, &["--exit-port", "--count-calls", "--json"]).expect_code(16);
    assert_eq!(lines(&ended)[1], "entropy: end, the bits are random, interrupt status 1");
    let report = ended.report();
    let io = report["threads"].as_array().expect("threads").iter().find(|thread| thread["role"] == "io");
    let used = &io.expect("there is one")["calls_used"];
    match report["calls_not_counted_because"].as_str() {
        None => assert!(used["timerfd_settime"].as_u64() >= Some(1), "{used}"),
        Some(reason) => eprintln!("calls are not counted, so the timer was not seen: {reason}"),
    }
    assert_eq!(report["allocations_in_sealed_threads"], 0);
}

#[test]
fn a_configuration_file_names_disks_and_an_entropy_device() {
    let folder = TempDir::new().expect("a temporary folder");
    let path = image(&folder, "disk.img", 5 * 512);
    let run = |name: &str| {
        let devices = serde_json::json!({
            "drives": [{ "drive_id": "mine", "path_on_host": path, "is_root_device": true, "is_read_only": true }],
            "entropy": {},
        });
        configured(&folder, name, devices, &[]).expect_code(0)
    };
    assert_eq!(lines(&run("disk")), ["disk: mine, 5 sectors, read-only, no flushes"]);
    let told = "root=/dev/vda ro virtio_mmio.device=4096@0xc0001000:16 virtio_mmio.device=4096@0xc0002000:17";
    let ended = run("hello");
    assert!(ended.output().contains(told), "{}", ended.output());
}

#[test]
fn what_cannot_be_a_disk_is_told_before_anything_runs() {
    let folder = TempDir::new().expect("a temporary folder");
    let path = image(&folder, "disk.img", 1024);
    let refused = |disks: &[&str], code: i32| disk(disks, "").expect_code(code).stderr;
    for (text, code, expected) in [
        ("/no/such/file", 1, "cannot open the disk /no/such/file for reading and writing: No such file"),
        ("/", 1, "/ cannot be a disk: it is neither a file nor a block device"),
        ("/dev/null,ro", 1, "neither a file nor a block device"),
        (&format!("{path},rw"), 2, "`rw` is no option of a disk"),
        ("", 2, "this names no file"),
    ] {
        let stderr = refused(&[text], code);
        assert!(stderr.contains(expected), "{text}: {stderr}");
    }
    let twice = refused(&[&path, &path], 1);
    assert!(twice.contains(&format!("the disk {path} is in use: another")), "{twice}");
    let read_only = format!("{path},ro");
    let nine = refused(&[read_only.as_str(); 9], 1);
    assert!(nine.contains("at most 8 virtio devices here, not 9"), "{nine}");
    disk(&[read_only.as_str(); 8], "nth=7").expect_code(16);
}
