//! Programs that allow what they do not name, and what they answer to calls of the x32 ABI.

use insta::assert_snapshot;
use seccomp_policies::bpf::{Instruction, Program};
use seccomp_policies::import::Options;

use crate::support::program::{load as load_word, ret, when};
use crate::{ALLOW, guarded, said, x86_64};

/// A program that refuses one call and allows the others, with these instructions for the numbers of x32 in between.
fn denying(x32: &[Instruction]) -> Program {
    let rest = [when(libc::BPF_JEQ, 101, 1, 0), ret(ALLOW), ret(0x0005_0001)];
    guarded(&[&[load_word(0)], x32, &rest].concat())
}

#[test]
fn a_program_that_refuses_x32_as_a_policy_does_is_one() {
    // As libseccomp writes it: -1 is what a tracer has the kernel skip.
    let exact = denying(&[
        when(libc::BPF_JGE, 0x4000_0000, 0, 2),
        when(libc::BPF_JEQ, u32::MAX, 1, 0),
        ret(libc::SECCOMP_RET_KILL_PROCESS),
    ]);
    assert_snapshot!(said(&exact, &Options::default()), @r"
    role p
    tier filter
    otherwise allow

    ptrace: errno EPERM  -- decompiled from p.bpf
    ");
}

#[test]
fn what_a_program_that_allows_answers_to_x32_is_a_loss_or_a_note() {
    let open = denying(&[]);
    assert_snapshot!(said(&open, &Options::default()), @r"
    error: calls of the x32 ABI get `allow`, and end the process here
     --> p.bpf:1:1
      |
    1 |    0  A = arch
      | ^^^^^^^^^^^^^^ the program
      |
      = help: a policy that allows what it does not name lets no call past its rules by a number that hides it
      = help: a decision table says what the program does, where rules cannot
    ");
    assert_snapshot!(said(&open, &x86_64()), @r"
    note: calls of the x32 ABI get `allow`, and end the process here
     --> p.bpf:1:1
      |
    1 |    0  A = arch
      | ^^^^^^^^^^^^^^ the program
      |
      = help: a policy that allows what it does not name lets no call past its rules by a number that hides it

    role p
    tier filter
    otherwise allow

    ptrace: errno EPERM  -- decompiled from p.bpf
    ");
    let by_errno = denying(&[when(libc::BPF_JGE, 0x4000_0000, 0, 1), ret(0x0005_0026)]);
    assert_snapshot!(said(&by_errno, &x86_64()), @r"
    error: calls of the x32 ABI get `errno 38`, and end the process here
     --> p.bpf:1:1
      |
    1 |    0  A = arch
      | ^^^^^^^^^^^^^^ the program
      |
      = help: a policy that allows what it does not name lets no call past its rules by a number that hides it
      = help: a decision table says what the program does, where rules cannot
    ");
}

#[test]
fn a_skipped_call_that_a_program_refuses_is_a_note() {
    let strict = denying(&[when(libc::BPF_JGE, 0x4000_0000, 0, 1), ret(libc::SECCOMP_RET_KILL_PROCESS)]);
    assert_snapshot!(said(&strict, &Options::default()), @r"
    note: number -1 gets `kill`, and `allow` here
     --> p.bpf:1:1
      |
    1 |    0  A = arch
      | ^^^^^^^^^^^^^^ the program
      |
      = help: a tracer has the kernel skip a call by it, and it is none

    role p
    tier filter
    otherwise allow

    ptrace: errno EPERM  -- decompiled from p.bpf
    ");
}
