//! The "Multiple APIC Description Table": processors and interrupt controllers, the same as in the MP table.
//!
//! There is no override of an interrupt's source: KVM's default routing takes each line to the pin of the same number,
//! the timer's included, and ISA's polarity and trigger are what is meant without one (section 5.2.12.5).
#![forbid(unsafe_code)]

use acpi_tables::madt::{EnabledStatus, IoApic, ProcessorLocalApic};
use acpi_tables::sdt::Sdt;

use super::super::layout::{IOAPIC, LOCAL_APIC};
use super::{header, serialized};

/// Revision of the table (section 5.2.12).
const REVISION: u8 = 5;
/// Flags: the machine has two 8259 as well (`PCAT_COMPAT`, table 5.20).
const HAS_8259: u32 = 1;
/// "Local APIC NMI" (section 5.2.12.7): type and length; of all processors; polarity and trigger as the bus has them;
/// at LINT1.
const NMI: [u8; 6] = [4, 6, 0xff, 0, 0, 1];

/// The table for `vcpus` processors.
pub(super) fn table(vcpus: u8) -> Sdt {
    let mut table = header(*b"APIC", REVISION);
    table.append_slice(&LOCAL_APIC.to_le_bytes());
    table.append_slice(&HAS_8259.to_le_bytes());
    for id in 0..vcpus {
        table.append_slice(&serialized(&ProcessorLocalApic::new(id, id, EnabledStatus::Enabled)));
    }
    // Its id is one that no processor has; its first line is the machine's line 0.
    table.append_slice(&serialized(&IoApic::new(vcpus, IOAPIC, 0)));
    table.append_slice(&NMI);
    table
}
