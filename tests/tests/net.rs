//! Network interfaces, as a bare-metal guest's driver and the host's own network find them.
#![forbid(unsafe_code)]

use std::fs;
use std::net::UdpSocket;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use ringfence_tests::network::{Offloads, command, in_namespace, offloads};
use ringfence_tests::run::{self, Ended, Run};
use ringfence_tests::{binary, child};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The guest's ports: what comes to one comes back, what comes to the other ends it.
const ECHO: u16 = 7;
const DISCARD: u16 = 9;

/// Starts the guest with interfaces that do not exist yet, and waits until it serves. Its address is 10.0.0.2.
fn start(interfaces: &[&str], command_line: &str, options: &[&str]) -> Run {
    let interfaces = interfaces.iter().flat_map(|interface| ["--net", interface]);
    let fixed = ["net", "--exit-port", "--cmdline", command_line];
    let mut guest = run::guest(fixed.into_iter().chain(interfaces).chain(options.iter().copied()));
    guest.wait_for("net: ready at 10.0.0.2");
    guest
}

/// The host's end: an address of the guest's network on this TAP, and a socket.
fn host(tap: &str) -> UdpSocket {
    command(&format!("ip address add 10.0.0.1/24 dev {tap}"));
    let socket = UdpSocket::bind("10.0.0.1:0").expect("the address is there");
    // A frame that is lost never comes; this is for a failing test alone.
    socket.set_read_timeout(Some(Duration::from_mins(1))).expect("a time is set");
    socket
}

/// Bytes that differ from datagram to datagram and from place to place.
fn payload(number: usize, bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| (at * 7 + at / 251 + number * 13).to_le_bytes()[0]).collect()
}

/// Sends datagrams of these sizes, a few at a time, and sees each come back as it was.
fn echo(socket: &UdpSocket, sizes: &[usize]) {
    const AT_ONCE: usize = 4;
    let mut buffer = vec![0; 65536];
    for (group, sizes) in sizes.chunks(AT_ONCE).enumerate() {
        let payloads: Vec<_> =
            (0..).zip(sizes).map(|(place, bytes)| payload(group * AT_ONCE + place, *bytes)).collect();
        for payload in &payloads {
            socket.send_to(payload, ("10.0.0.2", ECHO)).expect("the guest is there");
        }
        for payload in &payloads {
            let length = socket.recv(&mut buffer).expect("each datagram comes back");
            assert!(buffer[..length] == payload[..], "{length} bytes, not the {} sent", payload.len());
        }
    }
}

/// Has the guest end.
fn end(guest: Run, socket: &UdpSocket) -> Ended {
    socket.send_to(&[0], ("10.0.0.2", DISCARD)).expect("the guest is there");
    guest.wait().expect_code(16)
}

#[test]
fn the_host_pings_the_guest_and_every_datagram_comes_back_whole() {
    in_namespace(|| {
        for options in [&["--vcpus", "1"][..], &["--vcpus", "2"], &["--tier", "bitmask"], &["--tier", "none"]]
        {
            let guest = start(&["tap0"], "", options);
            let socket = host("tap0");
            let ping = command("busybox ping -c 2 10.0.0.2");
            assert!(ping.contains("2 packets received"), "{ping}");
            echo(&socket, &[0, 1, 2, 3, 1471, 1472]);
            let ended = end(guest, &socket);
            assert!(ended.output().contains("net: address none, no MTU"), "{}", ended.output());
            assert!(ended.stderr.contains("made the TAP tap0"), "{}", ended.stderr);
        }
    });
}

#[test]
fn frames_of_all_sizes_pass_whatever_the_buffers_are_and_whoever_sums_them_up() {
    let small = [1, 30, 31, 500, 900, 1472].repeat(40);
    // 13 MiB each way: frames of up to 64 KiB.
    let large = [65493, 65492, 40_000, 1, 9000].repeat(120);
    in_namespace(|| {
        for (mtu, command_line, sizes) in [
            (1500, "merge buffer=64", &small),
            (1500, "merge offload", &small),
            (1500, "buffer=1600 offload", &small),
            (65521, "merge buffer=4096", &large),
            (65521, "merge buffer=4000 offload", &large),
            (65521, "buffer=65600", &large),
        ] {
            let guest = start(&[&format!("tap0,mtu={mtu}")], command_line, &[]);
            let socket = host("tap0");
            echo(&socket, sizes);
            let ended = end(guest, &socket);
            let datagrams = format!("net: end, {} datagrams, interrupt status 1", sizes.len() + 1);
            assert!(ended.output().contains(&datagrams), "{command_line}: {}", ended.output());
        }
    });
}

#[test]
fn the_host_leaves_to_the_guest_what_its_driver_takes_and_nothing_before() {
    in_namespace(|| {
        for (command_line, taken) in [("", false), ("offload", true)] {
            command("ip tuntap add dev tap0 mode tap");
            command("ip link set tap0 up");
            let none = Offloads { checksums: false, segments: false };
            assert_eq!(offloads("tap0"), none);
            let guest = start(&["tap0"], command_line, &[]);
            let socket = host("tap0");
            echo(&socket, &[100; 8]);
            assert_eq!(offloads("tap0"), Offloads { checksums: taken, segments: taken }, "{command_line}");
            end(guest, &socket);
            command("ip link delete tap0");
        }
    });
}

#[test]
fn frames_leave_the_guest_for_no_thread() {
    in_namespace(|| {
        let exits = |datagrams: usize| {
            let guest = start(&["tap0"], "", &["--json"]);
            let socket = host("tap0");
            echo(&socket, &vec![100; datagrams]);
            let report = end(guest, &socket).report();
            assert_eq!(report["allocations_in_sealed_threads"], 0);
            report["vcpu_exits"][0].as_u64().expect("exits are counted")
        };
        let (few, many) = (exits(100), exits(900));
        assert!(few > 0);
        assert_eq!(few, many, "sixteen hundred frames more, and as many digits");
    });
}

#[test]
fn a_frame_longer_than_the_buffers_is_lost_and_the_next_arrives() {
    in_namespace(|| {
        let guest = start(&["tap0"], "buffer=600", &[]);
        let socket = host("tap0");
        socket.send_to(&payload(0, 1000), ("10.0.0.2", ECHO)).expect("the guest is there");
        echo(&socket, &[500, 520]);
        let ended = end(guest, &socket);
        assert!(ended.output().contains("net: end, 3 datagrams"), "{}", ended.output());
    });
}

#[test]
fn a_driver_that_breaks_the_rules_is_told_to_reset_the_device_which_then_works_again() {
    in_namespace(|| {
        for vcpus in ["1", "2"] {
            let guest = start(&["tap0"], "broken merge", &["--vcpus", vcpus]);
            let socket = host("tap0");
            echo(&socket, &[1000; 20]);
            let output = end(guest, &socket).output();
            let lines: Vec<_> = output.lines().map(str::trim_end).collect();
            let expected = [
                "net: a header without a frame: used",
                "net: a frame of 4 GiB: used",
                "net: a header of nonsense: used",
                "net: descriptors in a loop: used",
                "net: a frame outside memory: needs a reset",
                "net: an available ring ahead of itself: needs a reset",
                "net: now as it should be",
            ];
            assert_eq!(lines[1..8], expected);
        }
    });
}

#[test]
fn an_interface_whose_tap_is_taken_away_is_silent_and_the_other_goes_on() {
    in_namespace(|| {
        let guest = start(&["tap0", "tap1"], "nth=1", &[]);
        let socket = host("tap1");
        echo(&socket, &[100; 8]);
        command("ip link delete tap0");
        echo(&socket, &[100; 8]);
        end(guest, &socket);

        let mut guest = start(&["tap0"], "", &[]);
        let socket = host("tap0");
        echo(&socket, &[100; 8]);
        command("ip link delete tap0");
        assert!(guest.is_running(), "{}", guest.stderr());
    });
}

#[test]
fn a_tap_that_is_there_is_taken_as_it_is_and_stays() {
    in_namespace(|| {
        command("ip tuntap add dev tap0 mode tap user nobody vnet_hdr");
        command("ip link set tap0 up");
        let guest = start(&["tap0,mac=06:00:ac:10:00:02,mtu=1400"], "", &[]);
        let socket = host("tap0");
        echo(&socket, &[1000; 8]);
        let ended = end(guest, &socket);
        assert!(ended.output().contains("net: address 6 0 ac 10 0 2, MTU 1400"), "{}", ended.output());
        assert!(!ended.stderr.contains("made the TAP"), "{}", ended.stderr);
        let shown = command("ip address show dev tap0");
        assert!(shown.contains("mtu 1500") && shown.contains("10.0.0.1/24"), "{shown}");
    });
}

/// The guest by a configuration file with these interfaces and a disk; the folder holds what it names.
fn configured(interfaces: &Value, boot_args: &str) -> (Run, TempDir) {
    let folder = TempDir::new().expect("a temporary folder");
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).expect("the folder takes a file");
        path.to_str().expect("a path is text").to_owned()
    };
    let kernel = file("net", guest_images::bare::find("net").expect("there is one").image);
    let text = json!({
        "boot-source": { "kernel_image_path": kernel, "boot_args": boot_args },
        "drives": [{ "drive_id": "a", "path_on_host": file("disk", &[0; 512]), "is_root_device": false }],
        "network-interfaces": interfaces,
    });
    let config = file("machine.json", text.to_string().as_bytes());
    (run::guest(["--exit-port", "--count-calls", "--json", "--config", &config]), folder)
}

#[test]
fn a_configuration_file_names_interfaces_after_its_disks() {
    in_namespace(|| {
        let interfaces = json!([
            { "iface_id": "one", "host_dev_name": "tap7" },
            { "iface_id": "two", "host_dev_name": "tap0", "guest_mac": "06:00:AC:10:00:0A", "mtu": 9000 },
        ]);
        let (mut guest, _folder) = configured(&interfaces, "nth=1 buffer=16000");
        guest.wait_for("net: address 6 0 ac 10 0 a, MTU 9000");
        guest.wait_for("net: ready");
        let socket = host("tap0");
        assert!(command("ip link show tap0").contains("mtu 9000"));
        echo(&socket, &[8000; 8]);
        end(guest, &socket);
    });
}

#[test]
fn rate_limiters_make_frames_wait_and_lose_none() {
    in_namespace(|| {
        // Tokens for most of what comes and goes; two frames a second of the rest.
        let bytes = json!({ "bandwidth": { "size": 80_000, "refill_time": 27_000 } });
        let frames = json!({ "ops": { "size": 54, "one_time_burst": 3, "refill_time": 27_000 } });
        for (limiter, limits) in [("rx_rate_limiter", &bytes), ("tx_rate_limiter", &frames)] {
            let interfaces = json!([{ "iface_id": "one", "host_dev_name": "tap0", limiter: limits }]);
            let (mut guest, _folder) = configured(&interfaces, "merge");
            guest.wait_for("net: ready");
            let socket = host("tap0");
            echo(&socket, &[1400; 60]);
            let report = end(guest, &socket).report();
            let io =
                report["threads"].as_array().expect("threads").iter().find(|thread| thread["role"] == "io");
            let used = &io.expect("there is one")["calls_used"];
            match report["calls_not_counted_because"].as_str() {
                None => assert!(used["timerfd_settime"].as_u64() >= Some(1), "{limiter} {limits}: {used}"),
                Some(reason) => eprintln!("calls are not counted, so the timer was not seen: {reason}"),
            }
            assert_eq!(report["allocations_in_sealed_threads"], 0);
        }
    });
}

#[test]
fn what_cannot_be_an_interface_is_told_before_anything_runs() {
    let refused = |interfaces: &[&str], code: i32| {
        let interfaces = interfaces.iter().flat_map(|interface| ["--net", interface]);
        run::guest(["net"].into_iter().chain(interfaces)).wait().expect_code(code).stderr
    };
    for (text, code, expected) in [
        ("", 2, "this names no TAP"),
        ("tap0,up", 2, "`up` is no option of an interface"),
        ("tap0,mac=06:00", 2, "`06:00` is no MAC address"),
        ("tap0,mac=01:00:5e:00:00:01", 2, "the address of a group"),
        ("tap0,mtu=67", 2, "an MTU is 68 to 65535 bytes, not `67`"),
        (
            "a_name_of_sixteen",
            1,
            "`a_name_of_sixteen` cannot be the name of a TAP: it is longer than 15 bytes",
        ),
    ] {
        let stderr = refused(&[text], code);
        assert!(stderr.contains(expected), "{text}: {stderr}");
    }
    let nine = refused(&["tap0"; 9], 1);
    assert!(nine.contains("at most 8 virtio devices here, not 9"), "{nine}");
    in_namespace(|| {
        let twice = refused(&["tap0", "tap0"], 1);
        assert!(twice.contains("the TAP tap0 is in use"), "{twice}");
        let same = refused(&["tap0,mac=06:00:00:00:00:01", "tap1", "tap2,mac=06:00:00:00:00:01"], 1);
        assert!(
            same.contains("two interfaces have the MAC address 06:00:00:00:00:01: tap0 and tap2"),
            "{same}"
        );
        let other = refused(&["lo"], 1);
        assert!(other.contains("lo is a network interface, but no TAP"), "{other}");
        let long = refused(&["tap0,mtu=65535"], 1);
        assert!(
            long.contains("setting the MTU, which of a TAP is at most 65521, of the TAP tap0 failed"),
            "{long}"
        );
        command("ip tuntap add dev tun0 mode tun");
        let other = refused(&["tun0"], 1);
        assert!(other.contains("tun0 is a network interface, but no TAP"), "{other}");
    });
}

/// `run` as a user without any privilege, who may open KVM and what TAPs are made by.
fn as_nobody(folder: &TempDir, arguments: &[&str]) -> Output {
    let (tun, kvm) = (folder.path().join("tun"), folder.path().join("kvm"));
    child::make_tun_for_everyone(&tun).expect("root can make a device");
    child::make_kvm_for_everyone(&kvm).expect("root can make a device");
    let program = child::open_to_everyone(folder.path());
    let mut command = Command::new(&program);
    command.arg("run").args(arguments).stdin(Stdio::null());
    let binary = binary::ringfence();
    let seen = [(binary, &*program), (&*tun, "/dev/net/tun".as_ref()), (&*kvm, "/dev/kvm".as_ref())];
    child::mount(&mut command, &seen);
    child::become_nobody(&mut command);
    command.output().expect("the program starts")
}

#[test]
fn a_user_runs_a_machine_on_a_tap_that_root_has_made_for_them() {
    in_namespace(|| {
        command("ip tuntap add dev tap0 mode tap user nobody");
        let folder = TempDir::new().expect("a temporary folder");
        let output = as_nobody(&folder, &["hello", "--net", "tap0"]);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{stderr}");
    });
}

#[test]
fn a_user_who_may_make_no_tap_is_told_how_to_get_one() {
    in_namespace(|| {
        command("ip tuntap add dev tap1 mode tap user root");
        for (tap, expected) in [
            ("tap0", "as root: ip tuntap add dev tap0 mode tap user NAME"),
            ("tap1", "the TAP tap1 belongs to another user"),
        ] {
            let folder = TempDir::new().expect("a temporary folder");
            let output = as_nobody(&folder, &["hello", "--net", tap]);
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(1), "{stderr}");
            assert!(stderr.contains(expected), "{stderr}");
        }
    });
}
