//! Kernels of a few instructions, made by the tests themselves, sound or broken on purpose.
#![forbid(unsafe_code)]

/// Where the kernel lies in memory: 1 MiB.
const LOAD_ADDRESS: u64 = 0x10_0000;
/// Bytes of the ELF64 header and of a program header (ELF-64 object file format).
const HEADER_BYTES: u16 = 64;
const PROGRAM_HEADER_BYTES: u16 = 56;
/// Offset of `EI_CLASS`, and its value `ELFCLASS64`; `EM_X86_64`.
const CLASS: usize = 4;
const CLASS_64: u8 = 2;
const X86_64: u16 = 62;

/// `out 0x64, al` with 0xfe: pulls the reset line through the i8042.
const RESET: [u8; 4] = [0xb0, 0xfe, 0xe6, 0x64];

/// A kernel for the 64-bit Linux boot protocol.
#[derive(Clone, Debug)]
pub struct Kernel {
    code: Vec<u8>,
    memory_bytes: u64,
    machine: u16,
    class: u8,
}

impl Kernel {
    /// One that writes `verdict` to the exit port and then resets the machine.
    pub fn with_verdict(verdict: u8) -> Self {
        // mov al, verdict; out 0xf4, al
        let code = [[0xb0, verdict, 0xe6, 0xf4], RESET].concat();
        Self { code, memory_bytes: 0x1000, machine: X86_64, class: CLASS_64 }
    }

    /// One that writes this text to the serial port, as it is, and then resets the machine.
    pub fn saying(text: &str) -> Self {
        // mov dx, 0x3f8; then for each byte: mov al, byte; out dx, al
        let mut code = vec![0x66, 0xba, 0xf8, 0x03];
        code.extend(text.bytes().flat_map(|byte| [0xb0, byte, 0xee]));
        code.extend(RESET);
        Self { code, memory_bytes: 0x1000, machine: X86_64, class: CLASS_64 }
    }

    /// The same, of which the loader is told that it takes so much memory.
    #[must_use]
    pub fn taking(self, memory_bytes: u64) -> Self {
        Self { memory_bytes, ..self }
    }

    /// The same, for another processor: an `EM_*` number (Linux `include/uapi/linux/elf-em.h`).
    #[must_use]
    pub fn for_machine(self, machine: u16) -> Self {
        Self { machine, ..self }
    }

    /// The same, said to be a 32-bit file (`ELFCLASS32`).
    #[must_use]
    pub fn in_32_bits(self) -> Self {
        Self { class: 1, ..self }
    }

    /// The ELF file.
    ///
    /// # Panics
    /// Never: the code is a few bytes.
    pub fn file(&self) -> Vec<u8> {
        let code_offset = u64::from(HEADER_BYTES) + u64::from(PROGRAM_HEADER_BYTES);
        let code_bytes = u64::try_from(self.code.len()).expect("a few bytes");
        let mut file = b"\x7fELF\x02\x01\x01".to_vec();
        file.resize(16, 0);
        // e_type EXEC, e_machine, e_version
        halves(&mut file, &[2, self.machine, 1, 0]);
        // e_entry, e_phoff, e_shoff
        words(&mut file, &[LOAD_ADDRESS, u64::from(HEADER_BYTES), 0]);
        file.extend([0; 4]);
        // e_ehsize, e_phentsize, e_phnum; no sections
        halves(&mut file, &[HEADER_BYTES, PROGRAM_HEADER_BYTES, 1, 0, 0, 0]);
        // p_type LOAD, p_flags read and execute
        halves(&mut file, &[1, 0, 5, 0]);
        // p_offset, p_vaddr, p_paddr, p_filesz, p_memsz, p_align
        words(&mut file, &[code_offset, LOAD_ADDRESS, LOAD_ADDRESS, code_bytes, self.memory_bytes, 0x1000]);
        file.extend(&self.code);
        file[CLASS] = self.class;
        file
    }
}

fn halves(file: &mut Vec<u8>, values: &[u16]) {
    file.extend(values.iter().flat_map(|value| value.to_le_bytes()));
}

fn words(file: &mut Vec<u8>, values: &[u64]) {
    file.extend(values.iter().flat_map(|value| value.to_le_bytes()));
}
