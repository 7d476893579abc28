//! The "Fixed ACPI Description Table": that this is hardware-reduced ACPI, and the registers for power-off and reset.
#![forbid(unsafe_code)]

use acpi_tables::fadt::{FADT, FADTBuilder, Flags};
use acpi_tables::gas::{AccessSize, AddressSpace, GAS};

use super::{OEM, OEM_REVISION, OEM_TABLE};
use crate::devices::{i8042, sleep};

/// `IAPC_BOOT_ARCH` (table 5.11): there are devices on an ISA bus, the serial port above all.
const LEGACY_DEVICES: u16 = 1 << 0;
/// There is a keyboard controller with something to be found.
const HAS_8042: u16 = 1 << 1;
/// Whoever probes for these finds nothing.
const NO_VGA: u16 = 1 << 2;
const NO_CMOS_CLOCK: u16 = 1 << 5;

/// Shown by kernels that look for it.
const HYPERVISOR: u64 = u64::from_le_bytes(*b"RINGFENC");

/// The table, for a DSDT at this address.
pub(super) fn table(dsdt: u64, keyboard: bool) -> FADT {
    let keyboard = if keyboard { HAS_8042 } else { 0 };
    // The button flags say that there are none among the fixed registers.
    let mut table =
        [Flags::HwReducedAcpi, Flags::Wbinvd, Flags::ResetRegSup, Flags::PwrButton, Flags::SlpButton]
            .into_iter()
            .fold(FADTBuilder::new(OEM, OEM_TABLE, OEM_REVISION), FADTBuilder::flag)
            .dsdt_64(dsdt);
    table.iapc_boot_arch = (LEGACY_DEVICES | NO_VGA | NO_CMOS_CLOCK | keyboard).into();
    table.reset_reg = port(i8042::COMMAND);
    table.reset_value = i8042::RESET;
    table.sleep_control_reg = port(sleep::CONTROL);
    table.sleep_status_reg = port(sleep::STATUS);
    table.hypervisor_vendor_identity = HYPERVISOR.into();
    table.finalize()
}

/// A register of one byte at a port (section 5.2.3.2).
fn port(number: u16) -> GAS {
    GAS::new(AddressSpace::SystemIo, 8, 0, AccessSize::ByteAccess, number.into())
}
