//! The MP table, by which a kernel without ACPI learns of processors and interrupt lines.
//!
//! Source: Intel `MultiProcessor` Specification, version 1.4, chapter 4; the structures in parentheses are Linux' names
//! for the same (`arch/x86/include/asm/mpspec_def.h`).
#![forbid(unsafe_code)]

use vm_memory::{Bytes as _, GuestAddress, GuestMemoryError, GuestMemoryMmap};

use super::layout::{IOAPIC, IOAPIC_PINS, LOCAL_APIC, MP_TABLE};

/// Version 1.4 of the specification, as both structures state it.
const SPECIFICATION: u8 = 4;
/// Version of an integrated local APIC, and of KVM's I/O APIC (`IOAPIC_VERSION_ID`, Linux arch/x86/kvm/ioapic.h).
const LOCAL_APIC_VERSION: u8 = 0x14;
const IOAPIC_VERSION: u8 = 0x11;
/// The one bus.
const ISA_BUS: u8 = 0;

/// Bytes of the floating pointer; the table follows it.
const POINTER_SIZE: usize = 16;
/// Bytes of the table's header.
const HEADER_SIZE: usize = 44;

/// Writes floating pointer and table for `vcpus` processors, whose APIC ids are 0 to `vcpus` - 1.
///
/// # Errors
/// The guest has no memory there, which the least size rules out.
pub fn write(memory: &GuestMemoryMmap, vcpus: u8) -> Result<(), GuestMemoryError> {
    memory.write_slice(&bytes(vcpus), GuestAddress(MP_TABLE))
}

/// Floating pointer and table.
fn bytes(vcpus: u8) -> Vec<u8> {
    let entries = entries(vcpus);
    let table = [header(&entries), entries.concat()].concat();
    let mut table = table;
    table[7] = checksum(&table);
    let mut bytes = floating_pointer();
    bytes.extend(table);
    bytes
}

/// The value of the checksum byte, now 0, that makes the sum of all bytes 0.
fn checksum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)).wrapping_neg()
}

/// `struct mpf_intel`: features byte 1 is 0, the table is there; byte 2 is 0, no PIC mode.
fn floating_pointer() -> Vec<u8> {
    let table = u32::try_from(MP_TABLE).unwrap_or_default() + 16;
    let mut bytes = vec![0; POINTER_SIZE];
    bytes[..4].copy_from_slice(b"_MP_");
    bytes[4..8].copy_from_slice(&table.to_le_bytes());
    bytes[8] = 1; // length in units of 16 bytes
    bytes[9] = SPECIFICATION;
    bytes[10] = checksum(&bytes);
    bytes
}

/// `struct mpc_table`, its checksum still 0.
fn header(entries: &[Vec<u8>]) -> Vec<u8> {
    let length = HEADER_SIZE + entries.iter().map(Vec::len).sum::<usize>();
    let mut bytes = vec![0; HEADER_SIZE];
    bytes[..4].copy_from_slice(b"PCMP");
    bytes[4..6].copy_from_slice(&u16::try_from(length).unwrap_or_default().to_le_bytes());
    bytes[6] = SPECIFICATION;
    bytes[8..16].copy_from_slice(b"RINGFENC");
    bytes[16..28].copy_from_slice(b"MACHINE     ");
    bytes[34..36].copy_from_slice(&u16::try_from(entries.len()).unwrap_or_default().to_le_bytes());
    bytes[36..40].copy_from_slice(&LOCAL_APIC.to_le_bytes());
    bytes
}

/// Processors, bus, I/O APIC, interrupts, local interrupts: in ascending order of type, as the specification demands.
fn entries(vcpus: u8) -> Vec<Vec<u8>> {
    let ioapic_id = vcpus;
    let mut entries: Vec<Vec<u8>> = (0..vcpus).map(processor).collect();
    entries.push([&[1, ISA_BUS][..], b"ISA   "].concat());
    entries.push([&[2, ioapic_id, IOAPIC_VERSION, 1][..], &IOAPIC.to_le_bytes()].concat());
    // Each interrupt line goes to the pin of the same number (KVM's default routing), polarity and trigger "as the bus
    // has them". Lines 16 to 23, which no ISA bus has, are listed for devices that are named on the command line.
    entries.extend((0..IOAPIC_PINS).map(|line| vec![3, 0, 0, 0, ISA_BUS, line, ioapic_id, line]));
    // The PIC on LINT0 of the first processor, NMI on LINT1 of all (destination 0xff).
    entries.push(vec![4, 3, 0, 0, ISA_BUS, 0, 0, 0]);
    entries.push(vec![4, 1, 0, 0, ISA_BUS, 0, 0xff, 1]);
    entries
}

/// `struct mpc_cpu`: enabled; the first one is the boot processor. Signature and features name a processor with an
/// on-chip APIC and FPU, as in the specification's example; kernels ask CPUID for the truth.
fn processor(id: u8) -> Vec<u8> {
    let flags = if id == 0 { 3 } else { 1 };
    let mut entry = vec![0; 20];
    entry[..4].copy_from_slice(&[0, id, LOCAL_APIC_VERSION, flags]);
    entry[4..8].copy_from_slice(&0x600u32.to_le_bytes());
    entry[8..12].copy_from_slice(&0x201u32.to_le_bytes());
    entry
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::layout::MP_TABLE_END;

    fn sum(bytes: &[u8]) -> u8 {
        bytes.iter().fold(0, |sum, byte| sum.wrapping_add(*byte))
    }

    /// Reads a table back as a kernel would: counts of entries by type.
    fn parse(bytes: &[u8]) -> [usize; 5] {
        assert_eq!(&bytes[..4], b"_MP_");
        assert_eq!(sum(&bytes[..16]), 0);
        let at = u32::from_le_bytes(bytes[4..8].try_into().unwrap());
        assert_eq!(u64::from(at), MP_TABLE + 16);
        let table = &bytes[16..];
        assert_eq!(&table[..4], b"PCMP");
        assert_eq!(usize::from(u16::from_le_bytes([table[4], table[5]])), table.len());
        assert_eq!(sum(table), 0);
        let mut counts = [0; 5];
        let mut rest = &table[44..];
        while let [kind, ..] = rest {
            counts[usize::from(*kind)] += 1;
            rest = &rest[if *kind == 0 { 20 } else { 8 }..];
        }
        assert_eq!(usize::from(u16::from_le_bytes([table[34], table[35]])), counts.iter().sum::<usize>());
        counts
    }

    #[test]
    fn table_read_back_has_every_processor_and_interrupt_line() {
        for vcpus in [1, 2, 8, 32] {
            assert_eq!(parse(&bytes(vcpus)), [usize::from(vcpus), 1, 1, 24, 2]);
        }
    }

    #[test]
    fn table_of_32_processors_fits_its_kibibyte() {
        assert!(bytes(32).len() as u64 <= MP_TABLE_END - MP_TABLE);
    }

    #[test]
    fn exactly_the_first_processor_is_the_boot_processor() {
        let bytes = bytes(8);
        let flags: Vec<u8> = (0..8).map(|id| bytes[16 + 44 + id * 20 + 3]).collect();
        assert_eq!(flags, [3, 1, 1, 1, 1, 1, 1, 1]);
    }

    #[test]
    fn ioapic_has_an_id_that_no_processor_has() {
        let bytes = bytes(4);
        let ioapic = &bytes[16 + 44 + 4 * 20 + 8..][..8];
        assert_eq!(ioapic, [2, 4, 0x11, 1, 0, 0, 0xc0, 0xfe]);
    }
}
