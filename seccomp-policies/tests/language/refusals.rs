//! What is said of a refused call: the nearest rule, and the tests that the call failed.

use seccomp_policies::call::Call;
use seccomp_policies::language::Policy;
use seccomp_policies::syscalls::Arch;

use super::checked;

fn policy() -> Policy {
    let rules = [
        "fd vcpu = 3 -- the vCPU",
        "fd bells = 4..6 -- eventfds",
        "ioctl: fd == 9 && cmd == TCGETS && arg == 0 -- a terminal",
        "ioctl: fd == @vcpu && cmd == KVM_RUN -- enter the guest",
        "write: fd in @bells && count == 8 -- ring a bell",
        "openat: dfd == AT_FDCWD && (flags & O_ACCMODE) == O_RDONLY && !(mode == 0777) -- read a file",
        "openat: flags in ~(O_CLOEXEC|O_DIRECTORY) && mode != 0 && mode < 0100 -- list a folder",
    ];
    checked(&rules).policy
}

fn refused(number: u32, arguments: [u64; 6]) -> Option<String> {
    let call = Call { number, arch: Arch::X86_64.audit_value(), instruction_pointer: 0, arguments };
    policy().refusal(&call).map(|refusal| refusal.failed.join("; "))
}

#[test]
fn the_nearest_rule_fails_the_fewest_tests() {
    let call =
        |arguments| Call { number: 16, arch: Arch::X86_64.audit_value(), instruction_pointer: 0, arguments };
    let policy = policy();
    let reason = |arguments| policy.nearest_rule(&call(arguments)).map(|rule| rule.reason.as_str());
    assert_eq!(reason([3, 0xae81, 0, 0, 0, 0]), Some("enter the guest"));
    assert_eq!(reason([9, 0x5401, 7, 0, 0, 0]), Some("a terminal"));
}

#[test]
fn a_failed_test_is_said_with_what_the_call_had_and_what_the_rule_wants() {
    assert_eq!(refused(16, [3, 0x8090_ae81, 0, 0, 0, 0]).unwrap(), "cmd is KVM_GET_REGS, not KVM_RUN");
    assert_eq!(refused(1, [7, 0x1000, 9, 0, 0, 0]).unwrap(), "fd is 7, not at most 6; count is 9, not 8");
    assert_eq!(
        refused(257, [0xffff_ff9c, 0x1000, 1, 0o100, 0, 0]).unwrap(),
        "flags is O_WRONLY, not O_RDONLY in the bits O_ACCMODE"
    );
    assert_eq!(refused(257, [0xffff_ff9c, 0, 0, 0o777, 0, 0]).unwrap(), "mode is 0777, which it leaves out");
    assert_eq!(refused(257, [3, 0, 0, 0, 0, 0]).unwrap(), "dfd is 3, not AT_FDCWD");
}

#[test]
fn a_call_that_a_rule_matches_was_not_refused() {
    assert_eq!(refused(16, [3, 0xae80, 0, 0, 0, 0]), None);
}

#[test]
fn a_call_that_no_rule_speaks_of_has_no_nearest_rule() {
    assert_eq!(refused(0, [3, 0, 0, 0, 0, 0]), None);
}

#[test]
fn a_call_of_the_32_bit_abi_has_no_nearest_rule() {
    let call = Call { number: 16, arch: 0x4000_0003, instruction_pointer: 0, arguments: [9, 0, 0, 0, 0, 0] };
    assert_eq!(policy().refusal(&call), None);
}

#[test]
fn a_refusal_in_words_names_place_rule_and_reason() {
    let call = Call {
        number: 16,
        arch: Arch::X86_64.audit_value(),
        instruction_pointer: 0,
        arguments: [3, 0xae03, 0, 0, 0, 0],
    };
    assert_eq!(
        policy().refusal(&call).unwrap().to_string(),
        "r.policy:7 allows `ioctl: fd == @vcpu && cmd == KVM_RUN` -- enter the guest; \
         here cmd is KVM_CHECK_EXTENSION, not KVM_RUN"
    );
}

#[test]
fn a_slot_is_found_by_its_name_and_by_a_number_in_it() {
    let policy = policy();
    assert_eq!(policy.slot("bells").map(|slot| (slot.first, slot.last)), Some((4, 6)));
    assert_eq!(policy.slot_of(5).map(|slot| slot.name.as_str()), Some("bells"));
    assert_eq!(policy.slot_of(7), None);
}
