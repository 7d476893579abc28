//! The other doors into the kernel: 32-bit entry ends the process, whatever the call.

use std::os::unix::process::ExitStatusExt as _;

use ringfence_tests::kernel::{self, Answers, Entry, Hold};
use seccomp_policies::bpf::interpret;
use seccomp_policies::call::Call;
use seccomp_policies::embed::OnViolation;
use seccomp_policies::language::Tier;

use crate::judges::{HARMLESS, call, filtered, programs};

/// `AUDIT_ARCH_I386`, Linux `include/uapi/linux/audit.h`.
const I386: u32 = 0x4000_0003;
/// `AUDIT_ARCH_AARCH64`
const AARCH64: u32 = 0xc000_00b7;

/// `getpid` for i386, `writev` for `x86_64`.
const GETPID_I386: u32 = 20;
/// `write` for i386, a stat for `x86_64`; every role may write.
const WRITE_I386: u32 = 4;

#[test]
fn int_0x80_ends_the_process_by_sigsys_under_every_program() {
    for embedded in filtered() {
        for tier in [Tier::Filter, Tier::Bitmask] {
            for on_violation in OnViolation::ALL {
                let program = programs(embedded, tier).get(on_violation);
                for number in [GETPID_I386, WRITE_I386] {
                    let calls = [call(number, [0; 6])];
                    let answers = kernel::answers(Hold::Program(program), Entry::Interrupt, &calls);
                    let Answers::Ended(0, status) = answers else {
                        panic!("{} {tier:?} {on_violation:?}: {answers:?}", embedded.role)
                    };
                    assert_eq!(status.signal(), Some(libc::SIGSYS), "{} {tier:?}", embedded.role);
                }
            }
        }
    }
}

#[test]
fn no_number_of_another_architecture_is_let_through() {
    for embedded in filtered() {
        for tier in [Tier::Filter, Tier::Bitmask] {
            for on_violation in OnViolation::ALL {
                let program = programs(embedded, tier).get(on_violation);
                for arch in [I386, AARCH64, 0] {
                    for number in 0..=480 {
                        let call = Call { arch, ..call(number, [HARMLESS; 6]) };
                        let evaluation = interpret(program, &call).expect("a proved program ends");
                        assert_eq!(evaluation.value, libc::SECCOMP_RET_KILL_PROCESS, "{call:x?}");
                    }
                }
            }
        }
    }
}
