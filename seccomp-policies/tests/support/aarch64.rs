//! Kernels of aarch64 machines as judges of programs, from a machine of another kind.
//!
//! The calls are made by a program of this file's own, a static executable of a few dozen instructions that needs
//! no compiler and no C library. It runs as an ordinary process under `qemu-aarch64`, which hands its calls to
//! this machine's kernel, or as the first process of a real aarch64 kernel in `qemu-system-aarch64`.

use std::collections::BTreeMap;
use std::env;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use seccomp_policies::bpf::Program;
use seccomp_policies::call::Call;

/// Names the kernel (`Image`, or a compressed one that QEMU boots) that is to judge.
const KERNEL: &str = "RINGFENCE_AARCH64_KERNEL";

/// A program and the calls that a child makes under it.
pub struct Case {
    pub program: Program,
    pub calls: Vec<Call>,
}

/// What a kernel answered: to `seccomp(2)`, and then to each call.
#[derive(Debug, PartialEq, Eq)]
pub struct Answers {
    pub installed: i64,
    pub results: Vec<i64>,
}

/// What runs executables for aarch64.
pub enum Judge {
    /// A process of this machine's kernel.
    UserEmulation,
    /// A machine that boots this kernel.
    Machine(String),
}

impl Judge {
    /// The kernel that the environment names, or else user emulation.
    pub fn find() -> Self {
        env::var(KERNEL).map_or(Self::UserEmulation, Self::Machine)
    }

    /// The answers to every case.
    ///
    /// # Errors
    /// Says what is missing.
    pub fn ask(&self, cases: &[Case]) -> Result<Vec<Answers>, String> {
        let executable = executable(cases);
        let folder = tempfile::tempdir().expect("a temporary folder");
        let output = match self {
            Self::UserEmulation => {
                let path = folder.path().join("judge");
                fs::write(&path, &executable).expect("the folder takes a file");
                fs::set_permissions(&path, Permissions::from_mode(0o700)).expect("it is ours");
                run(Command::new("qemu-aarch64").arg(path))?
            }
            Self::Machine(kernel) => boot(Path::new(kernel), &executable, folder.path())?,
        };
        let letters = output.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
        let (letters, _) = letters.ok_or_else(|| format!("it did not answer, but wrote {output:?}"))?;
        Ok(answers(letters, cases))
    }
}

fn boot(kernel: &Path, executable: &[u8], folder: &Path) -> Result<String, String> {
    let root = folder.join("root.cpio");
    fs::write(&root, archive("init", executable)).expect("the folder takes a file");
    let mut machine = Command::new("timeout");
    machine
        .args(["300", "qemu-system-aarch64", "-M", "virt", "-cpu", "max", "-m", "512", "-no-reboot"])
        .args(["-display", "none", "-serial", "stdio", "-monitor", "none", "-nodefaults"])
        .arg("-kernel")
        .arg(kernel)
        .arg("-initrd")
        .arg(root)
        // The first process ends, which is a panic, which ends the machine.
        .args(["-append", "console=ttyAMA0 quiet rdinit=/init panic=-1"]);
    run(&mut machine)
}

fn run(command: &mut Command) -> Result<String, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("{name}: {error}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// An initial file system with one file: the `newc` format of Linux
/// `Documentation/driver-api/early-userspace/buffer-format.rst`.
fn archive(name: &str, contents: &[u8]) -> Vec<u8> {
    const EXECUTABLE: u32 = libc::S_IFREG | 0o755;
    let mut archive = Vec::new();
    for (name, mode, contents) in [(name, EXECUTABLE, contents), ("TRAILER!!!", 0, &[][..])] {
        let (size, name_size) = (contents.len(), name.len() + 1);
        let fields = [1, mode as usize, 0, 0, 1, 0, size, 0, 0, 0, 0, name_size, 0];
        archive.extend_from_slice(b"070701");
        archive.extend(fields.iter().flat_map(|field| format!("{field:08x}").into_bytes()));
        archive.extend_from_slice(name.as_bytes());
        archive.push(0);
        pad(&mut archive, 4);
        archive.extend_from_slice(contents);
        pad(&mut archive, 4);
    }
    archive
}

fn pad(bytes: &mut Vec<u8>, alignment: usize) {
    bytes.resize(bytes.len().next_multiple_of(alignment), 0);
}

/// Four letters a result, `A` to `P`, the highest half-byte of the lowest 16 bits first.
fn answers(letters: &str, cases: &[Case]) -> Vec<Answers> {
    let digits: Vec<u16> = letters.bytes().map(|letter| u16::from(letter - b'A')).collect();
    let words = digits.chunks(4).map(|digits| digits.iter().fold(0, |word, digit| word << 4 | digit));
    let mut results = words.map(|word| i64::from(word.cast_signed()));
    let mut next = || results.next().expect("a result for each call");
    let answer =
        |case: &Case| Answers { installed: next(), results: case.calls.iter().map(|_| next()).collect() };
    cases.iter().map(answer).collect()
}

/// Where the executable lies in memory.
const BASE: u64 = 0x40_0000;

/// Bytes of an ELF header and of its one program header: `Elf64_Ehdr`, `Elf64_Phdr`, elf(5).
const HEADERS: usize = 64 + 56;

/// A static executable that asks about the cases: code, then records and tables.
fn executable(cases: &[Case]) -> Vec<u8> {
    let mut code = Code::default();
    code.judge();
    let data_at = (HEADERS + 4 * code.words.len()).next_multiple_of(8);
    let data = data(cases, BASE + data_at as u64);
    let mut image = headers((data_at + data.len()) as u64);
    image.extend(code.finish(data_at - HEADERS).iter().flat_map(|word| word.to_le_bytes()));
    pad(&mut image, 8);
    image.extend(data);
    image
}

fn headers(size: u64) -> Vec<u8> {
    let mut headers = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let half = |headers: &mut Vec<u8>, values: &[u16]| {
        headers.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    };
    let word = |headers: &mut Vec<u8>, values: &[u32]| {
        headers.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    };
    let long = |headers: &mut Vec<u8>, values: &[u64]| {
        headers.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    };
    // ET_EXEC for EM_AARCH64, version 1; entry, program headers, no sections; their sizes and numbers.
    half(&mut headers, &[2, 183]);
    word(&mut headers, &[1]);
    long(&mut headers, &[BASE + HEADERS as u64, 64, 0]);
    word(&mut headers, &[0]);
    half(&mut headers, &[64, 56, 1, 64, 0, 0]);
    // PT_LOAD of the whole file, readable, writable, executable.
    word(&mut headers, &[1, 7]);
    long(&mut headers, &[0, BASE, BASE, size, size, 0x1_0000]);
    headers
}

/// The number of results in bytes, the number of cases, a record for each (`struct sock_fprog`, calls, their
/// number), and what the records point to.
fn data(cases: &[Case], at: u64) -> Vec<u8> {
    let results: usize = cases.iter().map(|case| case.calls.len() + 1).sum();
    let mut records = vec![8 * results as u64, cases.len() as u64];
    let mut tables: Vec<u8> = Vec::new();
    let tables_at = at + 8 * (records.len() + 3 * cases.len()) as u64;
    for case in cases {
        let place = |tables: &Vec<u8>| tables_at + tables.len() as u64;
        let program = place(&tables);
        tables.extend(case.program.bytes());
        pad(&mut tables, 8);
        records.push(place(&tables));
        tables.extend((case.program.len() as u64).to_le_bytes());
        tables.extend(program.to_le_bytes());
        records.extend([place(&tables), case.calls.len() as u64]);
        for call in &case.calls {
            tables.extend(u64::from(call.number).to_le_bytes());
            tables.extend(call.arguments.iter().flat_map(|argument| argument.to_le_bytes()));
        }
    }
    records.iter().flat_map(|word| word.to_le_bytes()).chain(tables).collect()
}

/// Instructions, with places to be found when all of them are there.
#[derive(Default)]
struct Code {
    words: Vec<u32>,
    labels: BTreeMap<&'static str, usize>,
    open: Vec<(usize, Target)>,
}

enum Target {
    Label(&'static str),
    /// Bytes into the data.
    Data(usize),
}

/// Encodings: Arm Architecture Reference Manual for A-profile, section C6.2.
const SVC: u32 = 0xd400_0001;
const BRK: u32 = 0xd420_0000;

impl Code {
    fn put(&mut self, words: &[u32]) {
        self.words.extend_from_slice(words);
    }

    fn label(&mut self, name: &'static str) {
        self.labels.insert(name, self.words.len());
    }

    /// A jump, whose distance is filled in later.
    fn jump(&mut self, word: u32, label: &'static str) {
        self.open.push((self.words.len(), Target::Label(label)));
        self.words.push(word);
    }

    /// `adr register, data + offset`
    fn address_of_data(&mut self, register: u32, offset: usize) {
        self.open.push((self.words.len(), Target::Data(offset)));
        self.words.push(0x1000_0000 | register);
    }

    /// A system call with these first arguments.
    fn call(&mut self, number: u32, arguments: &[u32]) {
        let arguments = (0..).zip(arguments).map(|(register, &value)| set(register, value));
        self.words.extend(arguments);
        self.put(&[set(8, number), SVC]);
    }

    fn judge(&mut self) {
        self.shared_memory();
        self.label("case");
        self.jump(if_zero(24), "write");
        self.call(220, &[17, 0, 0, 0, 0]); // clone(SIGCHLD)
        self.jump(if_zero(0), "child");
        // wait4(child, NULL, 0, NULL)
        self.put(&[set(1, 0), set(2, 0), set(3, 0), set(8, 260), SVC]);
        // Past its results: x21 += 8 * (number of calls + 1).
        self.put(&[0xf940_0af4, 0x9100_0694, 0x8b14_0eb5]);
        // The next record; one case fewer.
        self.put(&[0x9100_62f7, 0xd100_0718]);
        self.jump(ALWAYS, "case");
        self.child();
        self.write();
    }

    /// x21 and x22: memory that children share, for the results. x23: the first record. x24: the number of cases.
    fn shared_memory(&mut self) {
        self.address_of_data(1, 0);
        self.put(&[0xf940_0021]); // ldr x1, [x1]
        // mmap(NULL, x1, PROT_READ|PROT_WRITE, MAP_SHARED|MAP_ANONYMOUS, -1, 0)
        self.put(&[set(0, 0), set(2, 3), set(3, 0x21), 0x9280_0004, set(5, 0), set(8, 222), SVC]);
        self.put(&[0xaa00_03f5, 0xaa00_03f6]); // mov x21, x0; mov x22, x0
        self.address_of_data(0, 8);
        self.put(&[0xf940_0018]); // ldr x24, [x0]
        self.address_of_data(23, 16);
    }

    fn child(&mut self) {
        self.label("child");
        self.call(167, &[38, 1, 0, 0, 0]); // prctl(PR_SET_NO_NEW_PRIVS, 1)
        // seccomp(SECCOMP_SET_MODE_FILTER, 0, [x23]), and its result.
        self.put(&[set(0, 1), set(1, 0), 0xf940_02e2, set(8, 277), SVC, 0xf800_86a0]);
        // Without the filter the calls could do anything.
        self.jump(0xb500_0000, "end"); // cbnz x0
        self.put(&[0xf940_06f3, 0xf940_0af4]); // ldr x19, [x23, #8]; ldr x20, [x23, #16]
        self.label("call");
        self.jump(if_zero(20), "end");
        // ldr x8, [x19]; ldp x0, x1, [x19, #8]; ldp x2, x3, [x19, #24]; ldp x4, x5, [x19, #40]
        self.put(&[0xf940_0268, 0xa940_8660, 0xa941_8e62, 0xa942_9664, SVC]);
        // str x0, [x21], #8; add x19, x19, #56; sub x20, x20, #1
        self.put(&[0xf800_86a0, 0x9100_e273, 0xd100_0694]);
        self.jump(ALWAYS, "call");
        self.label("end");
        self.call(94, &[0]); // exit_group, or where the filter refuses it:
        self.put(&[BRK]);
    }

    /// Every result from x22 to x21 in four letters, between `<` and `>`.
    fn write(&mut self) {
        self.label("write");
        self.address_of_data(25, 0);
        self.put(&[set(0, u32::from(b'<'))]);
        self.letter();
        self.label("result");
        self.put(&[0xcb16_02a0]); // sub x0, x21, x22
        self.jump(if_zero(0), "written");
        self.put(&[0xf840_86d4, 0xd350_3e94, set(19, 4)]); // ldr x20, [x22], #8; lsl x20, x20, #48
        self.label("digit");
        self.put(&[0xd37c_fe80, 0xd37c_ee94, 0x9101_0400]); // lsr x0, x20, #60; lsl x20, x20, #4; add x0, x0, #65
        self.letter();
        self.put(&[0xd100_0673]); // sub x19, x19, #1
        self.jump(0xb500_0013, "digit"); // cbnz x19
        self.jump(ALWAYS, "result");
        self.label("written");
        self.put(&[set(0, u32::from(b'>'))]);
        self.letter();
        self.call(94, &[0]); // exit_group
    }

    /// Writes the letter in x0 to standard output, by way of the byte at x25.
    fn letter(&mut self) {
        // strb w0, [x25]; mov x1, x25; write(1, x25, 1)
        self.put(&[0x3900_0320, 0xaa19_03e1, set(0, 1), set(2, 1), set(8, 64), SVC]);
    }

    /// Fills in distances; the data begins at this offset from the first instruction.
    fn finish(mut self, data_at: usize) -> Vec<u32> {
        for (at, target) in self.open {
            let (place, is_address) = match target {
                Target::Label(name) => (4 * self.labels[name], false),
                Target::Data(offset) => (data_at + offset, true),
            };
            let distance = i32::try_from(place).expect("near") - i32::try_from(4 * at).expect("near");
            let distance = (distance / 4).cast_unsigned();
            let word = &mut self.words[at];
            *word |= if *word == ALWAYS && !is_address {
                distance & 0x3ff_ffff
            } else {
                (distance & 0x7_ffff) << 5
            };
        }
        self.words
    }
}

/// `b`
const ALWAYS: u32 = 0x1400_0000;

/// `cbz register`
const fn if_zero(register: u32) -> u32 {
    0xb400_0000 | register
}

/// `movz register, #value`
const fn set(register: u32, value: u32) -> u32 {
    0xd280_0000 | value << 5 | register
}
