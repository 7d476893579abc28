//! ACPI tables, by which a kernel learns of processors, interrupt lines and devices, how to switch the machine off, and
//! how to tell of its panic.
//!
//! ```text
//! RSDP -> XSDT -> FADT -> DSDT (devices)
//!              -> MADT (processors, interrupt controllers)
//! ```
//!
//! Source: "Advanced Configuration and Power Interface Specification" 6.5, chapter 5. The machine is a hardware-reduced
//! one (section 4.1): no ACPI interrupt, no fixed registers but those that switch it off and reset it.
#![forbid(unsafe_code)]

mod dsdt;
mod fadt;
mod madt;

use acpi_tables::Aml;
use acpi_tables::rsdp::Rsdp;
use acpi_tables::sdt::Sdt;
use acpi_tables::xsdt::XSDT;
use vm_memory::{Bytes as _, GuestAddress, GuestMemoryError, GuestMemoryMmap};

use super::layout::ACPI_TABLES;

/// Who made the tables, in each of them (section 5.2.6).
const OEM: [u8; 6] = *b"RINGFE";
/// Which machine they are for.
const OEM_TABLE: [u8; 8] = *b"RINGFENC";
/// Its version: there has been one.
const OEM_REVISION: u32 = 1;

/// Bytes of the header that each table but the RSDP has (section 5.2.6).
const HEADER: u32 = 36;
/// Tables begin at such addresses; the specification asks it of the RSDP alone (section 5.2.5.1).
const ALIGNMENT: u64 = 16;

/// What the tables describe.
#[derive(Clone, Copy, Debug)]
pub struct Description {
    /// Processors, with APIC ids from 0.
    pub vcpus: u8,
    /// Virtio devices.
    pub devices: u8,
    /// Whether there is a keyboard.
    pub keyboard: bool,
}

/// Writes the tables, the RSDP first, at [`ACPI_TABLES`].
///
/// # Errors
/// The guest has no memory there, which the least size rules out.
pub fn write(memory: &GuestMemoryMmap, description: Description) -> Result<(), GuestMemoryError> {
    memory.write_slice(&bytes(description), GuestAddress(ACPI_TABLES))
}

/// All tables, as they lie from [`ACPI_TABLES`] on.
fn bytes(description: Description) -> Vec<u8> {
    let mut placed = Placed { bytes: vec![0; Rsdp::len()] };
    let dsdt = placed.put(dsdt::table(description.devices, description.keyboard).as_slice());
    let fadt = placed.put(&serialized(&fadt::table(dsdt, description.keyboard)));
    let madt = placed.put(madt::table(description.vcpus).as_slice());
    let mut xsdt = XSDT::new(OEM, OEM_TABLE, OEM_REVISION);
    xsdt.add_entry(fadt);
    xsdt.add_entry(madt);
    let xsdt = placed.put(&serialized(&xsdt));
    let rsdp = serialized(&Rsdp::new(OEM, xsdt));
    placed.bytes[..rsdp.len()].copy_from_slice(&rsdp);
    placed.bytes
}

/// Tables one after the other.
struct Placed {
    bytes: Vec<u8>,
}

impl Placed {
    /// Puts a table behind the others; gives its address in the guest.
    fn put(&mut self, table: &[u8]) -> u64 {
        let address = (ACPI_TABLES + self.bytes.len() as u64).next_multiple_of(ALIGNMENT);
        self.bytes.resize(usize::try_from(address - ACPI_TABLES).unwrap_or_default(), 0);
        self.bytes.extend_from_slice(table);
        address
    }
}

fn serialized(table: &dyn Aml) -> Vec<u8> {
    let mut bytes = Vec::new();
    table.to_aml_bytes(&mut bytes);
    bytes
}

/// A table that is nothing but its header yet.
fn header(signature: [u8; 4], revision: u8) -> Sdt {
    Sdt::new(signature, HEADER, revision, OEM, OEM_TABLE, OEM_REVISION)
}

#[cfg(test)]
mod tests;
