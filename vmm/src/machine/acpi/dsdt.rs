//! The "Differentiated System Description Table": the devices, and the value that switches the machine off.
#![forbid(unsafe_code)]

use acpi_tables::Aml;
use acpi_tables::aml::{
    Device, EISAName, IO, Interrupt, Memory32Fixed, Name, ONE, Package, ResourceTemplate, Scope, ZERO,
};
use acpi_tables::sdt::Sdt;

use super::super::layout::{VIRTIO, VIRTIO_IRQ, VIRTIO_WINDOW};
use super::{header, serialized};
use crate::devices::{i8042, pvpanic, serial, sleep};

/// Revision of the table: integers of 64 bits (section 5.2.11.1).
const REVISION: u8 = 2;

/// The table, with so many virtio devices.
pub(super) fn table(devices: u8, keyboard: bool) -> Sdt {
    let mut found = serial_port();
    found.extend(panic_port());
    if keyboard {
        found.extend(keyboard_controller());
    }
    for index in 0..devices {
        found.extend(virtio(index));
    }
    let mut table = header(*b"DSDT", REVISION);
    table.append_slice(&Scope::raw("\\_SB_".into(), found));
    table.append_slice(&serialized(&power_off()));
    table
}

/// `\_S5`: what is written to the sleep control register; the other three values are of machines with fixed registers
/// (section 7.4.2).
fn power_off() -> Name {
    Name::new("\\_S5_".into(), &Package::new(vec![&sleep::POWER_OFF, &ZERO, &ZERO, &ZERO]))
}

fn serial_port() -> Vec<u8> {
    let resources: [&dyn Aml; 2] = [&io(serial::BASE, 8), &interrupt(serial::IRQ)];
    device("COM1", &EISAName::new("PNP0501"), 0, &resources, &[])
}

/// As QEMU's `pvpanic` has it (docs/specs/pvpanic.rst).
fn panic_port() -> Vec<u8> {
    device("PEVT", &"QEMU0001", 0, &[&io(pvpanic::PORT, 1)], &[])
}

fn keyboard_controller() -> Vec<u8> {
    let resources: [&dyn Aml; 3] = [&io(i8042::DATA, 1), &io(i8042::COMMAND, 1), &interrupt(i8042::IRQ)];
    device("PS2K", &EISAName::new("PNP0303"), 0, &resources, &[])
}

/// A virtio device over MMIO, as Linux' `drivers/virtio/virtio_mmio.c` looks for it. What it does in memory, the
/// processors' caches see (`_CCA`, section 6.2.17).
fn virtio(index: u8) -> Vec<u8> {
    let registers = VIRTIO + VIRTIO_WINDOW * u64::from(index);
    let (address, size) = (register(registers), register(VIRTIO_WINDOW));
    let resources: [&dyn Aml; 2] =
        [&Memory32Fixed::new(true, address, size), &interrupt(VIRTIO_IRQ + u32::from(index))];
    let coherent = Name::new("_CCA".into(), &ONE);
    device(&format!("VR{index:02X}"), &"LNRO0005", index, &resources, &[&coherent])
}

/// A number of the hole below 4 GiB.
fn register(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

/// A device: what it is, which of its kind, where it is, and more.
fn device(name: &str, kind: &dyn Aml, number: u8, resources: &[&dyn Aml], more: &[&dyn Aml]) -> Vec<u8> {
    let kind = Name::new("_HID".into(), kind);
    let number = Name::new("_UID".into(), &number);
    let resources = Name::new("_CRS".into(), &ResourceTemplate::new(resources.to_vec()));
    let mut members: Vec<&dyn Aml> = vec![&kind, &number, &resources];
    members.extend(more);
    serialized(&Device::new(name.into(), members))
}

/// So many ports from this one on.
fn io(port: u16, count: u8) -> IO {
    IO::new(port, port, 1, count)
}

/// A line of this device alone, raised by an edge: KVM's irqfds raise none that stays.
fn interrupt(line: u32) -> Interrupt {
    Interrupt::new(true, true, false, false, line)
}
