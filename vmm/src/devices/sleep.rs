//! The two registers of hardware-reduced ACPI by which a guest switches the machine off.
//!
//! Source: ACPI 6.5, section 4.8.3.7, and Linux `drivers/acpi/acpica/hwesleep.c`. The machine knows no sleep from which
//! it would wake, so the status never says that it woke.

/// The control register. The two ports lie where QEMU's PCs begin their power management registers.
pub const CONTROL: u16 = 0x600;
/// The status register.
pub const STATUS: u16 = 0x601;

/// The type of sleep that is power-off, as the DSDT's `\_S5` says it; the number is this machine's choice.
pub const POWER_OFF: u8 = 5;

/// Control: bits 4 to 2 are the type of sleep, bit 5 enters it.
const TYPE_SHIFT: u8 = 2;
const TYPE_MASK: u8 = 7 << TYPE_SHIFT;
const ENTER: u8 = 1 << 5;

/// What both registers read as: nothing is set that stays, and no wake-up to be told of.
pub const READS_AS: u8 = 0;

/// Whether `value`, written to [`CONTROL`], switches the machine off.
pub fn switches_off(value: u8) -> bool {
    value & ENTER != 0 && (value & TYPE_MASK) >> TYPE_SHIFT == POWER_OFF
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_type_of_the_power_off_switches_off_when_it_is_entered_and_no_other_does() {
        // SLP_TYP 5 is 0x14 and SLP_EN 0x20; the bits beside them are reserved.
        let off: Vec<u8> = (0..=u8::MAX).filter(|&value| switches_off(value)).collect();
        let expected: Vec<u8> = (0..=u8::MAX).filter(|value| value & 0x3c == 0x34).collect();
        assert_eq!(off, expected);
    }
}
