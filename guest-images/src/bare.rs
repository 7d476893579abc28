//! Bare-metal guests: programs of a few kilobytes that need no kernel and no disk.
//!
//! Each is one C file in `bare/`, on top of the start code, drivers and traps in `bare/runtime/`, and
//! shows or tries one thing of the monitor. They speak on the serial port at 0x3f8 and read their
//! command line for parameters.
//!
//! # How a guest ends
//!
//! It writes its verdict, a byte, to port 0xf4 (as QEMU's isa-debug-exit has it; a monitor without such
//! a device ignores the write) and then resets the machine through the i8042: 0xfe to port 0x64. The
//! verdict is 0 where a guest's usage does not say otherwise, and 0x3f after an exception that the guest
//! did not expect.
//!
//! # Format
//!
//! Each image is a static ELF64 file for x86-64, loaded at 1 MiB. A note of type 18
//! (`XEN_ELFNOTE_PHYS32_ENTRY`, Xen's `xen/include/public/elfnote.h`) names the entry point of the PVH
//! boot protocol; the ELF header's entry point follows the 64-bit Linux boot protocol.

/// A bare-metal guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guest {
    /// What it is called on the command line.
    pub name: &'static str,
    /// What it shows, in one line.
    pub summary: &'static str,
    /// What its command line means.
    pub usage: &'static str,
    /// The ELF file.
    pub image: &'static [u8],
}

/// The image that the build script made under this name.
macro_rules! built {
    ($file:literal) => {
        include_bytes!(concat!(env!("OUT_DIR"), "/", $file))
    };
}

macro_rules! guests {
    ($($name:literal: $summary:literal, $usage:literal;)*) => {
        &[$(Guest { name: $name, summary: $summary, usage: $usage, image: include_bytes!(concat!(env!("OUT_DIR"), "/", $name, ".elf")) },)*]
    };
}

/// Every embedded guest, in the order in which people should meet them.
pub static GUESTS: &[Guest] = guests! {
    "tour": "a walk around the machine: memory, interrupts, ring 3, a second processor",
        "any text: it is shown";
    "hello": "says by which boot protocol it was started, and what it was handed",
        "any text: it is shown";
    "exits": "leaves the guest N times, to measure what that costs",
        "N: writes to an unused port (1000); mmio=N: reads of unmapped memory; kick=N: writes to a port that an ioeventfd may answer; line: as many as each line of input says";
    "smp": "starts every processor of the MP table and counts them",
        "nothing; the verdict is the number of processors that came up";
    "compute": "computes in ring 3 at the processor's own speed",
        "N: million rounds of xorshift64 (10)";
    "echo": "says each line of input back, and ends on a line `quit`",
        "nothing";
    "flood": "writes numbered lines to the serial port as fast as it can",
        "N: KiB of lines of 64 bytes (64); burst: a line in one instruction, whether the FIFO has room or not";
    "disk": "drives a virtio block device by its queue (--disk FILE)",
        "fill=SEED, zero, discard, flush, sum: what to do; nth=N: with which disk (0)";
    "entropy": "drives a virtio entropy device by its queue (--entropy)",
        "N: buffers of 4 KiB (100); broken: what no driver may do";
    "net": "answers ping and UDP echo by the queues of a virtio network device (--net TAP)",
        "nth=N: with which interface (0); host=N: at 10.0.N.2 (0); buffer=BYTES, merge, offload: how; broken: what no driver may do";
    "balloon": "drives a virtio memory balloon, a step for each line of input (--balloon MIB)",
        "obey: goes after the target for ever; free: reports free pages instead";
    "acpi": "reads the ACPI tables, and does what they say of power-off, reset and panic",
        "off, reset, panic, crash: what to do in the end; the verdict is 1 to 4 where a table is not as it should be";
    "keyboard": "drives a keyboard by interrupts, and resets at Ctrl-Alt-Del (--keyboard)",
        "nothing";
    "console": "says each line of input back by a virtio console (--console virtio)",
        "N: KiB of numbered lines that it says first (0)";
    "vsock": "drives a virtio socket device by its queues (--vsock CID,SOCKET)",
        "connect=PORT (5000) or listen=PORT; send=KIB, echo; streams=N: many at once; broken: what no driver may do";
    "spin": "never ends: for whoever ends it from outside",
        "halt: sleeps, woken by a timer, instead of looping in ring 3; beat: says a number 20 times a second";
    "panic": "prints what a panicking Linux kernel prints, and resets",
        "nothing";
    "hostile": "touches every port and much unmapped memory, in odd sizes and places",
        "step=N: only every Nth port and page (1); the verdict is 0x2a";
    "fault": "a triple fault: the processor shuts down",
        "nothing";
};

/// The guest of this name.
pub fn find(name: &str) -> Option<&'static Guest> {
    GUESTS.iter().find(|guest| guest.name == name)
}

/// The guest `hello` in the forms that need a monitor's other ways to boot.
pub mod boot_paths {
    /// A bzImage, protocol 2.12, loaded at 1 MiB, with a 64-bit entry point.
    pub static BZIMAGE: &[u8] = built!("bzimage");
    /// An ELF64 file without PVH note, for the 64-bit Linux boot protocol.
    pub static LINUX64: &[u8] = built!("linux64.elf");
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::ops::Range;
    use std::path::Path;

    const PT_LOAD: u64 = 1;
    const PT_NOTE: u64 = 4;
    const XEN_ELFNOTE_PHYS32_ENTRY: u64 = 18;
    const LOAD_ADDRESS: u64 = 0x10_0000;

    /// A program header's fields that matter here (ELF-64 object file format, section "Program header").
    struct Segment {
        kind: u64,
        file: Range<usize>,
        address: u64,
    }

    /// Little-endian number of `size` bytes.
    fn number(bytes: &[u8], at: usize, size: usize) -> u64 {
        bytes[at..at + size].iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
    }

    fn index(bytes: &[u8], at: usize, size: usize) -> usize {
        usize::try_from(number(bytes, at, size)).expect("an offset fits")
    }

    fn segments(image: &[u8]) -> Vec<Segment> {
        let table = index(image, 32, 8);
        let entry_bytes = index(image, 54, 2);
        (0..index(image, 56, 2))
            .map(|i| table + i * entry_bytes)
            .map(|at| {
                let start = index(image, at + 8, 8);
                let end = start + index(image, at + 32, 8);
                Segment { kind: number(image, at, 4), file: start..end, address: number(image, at + 24, 8) }
            })
            .collect()
    }

    /// Whether an address lies in the bytes that a loadable segment takes from the file.
    fn is_loaded(image: &[u8], address: u64) -> bool {
        segments(image).iter().any(|segment| {
            segment.kind == PT_LOAD
                && (segment.address..segment.address + segment.file.len() as u64).contains(&address)
        })
    }

    /// The entry point that a PVH note names, if there is one.
    fn pvh_entry(image: &[u8]) -> Option<u64> {
        let note = segments(image).into_iter().find(|segment| segment.kind == PT_NOTE)?;
        let note = &image[note.file];
        (number(note, 0, 4) == 4
            && number(note, 8, 4) == XEN_ELFNOTE_PHYS32_ENTRY
            && &note[12..16] == b"Xen\0")
            .then(|| number(note, 16, index(note, 4, 4)))
    }

    fn assert_is_static_elf64_for_x86_64(image: &[u8]) {
        assert_eq!(&image[..4], b"\x7fELF");
        assert_eq!(image[4], 2, "ELFCLASS64");
        assert_eq!(number(image, 16, 2), 2, "ET_EXEC");
        assert_eq!(number(image, 18, 2), 62, "EM_X86_64");
        assert!(is_loaded(image, number(image, 24, 8)), "the 64-bit entry point is in no segment");
    }

    #[test]
    fn every_guest_is_a_small_elf_with_a_pvh_entry_inside_a_segment() {
        for guest in GUESTS {
            assert_is_static_elf64_for_x86_64(guest.image);
            let entry = pvh_entry(guest.image).unwrap_or_else(|| panic!("{} has no PVH note", guest.name));
            assert!(is_loaded(guest.image, entry), "{}: PVH entry {entry:#x} is in no segment", guest.name);
            assert!(guest.image.len() < 64 * 1024, "{} has {} bytes", guest.name, guest.image.len());
        }
    }

    #[test]
    fn every_source_of_a_guest_is_embedded_under_its_own_name() {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("bare");
        let written: HashSet<String> = std::fs::read_dir(sources)
            .expect("the sources are there")
            .map(|entry| entry.expect("a folder can be listed").path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "c"))
            .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
            .collect();
        let named: HashSet<String> = GUESTS.iter().map(|guest| guest.name.to_owned()).collect();
        assert_eq!(named, written);
        assert_eq!(named.len(), GUESTS.len(), "a name is used twice");
    }

    #[test]
    fn a_guest_is_found_by_its_name_and_no_other() {
        for guest in GUESTS {
            assert_eq!(find(guest.name), Some(guest));
        }
        assert_eq!(find("Tour"), None);
        assert_eq!(find(""), None);
    }

    #[test]
    fn images_name_no_place_of_the_machine_that_built_them() {
        let folder = env!("CARGO_MANIFEST_DIR").as_bytes();
        let images = GUESTS.iter().map(|guest| guest.image).chain([boot_paths::BZIMAGE, boot_paths::LINUX64]);
        for image in images {
            assert!(!image.windows(folder.len()).any(|window| window == folder));
        }
    }

    #[test]
    fn the_image_for_the_64_bit_protocol_has_no_pvh_note() {
        assert_is_static_elf64_for_x86_64(boot_paths::LINUX64);
        assert_eq!(pvh_entry(boot_paths::LINUX64), None);
    }

    #[test]
    fn the_bzimage_has_a_header_that_fits_its_size() {
        let image = boot_paths::BZIMAGE;
        let setup_bytes = (1 + index(image, 0x1f1, 1)) * 512;
        assert_eq!(number(image, 0x1fe, 2), 0xaa55);
        assert_eq!(&image[0x202..0x206], b"HdrS");
        assert_eq!(number(image, 0x206, 2), 0x020c);
        assert_eq!(number(image, 0x214, 4), LOAD_ADDRESS, "code32_start");
        assert_eq!(number(image, 0x236, 2) & 1, 1, "XLF_KERNEL_64");
        assert_eq!(index(image, 0x1f4, 4) * 16, image.len() - setup_bytes, "syssize");
        assert!(index(image, 0x260, 4) >= image.len() - setup_bytes, "init_size");
    }
}
