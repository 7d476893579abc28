//! Small programs to be looked at.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use ringfence_tests::{procfs, wait};
use seccomp_policies::bpf::Instruction;
use seccomp_policies::compile::{Weights, optimize};
use seccomp_policies::language::check_sources;
use seccomp_policies::syscalls::Arch;

/// A process that sleeps under these filters. It is ended when this is dropped.
pub(super) struct Sleeper(pub(super) Child);

impl Sleeper {
    pub(super) fn pid(&self) -> i32 {
        self.0.id().cast_signed()
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Installs what the files hold, and waits in a call that each of the programs here allows.
const SLEEPER: &str = "
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int count, char **paths) {
    static struct sock_filter program[4096];
    unsigned word = 0;
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    /* What the tests were started with. */
    syscall(SYS_close_range, 3, ~0u, 0);
    for (int i = 1; i < count; i++) {
        int file = open(paths[i], O_RDONLY);
        struct sock_fprog installed = { read(file, program, sizeof program) / sizeof *program, program };
        if (!getenv(\"KEEP\"))
            close(file);
        if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &installed))
            return 1;
    }
    for (;;)
        syscall(SYS_futex, &word, 137 /* FUTEX_WAIT_BITSET_PRIVATE */, 0, 0, 0, ~0u);
}
";

/// One whose first thread has this name.
pub(super) fn sleeper(name: &str, programs: &[Vec<Instruction>]) -> Sleeper {
    sleeper_with(name, programs, false)
}

/// The same; `keeps`: it leaves the files of its programs open, from descriptor 3 on.
pub(super) fn sleeper_with(name: &str, programs: &[Vec<Instruction>], keeps: bool) -> Sleeper {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let program = folder.path().join(name);
    compile(&program, SLEEPER);
    let mut command = Command::new(&program);
    command.stdin(Stdio::null());
    if keeps {
        command.env("KEEP", "1");
    }
    for (index, instructions) in programs.iter().enumerate() {
        let file = folder.path().join(index.to_string());
        fs::write(&file, bytes(instructions)).expect("the folder takes files");
        command.arg(file);
    }
    let sleeper = Sleeper(command.spawn().expect("it can be started"));
    wait::until("it sleeps", || {
        procfs::find(sleeper.pid(), name).filter(|thread| thread.sleeps_in() == Some(libc::SYS_futex))
    });
    sleeper
}

/// As the kernel takes them (`struct sock_filter`, Linux `include/uapi/linux/filter.h`).
fn bytes(program: &[Instruction]) -> Vec<u8> {
    let of_one = |one: &Instruction| {
        let (code, k) = (one.code.to_ne_bytes(), one.k.to_ne_bytes());
        [code[0], code[1], one.jt, one.jf, k[0], k[1], k[2], k[3]]
    };
    program.iter().flat_map(of_one).collect()
}

pub(super) fn compile(program: &Path, text: &str) {
    compile_by(&["-pthread"], program, text);
}

/// One for 32 bits, which has no libraries there and begins at `_start`.
pub(super) fn compile_for_32_bits(program: &Path, text: &str) {
    let alone = ["-m32", "-nostdlib", "-static", "-fno-pie", "-no-pie", "-fno-stack-protector"];
    compile_by(&alone, program, text);
}

fn compile_by(options: &[&str], program: &Path, text: &str) {
    let source = program.with_extension("c");
    fs::write(&source, text).expect("the folder takes a file");
    let built = Command::new("cc").args(options).arg("-o").args([program, source.as_path()]).status();
    assert!(built.expect("there is a C compiler").success(), "a small C program can be compiled");
}

/// Everything but a call.
pub(super) const NO_DEBUGGER: &str =
    "role tool\ntier filter\notherwise allow\nptrace: errno EPERM -- nobody is to be debugged\n";
pub(super) const NO_MODULES: &str =
    "role tool\ntier filter\notherwise allow\ninit_module: errno EPERM -- the kernel stays as it is\n";

pub(super) fn program(policy: &str) -> Vec<Instruction> {
    let name = "tool.policy";
    let checked = check_sources(name, &[(name, policy)], Arch::X86_64).expect("the policy holds");
    optimize(&checked.policy, &Weights::CacheAware(None)).expect("it compiles").instructions().to_vec()
}
