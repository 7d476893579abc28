//! The Linux guest, kernel and user space, under the monitor. A boot takes 10 to 20 seconds where ring 0 is emulated, so
//! each serves many checks.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ringfence::machine::quirk;
use ringfence_tests::linux::{TOLD, image, kernel_of_this_host};
use ringfence_tests::run::{self, Ended, Run};
use ringfence_tests::{network, procfs};

/// `tests/run --quick` leaves out what stands in a module of this name.
mod linux_guest {
    use super::*;

    /// `yes ringfence | head -c 1048576 | sha256sum`, on any machine.
    const CHECKSUM: &str = "sha256 987dd588fe1d04ceaa96d7c7bfc3004e85e32527bd4033ae5fac8ea461adbbe3";

    const MEBIBYTES_2: usize = 2 << 20;

    #[test]
    fn one_processor_finds_devices_by_acpi_runs_scripts_computes_answers_and_powers_off() {
        let (mut guest, _alone) = boot_with(1, 128, &["--entropy"]);
        assert_eq!(line_after(&guest, "nproc "), "1");
        assert_memory_is(&guest, 128);

        guest.say("echo a line typed on standard input\n");
        guest.wait_for("you said: a line typed on standard input\r\n");
        guest.say("run tour\n");
        guest.wait_for("tour ended with status 0");
        assert_eq!(line_after(&guest, "tour: 6 * 7 = "), "42");
        assert_eq!(line_after(&guest, "tour: through a pipe: "), "ringfence");
        assert_eq!(line_after(&guest, "tour: from a file: "), "a line kept in memory");
        guest.say("sha256\n");
        guest.wait_for(CHECKSUM);
        guest.say("random\n");
        guest.wait_for("ringfence-guest: random: from virtio_rng.0");

        // The command line names the device too, and no driver takes it twice.
        guest.say("devices\n");
        guest.wait_for("ringfence-guest: devices: LNRO0005:00\r\n");

        guest.say("poweroff\n");
        let ended = guest.wait().expect_code(0);
        assert!(ended.stderr.starts_with("ringfence: the guest powered off\n"), "{}", ended.stderr);
    }

    #[test]
    fn two_processors_without_acpi_share_memory_on_both_sides_of_the_hole_and_reboot() {
        let (mut guest, _alone) = boot_without_acpi(2, 4608, &["--entropy"]);
        assert_eq!(line_after(&guest, "nproc "), "2");
        assert_memory_is(&guest, 4608);
        guest.say("sha256\n");
        guest.wait_for(CHECKSUM);
        guest.say("devices\n");
        guest.wait_for("ringfence-guest: devices: virtio-mmio.0\r\n");
        let ended = reboot(guest);
        assert!(ended.stderr.starts_with("ringfence: the guest reset the machine\n"), "{}", ended.stderr);
        assert!(!ended.stderr.contains("panic"), "{}", ended.stderr);
    }

    #[test]
    fn four_processors_reach_user_space_and_a_kernel_panic_is_told() {
        let (mut guest, _alone) = boot(4, 256);
        assert_eq!(line_after(&guest, "nproc "), "4");
        guest.say("panic\n");
        guest.wait_for("Kernel panic - not syncing: sysrq triggered crash");
        let ended = guest.wait().expect_code(4);
        assert!(ended.stderr.starts_with("ringfence: the guest's kernel panicked\n"), "{}", ended.stderr);
    }

    #[test]
    fn what_is_written_to_a_root_disk_outlives_the_machine() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let disk = folder.path().join("root.ext4");
        fs::copy(image("rootfs.ext4"), &disk).expect("the folder takes a file");
        let kernel = image(kernel_of_this_host());
        let (mut guest, _alone) = boot_machine(
            1,
            &[
                "--kernel",
                path_text(&kernel),
                "--disk",
                &format!("{},cache=writeback", path_text(&disk)),
                "--console",
                "virtio",
                "--cmdline",
                "console=hvc0 quiet reboot=k panic=-1 root=/dev/vda rw init=/init",
            ],
        );
        guest.say("keep\n");
        guest.wait_for("ringfence-guest: kept");
        reboot(guest);

        let checked = tool("e2fsck").arg("-fn").arg(&disk).output().expect("e2fsprogs is installed");
        assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
        let kept = tool("debugfs").args(["-R", "cat /kept"]).arg(&disk).output().expect("so is this");
        assert_eq!(kept.stdout.len(), 65536);
        assert!(kept.stdout.chunks(10).all(|line| b"ringfence\n".starts_with(line)));
    }

    #[test]
    fn a_network_carries_pings_and_http_both_ways_with_every_byte_as_it_was() {
        network::in_namespace(|| {
            let interface = ["--net", "tap0,mac=06:00:ac:10:00:02,mtu=1400"];
            let (mut guest, _alone) = boot_with(1, 128, &interface);
            network::command("ip address add 10.0.0.1/24 dev tap0");
            guest.say("net 10.0.0.2\n");
            guest.wait_for("ringfence-guest: net: eth0 06:00:ac:10:00:02 MTU 1400");
            let ping = network::command("busybox ping -c 2 -W 60 10.0.0.2");
            assert!(ping.contains("2 packets received"), "{ping}");
            guest.say("reach 10.0.0.1\n");
            guest.wait_for("ringfence-guest: reached 10.0.0.1");

            let folder = tempfile::tempdir().expect("a temporary folder");
            let file = folder.path().join("file");
            let bytes: Vec<u8> = (0..MEBIBYTES_2).map(|at| (at * 7 + at / 251).to_le_bytes()[0]).collect();
            fs::write(&file, &bytes).expect("the folder takes a file");
            let server = network::serve_once("10.0.0.1:8000", bytes);
            guest.say("fetch http://10.0.0.1:8000/file\n");
            let sum = network::command(&format!("sha256sum {}", path_text(&file)));
            guest.wait_for(&format!("ringfence-guest: fetched {}", &sum[..64]));
            server.join().expect("the guest took all of it");

            guest.say(&format!("serve {MEBIBYTES_2}\n"));
            guest.wait_for("ringfence-guest: serving");
            let fetched = network::fetch("10.0.0.2:80", "/file");
            assert_eq!(fetched.len(), MEBIBYTES_2);
            assert!(fetched.chunks(10).all(|line| b"ringfence\n".starts_with(line)));
            reboot(guest);
        });
    }

    #[test]
    #[ignore = "a kernel takes minutes to unpack itself where ring 0 is emulated; tests/ordinary-host/run starts it"]
    fn compressed_kernel_reaches_user_space_answers_and_reboots() {
        let (mut guest, _alone) = boot_kernel("bzImage-ordinary", TOLD, 2, 128, &[]);
        assert_eq!(line_after(&guest, "nproc "), "2");
        assert_memory_is(&guest, 128);
        guest.say("echo a line typed on standard input\n");
        guest.wait_for("you said: a line typed on standard input\r\n");
        reboot(guest);
    }
}

/// Boots the Linux guest that this host needs; see [`boot_kernel`].
fn boot(vcpus: u8, memory_mib: u32) -> (Run, MutexGuard<'static, ()>) {
    boot_with(vcpus, memory_mib, &[])
}

/// The same, with more options.
fn boot_with(vcpus: u8, memory_mib: u32, options: &[&str]) -> (Run, MutexGuard<'static, ()>) {
    boot_kernel(kernel_of_this_host(), TOLD, vcpus, memory_mib, options)
}

/// The same for a kernel that is to do without ACPI: processors by the MP table, devices by the command line.
fn boot_without_acpi(vcpus: u8, memory_mib: u32, options: &[&str]) -> (Run, MutexGuard<'static, ()>) {
    boot_kernel(kernel_of_this_host(), &format!("{TOLD} acpi=off"), vcpus, memory_mib, options)
}

/// A program of e2fsprogs, which the guest's own build needs; they lie where only root looks.
fn tool(name: &str) -> Command {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new("env");
    command.arg(format!("PATH={path}:/usr/sbin:/sbin")).arg(name);
    command
}

/// Boots a Linux guest from its initrd, see [`boot_machine`].
fn boot_kernel(
    kernel: &str,
    told: &str,
    vcpus: u8,
    memory_mib: u32,
    options: &[&str],
) -> (Run, MutexGuard<'static, ()>) {
    let (kernel, initrd) = (image(kernel), image("initrd.cpio"));
    let (kernel, initrd) = (path_text(&kernel), path_text(&initrd));
    let memory = memory_mib.to_string();
    let machine = ["--kernel", kernel, "--initrd", initrd, "--cmdline", told, "--memory", &memory];
    boot_machine(vcpus, &[&machine, options].concat())
}

/// Boots a Linux guest until it takes commands. The second value keeps other tests from booting at the same time,
/// which would make all of them slower.
fn boot_machine(vcpus: u8, options: &[&str]) -> (Run, MutexGuard<'static, ()>) {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let number = vcpus.to_string();
    let mut guest = run::guest(options.iter().chain(&["--vcpus", &number]));
    guest.wait_for("ringfence-guest: init reached");
    guest.wait_for("ringfence-guest: ready");
    assert_every_thread_is_held(&guest, vcpus.into());
    (guest, alone)
}

/// Each thread under one filter, its role's by its name, and the console in strict mode; which filter it is, byte for
/// byte, is compared for the small guests.
fn assert_every_thread_is_held(guest: &Run, vcpus: usize) {
    const ONE_FILTER: (u32, u32) = (2, 1);
    const STRICT: (u32, u32) = (1, 0);
    let threads = procfs::threads(guest.pid()).into_iter().filter(|thread| !thread.is_kernel_worker());
    let held: BTreeMap<String, _> =
        threads.map(|thread| (thread.name, (thread.seccomp_mode, thread.seccomp_filters))).collect();
    let filtered = ["rf-main", "rf-io"].map(str::to_owned).into_iter();
    let filtered = filtered.chain((0..vcpus).map(|index| format!("rf-vcpu{index}")));
    let expected: BTreeMap<_, _> =
        filtered.map(|name| (name, ONE_FILTER)).chain([("rf-console".to_owned(), STRICT)]).collect();
    assert_eq!(held, expected);
}

fn reboot(mut guest: Run) -> Ended {
    guest.say("reboot\n");
    guest.wait().expect_code(0)
}

fn path_text(path: &Path) -> &str {
    path.to_str().expect("the path of the Linux guest is text")
}

/// What follows `start` in the first line of the guest's that holds it.
fn line_after(guest: &Run, start: &str) -> String {
    let output = guest.stdout();
    let (_, rest) = output.split_once(start).unwrap_or_else(|| panic!("no {start:?} in {output}"));
    rest.lines().next().unwrap_or_default().trim_end().to_owned()
}

/// The guest's count of its memory is the machine's, less what the kernel keeps for itself from the start: its image,
/// a 64th for its page structures, hash tables that grow with memory (12 MiB of 4.5 GiB), and bounce buffers.
fn assert_memory_is(guest: &Run, memory_mib: u64) {
    let seen = line_after(guest, "MemTotal ");
    let seen_kib: u64 = seen.trim_end_matches(" kB").parse().unwrap_or_else(|_| panic!("MemTotal is {seen}"));
    let memory_kib = memory_mib * 1024;
    let kept_kib = memory_kib / 48 + 16 * 1024 + bounce_buffers_kib(memory_mib);
    assert!((memory_kib - kept_kib..memory_kib).contains(&seen_kib), "{seen} of {memory_kib} kB");
}

/// What Linux keeps for devices that reach the first 4 GiB alone, where there is memory above: `IO_TLB_DEFAULT_SIZE`
/// (Linux include/linux/swiotlb.h). The kernel for an emulated ring 0 has `swiotlb=noforce` built in and keeps none.
fn bounce_buffers_kib(memory_mib: u64) -> u64 {
    /// Where the hole for devices begins, 0xc0000000: what is beyond lies above 4 GiB.
    const HOLE_MIB: u64 = 3072;
    let keeps = quirk::detect().is_none() && memory_mib > HOLE_MIB;
    if keeps { 64 * 1024 } else { 0 }
}
