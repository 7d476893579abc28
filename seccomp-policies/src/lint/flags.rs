//! Bits of flags that a rule does not exclude.

use super::allowed::Allowed;
use super::{Finding, Lint};

/// `PROT_EXEC`, Linux `include/uapi/asm-generic/mman-common.h`.
const PROT_EXEC: u64 = 4;
/// `SHM_EXEC`, Linux `include/uapi/linux/shm.h`.
const SHM_EXEC: u64 = 0o100_000;
/// `CLONE_NEWNS`, `NEWCGROUP`, `NEWUTS`, `NEWIPC`, `NEWUSER`, `NEWPID` and `NEWNET`, Linux
/// `include/uapi/linux/sched.h`.
const NEW_NAMESPACES: u64 = 0x0002_0000 | 0x7e00_0000;

pub(super) fn executable_memory(allowed: &Allowed) -> Vec<Finding> {
    const CALLS: [(&str, &str, &str, u64); 4] = [
        ("mmap", "prot", "PROT_EXEC", PROT_EXEC),
        ("mprotect", "prot", "PROT_EXEC", PROT_EXEC),
        ("pkey_mprotect", "prot", "PROT_EXEC", PROT_EXEC),
        ("shmat", "shmflg", "SHM_EXEC", SHM_EXEC),
    ];
    let mut found = Vec::new();
    for (call, argument, name, bit) in CALLS {
        for part in allowed.of_calls(&[call]).filter(|part| allowed.allows_bits(part, argument, bit)) {
            let title = format!("`{call}` may make memory executable");
            let help = format!(
                "a process that has started needs no new code, unless it loads libraries or compiles: \
                 `({argument} & {name}) == 0`"
            );
            let label = format!("{name} is not excluded");
            found.push(part.finding(Lint::ExecutableMemory, title, &label, help));
        }
    }
    found
}

pub(super) fn namespaces(allowed: &Allowed) -> Vec<Finding> {
    let clone = allowed.of_calls(&["clone"]);
    let clone = clone.filter(|part| allowed.allows_bits(part, "clone_flags", NEW_NAMESPACES)).map(|part| {
        part.finding(
            Lint::NewNamespace,
            "`clone` may make namespaces".to_owned(),
            "CLONE_NEWUSER and its like are not excluded",
            format!(
                "threads and processes need none of these bits: `(clone_flags & {NEW_NAMESPACES:#x}) == 0`"
            ),
        )
    });
    let clone3 = allowed.of_calls(&["clone3"]).map(|part| {
        part.finding(
            Lint::NewNamespace,
            "`clone3` may make namespaces".to_owned(),
            "its flags lie in memory, where no filter sees them",
            "answer `clone3: errno ENOSYS`, and the C library takes `clone`, whose flags can be tested"
                .to_owned(),
        )
    });
    clone.chain(clone3).collect()
}
