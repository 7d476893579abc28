//! What a guest finds in the ACPI tables, and what it does by them: the bare-metal guest `acpi`.
#![forbid(unsafe_code)]

use ringfence_tests::run::{self, Ended};

/// Runs the guest, with this on its command line, and more options.
fn acpi(deed: &str, options: &[&str]) -> Ended {
    run::guest(["acpi", "--exit-port", "--cmdline", deed].iter().chain(options)).wait()
}

fn lines(ended: &Ended) -> Vec<String> {
    ended.output().lines().map(|line| line.trim_end_matches('\r').to_owned()).collect()
}

/// What every machine has.
const EVERY: [&str; 2] = ["acpi: PNP0501, port 3f8, line 4", "acpi: QEMU0001, port 505"];

#[test]
fn the_tables_name_every_processor_and_device_once() {
    for vcpus in [1_u8, 2, 32] {
        let ended = acpi("", &["--vcpus", &vcpus.to_string()]).expect_code(16);
        let root = format!("acpi: root at e0000, by PVH and by a scan; {vcpus} processors");
        assert_eq!(lines(&ended), [&root, EVERY[0], EVERY[1], "acpi: still there"]);
    }
    let disk = tempfile::NamedTempFile::new().expect("a temporary file");
    disk.as_file().set_len(1 << 20).expect("it can be of any size");
    let path = disk.path().to_str().expect("its name is text");
    let ended = acpi("", &["--disk", path, "--entropy", "--keyboard"]).expect_code(16);
    let expected = [
        "acpi: root at e0000, by PVH and by a scan; 1 processors",
        EVERY[0],
        EVERY[1],
        "acpi: PNP0303, port 60, line 1",
        "acpi: LNRO0005, memory c0001000, line 16",
        "acpi: LNRO0005, memory c0002000, line 17",
        "acpi: still there",
    ];
    assert_eq!(lines(&ended), expected);
}

#[test]
fn power_off_ends_the_run_well() {
    let ended = acpi("off", &[]).expect_code(0);
    assert_eq!(lines(&ended).last().unwrap(), "acpi: switching off");
    assert!(ended.stderr.starts_with("ringfence: the guest powered off\n"), "{}", ended.stderr);
    assert_eq!(acpi("off", &["--json", "--vcpus", "2"]).expect_code(0).report()["cause"], "power-off");
}

#[test]
fn the_reset_register_resets() {
    let ended = acpi("reset", &[]).expect_code(0);
    assert!(ended.stderr.starts_with("ringfence: the guest reset the machine\n"), "{}", ended.stderr);
}

#[test]
fn a_panic_that_is_told_ends_the_run_with_a_code_of_its_own_and_the_last_words() {
    let ended = acpi("panic", &[]).expect_code(4);
    assert_eq!(lines(&ended).last().unwrap(), "acpi: last words");
    assert!(ended.stderr.starts_with("ringfence: the guest's kernel panicked\n"), "{}", ended.stderr);
    assert_eq!(acpi("panic", &["--json"]).expect_code(4).report()["cause"], "guest-panic");
}

#[test]
fn a_panic_that_a_crash_kernel_takes_care_of_does_not_end_the_run() {
    let ended = acpi("crash off", &[]).expect_code(0);
    let lines = lines(&ended);
    assert_eq!(lines[lines.len() - 2..], ["acpi: a crash kernel would go on", "acpi: switching off"]);
    assert!(ended.stderr.starts_with("ringfence: the guest powered off\n"), "{}", ended.stderr);
}
