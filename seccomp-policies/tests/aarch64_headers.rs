//! Numbers of aarch64 against the kernel's own headers for it, where a cross compiler has them.
//!
//! On Debian: `apt-get install gcc-aarch64-linux-gnu linux-libc-dev-arm64-cross`. Nothing is run, so any machine will do.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use seccomp_policies::constants;
use seccomp_policies::syscalls::{Arch, all};
use support::tracing::not_judged;

const COMPILER: &str = "aarch64-linux-gnu-gcc";

/// Those of the kernel's headers for programs that hold constants of policies and can be read together.
const HEADERS: [&str; 40] = [
    "linux/fcntl.h",
    "linux/mman.h",
    "linux/mount.h",
    "linux/prctl.h",
    "linux/ptrace.h",
    "linux/wait.h",
    "linux/resource.h",
    "linux/random.h",
    "linux/reboot.h",
    "linux/eventpoll.h",
    "linux/timerfd.h",
    "linux/signalfd.h",
    "linux/in.h",
    "linux/tcp.h",
    "linux/sched.h",
    "linux/time.h",
    "linux/stat.h",
    "linux/seccomp.h",
    "linux/futex.h",
    "linux/membarrier.h",
    "linux/keyctl.h",
    "linux/openat2.h",
    "linux/perf_event.h",
    "linux/io_uring.h",
    "linux/kvm.h",
    "linux/if_tun.h",
    "linux/fs.h",
    "linux/fiemap.h",
    "linux/memfd.h",
    "linux/falloc.h",
    "linux/close_range.h",
    "linux/pidfd.h",
    "linux/netlink.h",
    "linux/net.h",
    "asm/socket.h",
    "asm/poll.h",
    "asm/signal.h",
    "asm/termbits.h",
    "asm/ioctls.h",
    "asm/unistd.h",
];

/// The values that the headers give to those of the names that they define as macros; `None` without a compiler.
fn defined(names: &BTreeSet<String>) -> Option<BTreeMap<String, i64>> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let source = folder.path().join("names.c");
    let mut text = String::from("#include <stddef.h>\n");
    for header in HEADERS {
        writeln!(text, "#include <{header}>").expect("a string takes everything");
    }
    for name in names {
        writeln!(text, "#ifdef {name}\nlong long value_{name} = (long long)({name});\n#endif")
            .expect("a string takes everything");
    }
    fs::write(&source, text).expect("the folder takes a file");
    let output = Command::new(COMPILER).args(["-S", "-w", "-o", "-"]).arg(&source).output();
    let output = match output {
        Ok(output) => output,
        Err(error) => {
            not_judged("constants and numbers of aarch64", &format!("{COMPILER}: {error}"));
            return None;
        }
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(values(&String::from_utf8_lossy(&output.stdout)))
}

/// Reads `value_NAME:` and the `.xword` or `.zero` below it.
fn values(assembly: &str) -> BTreeMap<String, i64> {
    let mut values = BTreeMap::new();
    let mut name = None;
    for line in assembly.lines() {
        if let Some(label) = line.strip_suffix(':') {
            name = label.strip_prefix("value_").map(str::to_owned);
        } else if let Some((directive, value)) = line.trim().split_once('\t') {
            let value = match directive {
                ".xword" => value.parse().expect("a decimal number"),
                ".zero" => 0,
                _ => continue,
            };
            values.extend(name.take().map(|name| (name, value)));
        }
    }
    values
}

#[test]
fn constants_of_aarch64_have_the_values_of_the_kernels_headers() {
    let names: BTreeSet<_> = constants::names(Arch::Aarch64).map(str::to_owned).collect();
    let Some(defined) = defined(&names) else { return };
    assert!(defined.len() > 600, "{} of {} names", defined.len(), names.len());
    for (name, value) in defined {
        assert_eq!(constants::value(Arch::Aarch64, &name), Some(value), "{name}");
    }
}

#[test]
fn calls_of_aarch64_have_the_numbers_of_the_kernels_headers() {
    let table = all(Arch::Aarch64);
    let macro_of = |name: &str| format!("__NR_{name}");
    let names = table.iter().map(|call| macro_of(call.name)).collect();
    let Some(defined) = defined(&names) else { return };
    assert!(defined.len() > 280, "{} of {} calls", defined.len(), table.len());
    for call in table {
        if let Some(&number) = defined.get(&macro_of(call.name)) {
            assert_eq!(number, i64::from(call.number), "{}", call.name);
        }
    }
}
