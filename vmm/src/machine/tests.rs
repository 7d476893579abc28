//! Machines built and run on the host's KVM, with guests of a few instructions.
#![forbid(unsafe_code)]

use std::io::Write as _;

use kvm_bindings::{KVM_MP_STATE_RUNNABLE, KVM_MP_STATE_UNINITIALIZED};
use vm_memory::{Bytes as _, GuestAddress};

use super::exit::{self, End, Exit};
use super::registers::Mode;
use super::test_image::{CODE, ElfImage, bzimage};
use super::*;

/// Where a guest prints, and the port that ends a test.
const SERIAL: u16 = 0x3f8;
const END: u16 = 0x500;

/// `mov $0x500, %dx; out %al, %dx`, and a jump to itself.
const TO_END: &[u8] = &[0x66, 0xba, 0x00, 0x05, 0xee, 0xeb, 0xfe];
/// `mov $0x3f8, %dx`.
const DX_SERIAL: &[u8] = &[0x66, 0xba, 0xf8, 0x03];

/// Code that prints one byte and ends; it is the same in 32 and 64 bits.
fn prints(byte: u8) -> Vec<u8> {
    [DX_SERIAL, &[0xb0, byte, 0xee], TO_END].concat()
}

fn config(kernel: Vec<u8>) -> Config {
    Config {
        vcpus: 1,
        memory_mib: 64,
        huge_pages: HugePages::Off,
        kernel: Image::Embedded { name: "test", bytes: kernel.leak() },
        initrd: None,
        command_line: String::new(),
        devices: 0,
        keyboard: false,
        quirk: QuirkChoice::Auto,
    }
}

fn build(config: &Config) -> Machine {
    Machine::build(config).expect("a machine can be built: this test needs /dev/kvm")
}

fn file_of(bytes: &[u8]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    file
}

/// Runs the first vCPU until the guest writes to the end port (none) or comes to an end; with what it printed.
fn run(machine: &mut Machine) -> (Vec<u8>, Option<End>) {
    let mut printed = Vec::new();
    for _ in 0..10_000 {
        match exit::run(&mut machine.vcpus[0]) {
            Exit::PortOut { port: SERIAL, data, .. } => printed.extend(data),
            Exit::PortOut { port: END, .. } => return (printed, None),
            Exit::Ended(end) => return (printed, Some(end)),
            _ => {}
        }
    }
    panic!("the guest did not end; it printed {printed:?}");
}

#[test]
fn elf_with_a_pvh_note_starts_in_32_bit_mode_at_the_note_s_entry() {
    let code = [&[0xf4; 16][..], &prints(b'P')].concat();
    let mut machine = build(&config(ElfImage::with_code(&code).pvh(CODE + 16).bytes()));
    assert_eq!(machine.boot, BootProtocol::Pvh);
    let start = describe_registers(&machine.vcpus[0]).unwrap();
    assert_eq!((start.rip, start.cpl, start.mode), (u64::from(CODE) + 16, 0, Mode::Protected32));
    assert_eq!(run(&mut machine), (b"P".to_vec(), None));
}

#[test]
fn elf_without_a_note_starts_in_64_bit_mode_at_its_entry() {
    // `mov $'L' << 32, %rax; shr $32, %rax` prints L in 64-bit mode alone.
    let code =
        [&[0x48, 0xb8, 0, 0, 0, 0, b'L', 0, 0, 0, 0x48, 0xc1, 0xe8, 32][..], DX_SERIAL, &[0xee], TO_END];
    let mut machine = build(&config(ElfImage::with_code(&code.concat()).bytes()));
    assert_eq!(machine.boot, BootProtocol::Linux64);
    assert_eq!(describe_registers(&machine.vcpus[0]).unwrap().mode, Mode::Long);
    assert_eq!(run(&mut machine), (b"L".to_vec(), None));
}

#[test]
fn bzimage_starts_at_its_64_bit_entry() {
    let mut machine = build(&config(bzimage(&prints(b'B'))));
    assert_eq!(machine.boot, BootProtocol::BzImage);
    assert_eq!(describe_registers(&machine.vcpus[0]).unwrap().rip, u64::from(CODE) + 0x200);
    assert_eq!(run(&mut machine), (b"B".to_vec(), None));
}

#[test]
fn first_vcpu_may_run_and_the_others_wait_for_init() {
    let code = ElfImage::with_code(TO_END).pvh(CODE).bytes();
    let machine = build(&Config { vcpus: 4, ..config(code) });
    let states: Vec<u32> = machine.vcpus.iter().map(|vcpu| vcpu.get_mp_state().unwrap().mp_state).collect();
    assert_eq!(states[0], KVM_MP_STATE_RUNNABLE);
    assert_eq!(states[1..], [KVM_MP_STATE_UNINITIALIZED; 3]);
}

#[test]
fn pvh_guest_finds_the_command_line_that_the_user_gave() {
    // `mov 24(%ebx), %esi; mov $5, %ecx; mov $0x3f8, %dx; rep outsb`: cmdline_paddr of the start info.
    let code = [&[0x8b, 0x73, 0x18, 0xb9, 5, 0, 0, 0][..], DX_SERIAL, &[0xf3, 0x6e], TO_END].concat();
    let kernel = ElfImage::with_code(&code).pvh(CODE).bytes();
    let mut machine = build(&Config { command_line: "abc\u{e9}".into(), ..config(kernel) });
    assert_eq!(run(&mut machine).0, "abc\u{e9}".as_bytes());
}

#[test]
fn repeated_port_writes_keep_element_size_and_count_apart() {
    // `mov $CODE, %esi; mov $3, %ecx; mov $0x3f8, %dx; rep outsw`: the first six bytes of the code itself.
    let code =
        [&[0xbe][..], &CODE.to_le_bytes(), &[0xb9, 3, 0, 0, 0], DX_SERIAL, &[0x66, 0xf3, 0x6f], TO_END];
    let code = code.concat();
    let mut machine = build(&config(ElfImage::with_code(&code).pvh(CODE).bytes()));
    let mut seen = Vec::new();
    while seen.len() < 6 {
        match exit::run(&mut machine.vcpus[0]) {
            Exit::PortOut { port: SERIAL, size, data } => {
                assert_eq!((size, data.len() % 2), (2, 0));
                seen.extend_from_slice(data);
            }
            Exit::Interrupted => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(seen, code[..6]);
}

#[test]
fn port_reads_give_the_guest_what_was_filled_in() {
    // `mov $0x60, %dx; in %dx, %eax`, then the four bytes of EAX one by one.
    let byte = [&[0xee, 0xc1, 0xe8, 8][..]; 4].concat();
    let code = [&[0x66, 0xba, 0x60, 0, 0xed][..], DX_SERIAL, &byte, TO_END].concat();
    let mut machine = build(&config(ElfImage::with_code(&code).pvh(CODE).bytes()));
    loop {
        match exit::run(&mut machine.vcpus[0]) {
            Exit::PortIn { port: 0x60, size: 4, data } => {
                data.copy_from_slice(b"wxyz");
                break;
            }
            Exit::Interrupted => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(run(&mut machine).0, b"wxyz");
}

#[test]
fn accesses_to_the_hole_are_mmio_with_their_length() {
    // `mov $0x12345678, %eax; mov %eax, 0xd0000010; movw 0xd0000020, %ax; out %al; out %ah`.
    let code = [
        &[0xb8, 0x78, 0x56, 0x34, 0x12, 0xa3, 0x10, 0, 0, 0xd0, 0x66, 0xa1, 0x20, 0, 0, 0xd0][..],
        DX_SERIAL,
        &[0xee, 0x88, 0xe0, 0xee],
        TO_END,
    ];
    let mut machine = build(&config(ElfImage::with_code(&code.concat()).pvh(CODE).bytes()));
    let (mut written, mut read) = (None, false);
    while !read {
        match exit::run(&mut machine.vcpus[0]) {
            Exit::MmioWrite { address, data } => written = Some((address, data.to_vec())),
            Exit::MmioRead { address, data } => {
                assert_eq!((address, data.len()), (0xd000_0020, 2));
                data.copy_from_slice(b"hi");
                read = true;
            }
            Exit::Interrupted => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(written, Some((0xd000_0010, vec![0x78, 0x56, 0x34, 0x12])));
    assert_eq!(run(&mut machine).0, b"hi");
}

#[test]
fn pvh_guest_finds_its_initrd_as_a_module() {
    // `mov 16(%ebx), %edi; mov (%edi), %esi; mov 8(%edi), %ecx; mov $0x3f8, %dx; rep outsb`: modlist_paddr.
    let code =
        [&[0x8b, 0x7b, 0x10, 0x8b, 0x37, 0x8b, 0x4f, 0x08][..], DX_SERIAL, &[0xf3, 0x6e], TO_END].concat();
    let initrd = file_of(b"an initrd");
    let kernel = ElfImage::with_code(&code).pvh(CODE).bytes();
    let mut machine = build(&Config { initrd: Some(initrd.path().into()), ..config(kernel) });
    assert_eq!(run(&mut machine).0, b"an initrd");
    let top = GuestAddress(64 * layout::MIB - layout::PAGE_SIZE);
    let mut there = [0; 9];
    machine.memory.read_slice(&mut there, top).unwrap();
    assert_eq!(&there, b"an initrd", "it lies in the last page of memory");
}

#[test]
fn guests_of_the_linux_protocol_find_command_line_and_initrd_in_the_zero_page() {
    // `mov %rsi, %rdi; mov 0x228(%rdi), %esi; mov $3, %ecx; rep outsb` (cmd_line_ptr), then ramdisk_image at 0x218 with
    // the size at 0x21c.
    let code = [
        &[0x48, 0x89, 0xf7, 0x8b, 0xb7, 0x28, 2, 0, 0, 0xb9, 3, 0, 0, 0][..],
        DX_SERIAL,
        &[0xf3, 0x6e, 0x8b, 0xb7, 0x18, 2, 0, 0, 0x8b, 0x8f, 0x1c, 2, 0, 0, 0xf3, 0x6e],
        TO_END,
    ];
    let code = code.concat();
    let initrd = file_of(b" initrd");
    for kernel in [ElfImage::with_code(&code).bytes(), bzimage(&code)] {
        let command_line = "cmd".to_owned();
        let mut machine =
            build(&Config { initrd: Some(initrd.path().into()), command_line, ..config(kernel) });
        assert_eq!(run(&mut machine).0, b"cmd initrd", "{:?}", machine.boot);
    }
}

#[test]
fn guest_reads_and_writes_memory_above_4_gib() {
    // The first page above 4 GiB is mapped by hand: `mov $0x300003, %rax; mov %rax, 0xa020` puts a directory at 3 MiB
    // behind the fifth GiB, `mov $0x100000083, %rax; mov %rax, 0x300000` a page of 2 MiB into it. Then
    // `mov $1 << 32, %rax; movb $'H', (%rax); mov (%rax), %al`.
    let code = [
        &[0x48, 0xb8, 3, 0, 0x30, 0, 0, 0, 0, 0, 0x48, 0xa3, 0x20, 0xa0, 0, 0, 0, 0, 0, 0][..],
        &[0x48, 0xb8, 0x83, 0, 0, 0, 1, 0, 0, 0, 0x48, 0xa3, 0, 0, 0x30, 0, 0, 0, 0, 0],
        &[0x48, 0xb8, 0, 0, 0, 0, 1, 0, 0, 0, 0xc6, 0, b'H', 0x8a, 0],
        DX_SERIAL,
        &[0xee],
        TO_END,
    ];
    let kernel = ElfImage::with_code(&code.concat()).bytes();
    let mut machine = build(&Config { memory_mib: 4608, ..config(kernel) });
    assert_eq!(run(&mut machine), (b"H".to_vec(), None));
    assert_eq!(machine.memory.read_obj::<u8>(GuestAddress(1 << 32)).unwrap(), b'H');
}

#[test]
fn segment_s_bytes_beyond_the_file_are_zero() {
    // `mov 0x200004, %al; add $'0', %al; out`.
    let code = [&[0xa0, 4, 0, 0x20, 0, 4, b'0'][..], DX_SERIAL, &[0xee], TO_END].concat();
    let kernel = ElfImage::with_code(&code).pvh(CODE).segment(0x20_0000, b"\x01\x01\x01\x01", 4).bytes();
    assert_eq!(run(&mut build(&config(kernel))).0, b"0");
}

#[test]
fn instruction_that_kvm_cannot_emulate_is_reported_with_its_bytes_and_place() {
    // `fnsave 0xd0000000`: a store to MMIO that no KVM emulates, on any host.
    let code = [&[0x90, 0xdd, 0x35, 0, 0, 0, 0xd0][..], TO_END].concat();
    let mut machine = build(&config(ElfImage::with_code(&code).pvh(CODE).bytes()));
    let (_, end) = run(&mut machine);
    let Some(End::EmulationFailed { instruction }) = end else { panic!("{end:?}") };
    assert!(instruction.bytes().starts_with(&[0xdd, 0x35, 0, 0, 0, 0xd0]), "{instruction}");
    let position = describe_registers(&machine.vcpus[0]).unwrap();
    assert_eq!(position.to_string(), "RIP 0x100001, ring 0, 32-bit protected mode");
}

#[test]
fn triple_fault_is_a_shutdown() {
    // `mov $0x40, %ax; mov %ax, %ds`: a selector beyond the table is a fault, and there is no interrupt table.
    let mut machine =
        build(&config(ElfImage::with_code(&[0x66, 0xb8, 0x40, 0, 0x8e, 0xd8]).pvh(CODE).bytes()));
    assert_eq!(run(&mut machine), (Vec::new(), Some(End::Shutdown)));
}

#[test]
fn immediate_exit_is_an_interruption_and_the_guest_goes_on_afterwards() {
    let mut machine = build(&config(ElfImage::with_code(&prints(b'I')).pvh(CODE).bytes()));
    machine.vcpus[0].set_kvm_immediate_exit(1);
    assert!(matches!(exit::run(&mut machine.vcpus[0]), Exit::Interrupted));
    machine.vcpus[0].set_kvm_immediate_exit(0);
    assert_eq!(run(&mut machine).0, b"I");
}

#[test]
fn vcpus_out_of_range_are_refused_with_the_most_that_fits() {
    for vcpus in [0, 33, 255] {
        let error = Machine::build(&Config { vcpus, ..config(bzimage(TO_END)) }).unwrap_err();
        assert_eq!(error.to_string(), format!("a machine has 1 to 32 vCPUs here, not {vcpus}"));
    }
}

#[test]
fn machine_with_32_vcpus_can_be_built() {
    assert_eq!(build(&Config { vcpus: 32, ..config(bzimage(TO_END)) }).vcpus.len(), 32);
}

#[test]
fn quirk_s_switches_are_given_to_linux_in_a_file_alone() {
    let added = |kernel: Image| {
        let kernel = Config { kernel, quirk: QuirkChoice::EmulatedRing0, ..config(Vec::new()) };
        build(&kernel).command_line.added.is_some()
    };
    let in_file = |bytes: &[u8]| {
        let file = file_of(bytes);
        added(Image::File(file.path().into()))
    };
    assert!(in_file(&bzimage(TO_END)));
    assert!(in_file(&ElfImage::with_code(TO_END).pvh(CODE).linux().bytes()));
    assert!(!in_file(&ElfImage::with_code(TO_END).pvh(CODE).bytes()), "a bare guest");
    assert!(!added(Image::Embedded { name: "test", bytes: bzimage(TO_END).leak() }));
}
