//! What is said when a run cannot begin: what was tried, on what, why it failed, what to do. Nothing has run then, and
//! nothing is left behind.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use ringfence_tests::image::Kernel;
use ringfence_tests::{binary, child};
use tempfile::TempDir;

/// A folder of its own for a run that fails, and what is in it before.
struct Failing {
    folder: TempDir,
}

impl Failing {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        Self { folder }
    }

    fn with(self, name: &str, bytes: &[u8]) -> Self {
        fs::write(self.folder.path().join(name), bytes).expect("a file of a temporary folder can be written");
        self
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary::ringfence());
        command.args(arguments).current_dir(&self.folder).stdin(Stdio::null());
        command
    }

    /// A command that a user without privilege starts, who finds this file in the place of /dev/kvm.
    fn as_nobody(&self, kvm: &Path, arguments: &[&str]) -> Command {
        let place = child::open_to_everyone(self.folder.path());
        let mut command = Command::new(&place);
        command.args(arguments).current_dir(&self.folder).stdin(Stdio::null());
        child::mount(&mut command, &[(binary::ringfence(), &place), (kvm, "/dev/kvm".as_ref())]);
        child::become_nobody(&mut command);
        command
    }

    fn names(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.folder).expect("the folder can be read");
        let mut names: Vec<_> = entries.map(|entry| entry.expect("an entry can be read").path()).collect();
        names.sort();
        names
    }

    /// Runs the command, which must fail with this code and say each of these parts, in words alone.
    fn says(&self, mut command: Command, code: i32, parts: &[&str]) {
        let before = self.names();
        let output = command.output().expect("the program can be started");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{command:?}: {said}");
        for part in parts {
            assert!(said.contains(part), "{part:?} is not said by {command:?}: {said}");
        }
        assert!(output.stdout.is_empty(), "{command:?} wrote to standard output");
        assert!(!said.contains("rf-main"), "{command:?} shows a table of threads: {said}");
        assert_eq!(self.names(), before, "{command:?} changed the folder");
    }
}

/// An error of a run: exit code 1, one line.
fn refused(failing: &Failing, arguments: &[&str], parts: &[&str]) {
    let arguments: Vec<&str> = ["run"].iter().chain(arguments).copied().collect();
    let parts: Vec<&str> = ["ringfence: "].iter().chain(parts).copied().collect();
    failing.says(failing.command(&arguments), 1, &parts);
}

/// An error of usage: exit code 2, and where to read on.
fn misused(arguments: &[&str], parts: &[&str]) {
    let failing = Failing::new();
    let parts: Vec<&str> = ["error: ", "--help"].iter().chain(parts).copied().collect();
    failing.says(failing.command(arguments), 2, &parts);
}

#[test]
fn a_mistyped_guest_is_neither_a_guest_nor_a_file() {
    refused(&Failing::new(), &["helo"], &["no embedded guest and no file helo", "ringfence guest list"]);
}

#[test]
fn a_kernel_that_is_not_there_is_named() {
    refused(
        &Failing::new(),
        &["./vmlinux"],
        &["cannot open kernel ./vmlinux", "no such file", "check the path"],
    );
    refused(&Failing::new(), &["--kernel", "vmlinux"], &["cannot open kernel vmlinux", "check the path"]);
    refused(
        &Failing::new(),
        &["hello", "--initrd", "initrd"],
        &["cannot open initrd initrd", "check the path"],
    );
}

#[test]
fn what_is_no_regular_file_is_no_image() {
    refused(&Failing::new(), &["/tmp"], &["/tmp is a directory", "name the file in it"]);
    refused(&Failing::new(), &["/dev/zero"], &["/dev/zero is not a regular file", "copy its contents"]);
    refused(&Failing::new(), &["hello", "--initrd", "/"], &["initrd / is a directory"]);
}

#[test]
fn a_text_and_an_empty_file_are_no_images() {
    let what_to_do = "give an ELF64 kernel (vmlinux) or a Linux bzImage (vmlinuz)";
    let text = Failing::new().with("text", b"hello");
    refused(&text, &["text"], &["text is not a guest image", "68 65 6c 6c 6f", what_to_do]);
    let empty = Failing::new().with("empty", b"");
    refused(&empty, &["empty"], &["empty is not a guest image", "it is empty", what_to_do]);
}

#[test]
fn an_elf_file_that_is_cut_short_is_told_from_a_whole_one() {
    let whole = Kernel::with_verdict(0).file();
    for length in [20, 63, 64, 100, whole.len() - 1] {
        let failing = Failing::new().with("kernel", &whole[..length]);
        refused(
            &failing,
            &["kernel"],
            &["kernel cannot be run", "cut short", &format!("the file has {length}")],
        );
    }
}

#[test]
fn a_kernel_for_another_machine_is_told_which() {
    let arm = Failing::new().with("kernel", &Kernel::with_verdict(0).for_machine(183).file());
    refused(&arm, &["kernel"], &["kernel cannot be run", "(aarch64), not x86-64"]);
    let narrow = Failing::new().with("kernel", &Kernel::with_verdict(0).in_32_bits().file());
    refused(&narrow, &["kernel"], &["32-bit ELF file", "build the kernel for x86-64"]);
}

#[test]
fn a_user_space_program_is_no_kernel() {
    // The binary itself: a shell may be linked so that nothing in the file tells it from a kernel.
    let program = binary::ringfence().to_str().expect("its path is text");
    let named = format!("{program} cannot be run");
    refused(&Failing::new(), &[program], &[&named, "user space", "not a kernel"]);
}

#[test]
fn a_kernel_too_big_for_the_memory_is_told_how_much_it_takes() {
    let big = Failing::new().with("kernel", &Kernel::with_verdict(0).taking(300 << 20).file());
    refused(
        &big,
        &["kernel"],
        &["kernel needs memory up to 0x12d00000", "has 128 MiB", "give it 301 MiB or more"],
    );
    let ended = ringfence_tests::run::guest([
        big.folder.path().join("kernel").to_str().expect("its path is text"),
        "--memory",
        "301",
    ]);
    let _ = ended.wait().expect_code(0);
}

#[test]
fn an_initrd_too_big_is_told_how_much_is_missing() {
    let failing = Failing::new().with("initrd", b"");
    refused(&failing, &["hello", "--initrd", "initrd"], &["initrd initrd is empty"]);
    let initrd =
        fs::File::options().write(true).open(failing.folder.path().join("initrd")).expect("it is there");
    initrd.set_len(200 << 20).expect("a file may have a hole");
    let parts = ["initrd initrd has 209715200 bytes", "give the machine", "MiB more"];
    refused(&failing, &["hello", "--initrd", "initrd"], &parts);
}

#[test]
fn too_little_and_too_much_memory_are_told_the_limit() {
    for memory in ["0", "1"] {
        refused(&Failing::new(), &["hello", "--memory", memory], &[memory, "give it 2 MiB or more"]);
    }
    let beyond = ["of memory would end beyond", "address bits", "MiB or less"];
    refused(&Failing::new(), &["hello", "--memory", "4294967295"], &beyond);
    misused(&["run", "hello", "--memory", "4294967296"], &["'4294967296' for '--memory <MIB>'"]);
    misused(&["run", "hello", "--memory", "1G"], &["'1G' for '--memory <MIB>'"]);
    misused(&["run", "hello", "--memory", "-1"], &["'-1' for '--memory <MIB>'"]);
}

#[test]
fn a_number_of_vcpus_out_of_range_is_told_the_range() {
    for vcpus in ["-1", "0", "33", "300"] {
        misused(&["run", "hello", "--vcpus", vcpus], &[vcpus, "--vcpus <N>", "1..=32"]);
    }
    misused(&["run", "hello", "--vcpus", "x"], &["'x'", "--vcpus <N>"]);
}

#[test]
fn huge_pages_without_a_pool_are_told_how_to_reserve_them() {
    // More than any pool holds, less than the 40 address bits that the plainest processors have.
    let arguments = ["hello", "--memory", "1046528", "--huge-pages", "2m"];
    refused(&Failing::new(), &arguments, &["no 523264 free huge pages", "/proc/sys/vm/nr_hugepages"]);
}

#[test]
fn a_command_line_too_long_is_told_how_long_it_may_be() {
    let text = "x".repeat(5000);
    refused(&Failing::new(), &["hello", "--cmdline", &text], &["5000 characters", "2047", "shorten it"]);
}

#[test]
fn unknown_values_are_told_the_known_ones() {
    misused(&["run", "hello", "--tier", "strict"], &["'strict'", "filter, bitmask, none"]);
    misused(&["run", "hello", "--on-violation", "die"], &["'die'", "trap, kill, errno, log"]);
    misused(&["run", "hello", "--huge-pages", "1g"], &["'1g'", "off, transparent, 2m"]);
    misused(&["run", "hello", "--quirk", "x"], &["'x'", "auto, none, emulated-ring0"]);
    misused(&["run", "hello", "--vcpu", "2"], &["'--vcpu'", "'--vcpus'"]);
    misused(&["run", "hello", "--kernel", "vmlinux"], &["'--kernel <FILE>'", "cannot be used with"]);
    misused(&["walk"], &["'walk'"]);
}

#[test]
fn a_configuration_that_cannot_be_used_is_told_where_and_why() {
    let with = |text: &str| Failing::new().with("c.json", text.as_bytes());
    let arguments = ["--config", "c.json"];
    refused(&Failing::new(), &arguments, &["cannot read the configuration c.json", "No such file"]);
    refused(&with("kernel=x"), &arguments, &["c.json: ", "line 1 column 1"]);
    let unknown = r#"{"boot-source":{"kernel_image_path":"k"},"mmds-config":{}}"#;
    refused(
        &with(unknown),
        &arguments,
        &["c.json: mmds-config: there is no metadata service here", "line 1"],
    );
    let wrong = "{\"boot-source\":{\"kernel_image_path\":\"k\"},\n\"machine-config\":{\"vcpu_count\":\"2\"}}";
    refused(&with(wrong), &arguments, &["c.json: invalid type: string \"2\"", "line 2"]);
    let missing = r#"{"machine-config":{"vcpu_count":2}}"#;
    refused(&with(missing), &arguments, &["c.json: missing field `boot-source`"]);
    let none = r#"{"boot-source":{"kernel_image_path":"k"},"machine-config":{"vcpu_count":0}}"#;
    refused(&with(none).with("k", b""), &arguments, &["1 to 32 vCPUs", "not 0"]);
}

#[test]
fn a_configuration_without_end_is_not_read_to_its_end() {
    let parts = ["cannot read the configuration /dev/zero", "longer than 1048576 bytes"];
    refused(&Failing::new(), &["--config", "/dev/zero"], &parts);
}

#[test]
fn too_few_open_files_are_told_which_limit_to_raise() {
    for limit in [10, 20] {
        let failing = Failing::new();
        let mut command = failing.command(&["run", "hello"]);
        child::limit_open_files(&mut command, limit);
        failing.says(command, 1, &["Too many open files", "raise the limit of open files (ulimit -n)"]);
    }
}

#[test]
fn a_report_that_cannot_be_made_is_said_before_anything_runs() {
    let arguments = ["hello", "--report", "no/such/folder/report.json"];
    refused(
        &Failing::new(),
        &arguments,
        &["cannot write the report to no/such/folder/report.json", "No such file"],
    );
}

#[test]
fn a_run_that_does_not_begin_leaves_no_report() {
    refused(&Failing::new(), &["./vmlinux", "--report", "report.json"], &["cannot open kernel"]);
}

#[test]
fn a_report_that_cannot_be_written_makes_a_good_end_an_error_and_no_other() {
    for (guest, code) in [("hello", 1), ("fault", 3)] {
        let ended = ringfence_tests::run::guest([guest, "--report", "/dev/full"]).wait().expect_code(code);
        assert!(ended.stderr.contains("the report could not be written: No space left"), "{}", ended.stderr);
    }
}

/// Whether the tests that change /dev/kvm can be made here.
fn is_root() -> bool {
    let root = child::is_root();
    if !root {
        eprintln!("skipped: only root can put another file in the place of /dev/kvm");
    }
    root
}

#[test]
fn a_kvm_that_is_not_kvm_is_said() {
    if !is_root() {
        return;
    }
    let failing = Failing::new();
    let mut command = failing.command(&["run", "hello"]);
    child::replace_kvm(&mut command, "/dev/null".as_ref());
    failing.says(command, 1, &["ringfence: /dev/kvm speaks version -1", "not 12", "it is no KVM device"]);
}

#[test]
fn a_kvm_behind_which_there_is_nothing_is_told_how_to_get_one() {
    if !is_root() {
        return;
    }
    // A socket cannot be opened: ENXIO, as for a device without its module.
    let failing = Failing::new();
    let socket = failing.folder.path().join("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).expect("a socket can be made");
    let mut command = failing.command(&["run", "hello"]);
    child::replace_kvm(&mut command, &socket);
    failing.says(
        command,
        1,
        &["cannot open /dev/kvm: No such device or address", "modprobe kvm_intel or kvm_amd"],
    );
}

#[test]
fn a_dev_null_that_is_something_else_is_told_how_to_make_it() {
    if !is_root() {
        return;
    }
    let failing = Failing::new();
    let mut command = failing.command(&["run", "hello"]);
    let socket = failing.folder.path().join("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).expect("a socket can be made");
    child::mount(&mut command, &[(&socket, "/dev/null".as_ref())]);
    failing.says(command, 1, &["open(/dev/null) failed", "mknod -m 666 /dev/null c 1 3"]);
}

#[test]
fn a_user_who_may_not_open_kvm_is_told_the_group() {
    if !is_root() {
        return;
    }
    let failing = Failing::new();
    let private = failing.folder.path().join("private");
    fs::write(&private, b"").expect("a file of a temporary folder can be written");
    fs::set_permissions(&private, Permissions::from_mode(0o600)).expect("it is ours");
    let command = failing.as_nobody(&private, &["run", "hello"]);
    failing.says(command, 1, &["cannot open /dev/kvm: permission denied", "usermod -aG kvm USER"]);
}

#[test]
fn a_kernel_that_the_user_may_not_read_is_told_so() {
    if !is_root() {
        return;
    }
    let failing = Failing::new().with("kernel", b"");
    let kernel = failing.folder.path().join("kernel");
    fs::set_permissions(&kernel, Permissions::from_mode(0o600)).expect("it is ours");
    let device = failing.folder.path().join("kvm");
    child::make_kvm_for_everyone(&device).expect("root can make a device");
    let command = failing.as_nobody(&device, &["run", "./kernel"]);
    failing.says(command, 1, &["cannot open kernel ./kernel: permission denied", "readable for this user"]);
}
