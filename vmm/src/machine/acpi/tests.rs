use std::process::Command;

use super::super::layout::{ACPI_TABLES_END, IOAPIC, LOCAL_APIC, MAX_VIRTIO};
use super::*;

const SMALL: Description = Description { vcpus: 1, devices: 0, keyboard: false };
const LARGEST: Description = Description { vcpus: 32, devices: MAX_VIRTIO, keyboard: true };

/// The tables in the memory of a guest, as it follows them from the RSDP.
struct Tables {
    bytes: Vec<u8>,
}

impl Tables {
    fn of(description: Description) -> Self {
        Self { bytes: bytes(description) }
    }

    fn at(&self, address: u64) -> &[u8] {
        &self.bytes[usize::try_from(address - ACPI_TABLES).unwrap()..]
    }

    /// A table with its header checked: signature, length, sum.
    fn table(&self, address: u64, signature: [u8; 4]) -> &[u8] {
        assert!(address.is_multiple_of(16), "{address:#x}");
        let rest = self.at(address);
        assert_eq!(rest[..4], signature);
        let table = &rest[..usize::try_from(u32_at(rest, 4)).unwrap()];
        assert_eq!(sum(table), 0, "{signature:?}");
        table
    }

    /// FADT, MADT, DSDT.
    fn all(&self) -> [&[u8]; 3] {
        let rsdp = &self.bytes[..36];
        assert_eq!((&rsdp[..8], rsdp[15], u32_at(rsdp, 20)), (&b"RSD PTR "[..], 2, 36));
        assert_eq!((sum(&rsdp[..20]), sum(rsdp)), (0, 0));
        let xsdt = self.table(u64_at(rsdp, 24), *b"XSDT");
        assert_eq!(xsdt.len(), 36 + 2 * 8);
        let fadt = self.table(u64_at(xsdt, 36), *b"FACP");
        let madt = self.table(u64_at(xsdt, 44), *b"APIC");
        [fadt, madt, self.table(u64_at(fadt, 140), *b"DSDT")]
    }
}

fn sum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, byte| sum.wrapping_add(*byte))
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(bytes[at..at + 2].try_into().unwrap())
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

fn holds(table: &[u8], part: &[u8]) -> bool {
    table.windows(part.len()).any(|window| window == part)
}

#[test]
fn the_largest_machine_s_tables_fit_their_room_and_each_sums_to_zero() {
    let tables = Tables::of(LARGEST);
    tables.all();
    assert!(ACPI_TABLES + tables.bytes.len() as u64 <= ACPI_TABLES_END);
}

#[test]
fn fadt_is_of_reduced_hardware_and_names_the_registers_for_power_off_and_reset() {
    for (description, boot_arch) in [(SMALL, 0x25), (LARGEST, 0x27)] {
        let tables = Tables::of(description);
        let [fadt, ..] = tables.all();
        assert_eq!((fadt[8], fadt.len()), (6, 276));
        let flags = u32_at(fadt, 112);
        assert_eq!(flags & (1 << 20 | 1 << 10), 1 << 20 | 1 << 10, "HW_REDUCED_ACPI and RESET_REG_SUP");
        assert_eq!(u16_at(fadt, 109), boot_arch);
        // Address space 1, eight bits from bit 0, access by bytes (section 5.2.3.2).
        let port = |at: usize| (fadt[at..at + 4] == [1, 8, 0, 1]).then(|| u64_at(fadt, at + 4));
        assert_eq!((port(116), fadt[128]), (Some(0x64), 0xfe), "reset");
        assert_eq!((port(244), port(256)), (Some(0x600), Some(0x601)), "sleep control and status");
    }
}

#[test]
fn madt_has_the_processors_and_the_interrupt_controllers_of_the_mp_table() {
    for vcpus in [1, 2, 32] {
        let tables = Tables::of(Description { vcpus, ..SMALL });
        let [_, madt, _] = tables.all();
        assert_eq!((u32_at(madt, 36), u32_at(madt, 40)), (LOCAL_APIC, 1));
        let (mut rest, mut processors) = (&madt[44..], Vec::new());
        let mut others = Vec::new();
        while let [kind, length, ..] = *rest {
            let entry = &rest[..length.into()];
            match kind {
                0 => processors.push((entry[2], entry[3], u32_at(entry, 4))),
                _ => others.push(entry),
            }
            rest = &rest[length.into()..];
        }
        assert_eq!(processors, (0..vcpus).map(|id| (id, id, 1)).collect::<Vec<_>>());
        let ioapic = [&[1, 12, vcpus, 0][..], &IOAPIC.to_le_bytes(), &[0; 4]].concat();
        assert_eq!(others, [&ioapic[..], &[4, 6, 0xff, 0, 0, 1]], "no interrupt comes from elsewhere");
    }
}

#[test]
fn dsdt_has_each_device_that_is_there_and_no_other() {
    for devices in 0..=MAX_VIRTIO {
        let tables = Tables::of(Description { devices, ..SMALL });
        let [.., dsdt] = tables.all();
        assert_eq!(dsdt.windows(8).filter(|window| window == b"LNRO0005").count(), usize::from(devices));
        for index in 0..MAX_VIRTIO {
            // Memory32Fixed (0x86, nine bytes, writable) and an interrupt (0x89, six bytes; a consumer's, an edge, active
            // high, not shared; one), sections 6.4.3.4 and 6.4.3.6.
            let registers = 0xc000_1000_u32 + 4096 * u32::from(index);
            let memory = [&[0x86, 9, 0, 1][..], &registers.to_le_bytes(), &4096_u32.to_le_bytes()].concat();
            let line = [0x89, 6, 0, 0x03, 1, 16 + index, 0, 0, 0];
            assert_eq!(holds(dsdt, &[&memory[..], &line].concat()), index < devices, "{index} of {devices}");
        }
    }
    // IO (0x47): 16 bits decoded, from, to, alignment, length (section 6.4.2.5).
    let port =
        |port: u16, length| [&[0x47, 1][..], &port.to_le_bytes(), &port.to_le_bytes(), &[1, length]].concat();
    for (description, keyboard) in [(SMALL, false), (LARGEST, true)] {
        let tables = Tables::of(description);
        let [.., dsdt] = tables.all();
        assert!(holds(dsdt, &port(0x3f8, 8)));
        assert!(holds(dsdt, b"QEMU0001") && holds(dsdt, &port(0x505, 1)));
        let controller = [&port(0x60, 1)[..], &port(0x64, 1), &[0x89, 6, 0, 0x03, 1, 1]].concat();
        assert_eq!(holds(dsdt, &controller), keyboard);
        // Name (0x08), package (0x12) of ten bytes with four elements, the first a byte (0x0a).
        assert!(holds(dsdt, b"\x08\\_S5_\x12\x07\x04\x0a\x05\0\0\0"));
    }
}

/// Intel's compiler reads the tables as an operating system does: it takes them apart, and what it wrote together again.
#[test]
fn the_reference_compiler_takes_the_tables_apart_and_together_again() {
    if Command::new("iasl").arg("-v").output().is_err() {
        eprintln!("iasl is not installed (Debian: acpica-tools): the tables were not given to it");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for (name, description) in [("small", SMALL), ("largest", LARGEST)] {
        let tables = Tables::of(description);
        for (kind, table) in ["fadt", "madt", "dsdt"].into_iter().zip(tables.all()) {
            let binary = folder.path().join(format!("{name}-{kind}.aml"));
            std::fs::write(&binary, table).unwrap();
            let source = binary.with_extension("dsl");
            for arguments in [[&"-d".into(), &binary], [&"-we".into(), &source]] {
                let said = Command::new("iasl").args(arguments).output().unwrap();
                let text = String::from_utf8_lossy(&[said.stdout, said.stderr].concat()).into_owned();
                assert!(said.status.success(), "{name} {kind}: {text}");
                assert!(!text.contains("Error") || text.contains("0 Errors"), "{name} {kind}: {text}");
            }
        }
    }
}
