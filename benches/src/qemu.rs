//! QEMU's microvm, under which the same bare-metal guests run.
#![forbid(unsafe_code)]

use std::path::Path;
use std::process::Command;

/// The program.
const PROGRAM: &str = "qemu-system-x86_64";

/// What a report says where it is not there.
pub const ABSENT: &str =
    "QEMU was left out: there is no qemu-system-x86_64 here (Debian's package qemu-system-x86).";

/// Where its microvm has virtio devices (`hw/i386/microvm.c`): 24 places, 512 bytes apart.
const DEVICES: &str = "virtio=4272947200 window=512";

/// QEMU, without whatever a guest of this kind does not need. The last word is for a KVM on which ring 0 is emulated, which knows fewer of a
/// processor's peculiarities; elsewhere it changes nothing that is measured here.
const ARGUMENTS: &[&str] = &[
    "-M",
    "microvm,x-option-roms=off,pit=off,pic=off,rtc=off,isa-serial=on,acpi=off,auto-kernel-cmdline=off",
    "-accel",
    "kvm",
    "-m",
    "128",
    "-nodefaults",
    "-no-user-config",
    "-nographic",
    "-serial",
    "stdio",
    "-global",
    "virtio-mmio.force-legacy=false",
    "-cpu",
    "host,-arch-capabilities,-kvm-pv-ipi,-kvm-pv-unhalt,-kvm-pv-tlb-flush",
];

/// Whether it is on this host.
pub fn is_here() -> bool {
    Command::new(PROGRAM).arg("--version").output().is_ok_and(|output| output.status.success())
}

/// One that starts `kernel`; devices are the caller's to add.
pub fn microvm(kernel: &Path, told: &str) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(ARGUMENTS).arg("-kernel").arg(kernel).arg("-append").arg(format!("{DEVICES} {told}"));
    command
}
