//! Seccomp's strict mode, which is the whole filter of the console role.

use std::os::unix::process::ExitStatusExt as _;

use ringfence::role::policies::console;
use ringfence_tests::kernel::{self, Answers, Entry, Hold};
use seccomp_policies::syscalls::X32_BIT;

use crate::judges::{HARMLESS, call, is_unseen};

/// What strict mode allows beyond the policy: to end the thread, and to return from a signal handler.
/// Linux `kernel/seccomp.c`, `mode1_syscalls`.
const ALSO_ALLOWED: [libc::c_long; 2] = [libc::SYS_exit, libc::SYS_rt_sigreturn];

fn alone(entry: Entry, number: u32) -> Answers {
    kernel::answers(Hold::Strict, entry, &[call(number, [HARMLESS; 6])])
}

fn is_killed(answers: &Answers) -> bool {
    matches!(answers, Answers::Ended(0, status) if status.signal() == Some(libc::SIGKILL))
}

#[test]
fn the_console_policys_calls_are_let_through() {
    for &(number, name) in console::POLICY.calls {
        // There is no such descriptor, so the call was looked at and not refused.
        assert_eq!(alone(Entry::Native, number), Answers::Returned(vec![-i64::from(libc::EBADF)]), "{name}");
    }
}

#[test]
fn every_other_call_ends_the_thread() {
    let also = ALSO_ALLOWED.map(|number| u32::try_from(number).expect("numbers are small"));
    for number in 0..=480 {
        let allowed = console::POLICY.calls.iter().any(|&(allowed, _)| allowed == number);
        if !allowed && !also.contains(&number) && !is_unseen(number) {
            let answers = alone(Entry::Native, number);
            assert!(is_killed(&answers), "{number}: {answers:?}");
        }
    }
}

#[test]
fn strict_mode_lets_a_thread_end_itself() {
    let exit = u32::try_from(libc::SYS_exit).expect("numbers are small");
    let answers = kernel::answers(Hold::Strict, Entry::Native, &[call(exit, [7; 6])]);
    let Answers::Ended(0, status) = answers else { panic!("{answers:?}") };
    assert_eq!(status.code(), Some(7));
}

#[test]
fn strict_mode_knows_no_x32_and_no_i386_call_but_its_own() {
    for number in [libc::SYS_read, libc::SYS_write, libc::SYS_openat, libc::SYS_getpid] {
        let number = u32::try_from(number).expect("numbers are small") | X32_BIT;
        let answers = alone(Entry::Native, number);
        assert!(is_killed(&answers), "{number:#x}: {answers:?}");
    }
    // open, getpid and mmap of i386; its read, write, exit and sigreturn are 3, 4, 1 and 119.
    for number in [5, 20, 90, 192] {
        let answers = alone(Entry::Interrupt, number);
        assert!(is_killed(&answers), "{number}: {answers:?}");
    }
}
