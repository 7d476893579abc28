//! The policies of the thread roles: tables of calls for each, and the running kernel under their programs.

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use seccomp_policies::action::Action;
use seccomp_policies::bpf::interpret;
use seccomp_policies::call::Call;
use seccomp_policies::compile::{bitmask, probes, reference, verify, widen, with_otherwise};
use seccomp_policies::embed::OnViolation;
use seccomp_policies::language::{Policy, Tier};
use seccomp_policies::syscalls::{Arch, X32_BIT, by_name};
use support::kernel::{getpid_of_i386, results_under, signal_under};
use support::roles;
use support::table::{I386, number};

/// `uretprobe` and `uprobe`. The kernel asks no filter about them (Linux `kernel/seccomp.c`, `__NR_uretprobe`, since
/// 6.14), and answers SIGILL where they do not come from its own trampoline.
const UNFILTERED: [u32; 2] = [335, 336];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn role(name: &str) -> Policy {
    roles::policy(name, Arch::X86_64)
}

fn filtered() -> impl Iterator<Item = Policy> {
    roles::filtered().into_iter().map(|name| role(&name))
}

/// A row of a table.
struct Row {
    /// The row as it stands in its file.
    text: String,
    call: Call,
    /// `None` for what `otherwise` says.
    verdict: Option<Action>,
}

/// The rows of a role's table. A line `include NAME` stands for the rows of another role, of which this one has all rules.
fn rows(policy: &Policy) -> Vec<Row> {
    rows_of(&policy.role, policy)
}

fn rows_of(table: &str, policy: &Policy) -> Vec<Row> {
    let path = folder().join("tests/tables").join(table).with_extension("tsv");
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let of_line = |line: &str| match line.strip_prefix("include ") {
        Some(other) => rows_of(other, policy),
        None => vec![row(policy, line)],
    };
    let rows: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).flat_map(of_line).collect();
    assert!(!rows.is_empty(), "{} has no rows", path.display());
    rows
}

fn row(policy: &Policy, line: &str) -> Row {
    let columns: Vec<_> = line.split('\t').collect();
    let [call, arguments, verdict] = columns[..] else { panic!("not three columns: {line}") };
    let (entry, name) = call.split_once(' ').unwrap_or(("", call));
    let known = by_name(policy.arch, name).unwrap_or_else(|| panic!("no such call: {line}"));
    let (arch, bit) = match entry {
        "" => (policy.arch.audit_value(), 0),
        "x32" => (policy.arch.audit_value(), X32_BIT),
        "i386" => (I386, 0),
        other => panic!("no such entry as {other}: {line}"),
    };
    let mut call = Call { number: known.number | bit, arch, instruction_pointer: 0, arguments: [0; 6] };
    for (register, word) in call.arguments.iter_mut().zip(arguments.split_whitespace()) {
        *register = number(policy, word);
    }
    let verdict = match verdict {
        "allow" => Some(Action::Allow),
        "kill" => Some(Action::KillProcess),
        "refuse" => None,
        other => panic!("no such verdict as {other}: {line}"),
    };
    Row { text: line.to_owned(), call, verdict }
}

#[test]
fn every_row_of_a_roles_table_is_what_its_policy_says() {
    for name in roles::all() {
        let policy = role(&name);
        for row in rows(&policy) {
            let expected = row.verdict.unwrap_or(policy.otherwise);
            assert_eq!(policy.decide(&row.call), expected, "{name}: {}", row.text);
        }
    }
}

#[test]
fn every_row_of_a_roles_table_is_what_its_programs_answer_whatever_the_choice() {
    for policy in filtered() {
        for choice in OnViolation::ALL {
            let variant = with_otherwise(&policy, choice.otherwise(policy.otherwise));
            let program = reference(&variant).unwrap();
            let numbers = bitmask(&variant).unwrap();
            for row in rows(&policy) {
                let expected = row.verdict.unwrap_or(choice.otherwise(policy.otherwise));
                let answer = |program: &seccomp_policies::bpf::Program| {
                    Action::from_return_value(interpret(program.instructions(), &row.call).unwrap().value)
                };
                assert_eq!(answer(&program), Some(expected), "{}: {}", policy.role, row.text);
                if row.verdict == Some(Action::Allow) {
                    assert_eq!(answer(&numbers), Some(Action::Allow), "{}: {}", policy.role, row.text);
                }
            }
        }
    }
}

#[test]
fn every_rule_of_a_role_lets_some_row_of_its_table_through() {
    for name in roles::all() {
        let policy = role(&name);
        let rows = rows(&policy);
        for (index, rule) in policy.rules.iter().enumerate() {
            let shown = rows.iter().any(|row| policy.matching_rule(&row.call) == Some(index));
            assert!(shown, "no row of tables/{name}.tsv is let through by {}:{}", rule.file, rule.line);
        }
    }
}

#[test]
fn a_strict_role_asks_for_nothing_that_strict_mode_refuses() {
    let policy = role("console");
    assert_eq!(policy.tier, Tier::Strict);
    // mode1_syscalls, Linux kernel/seccomp.c.
    let strict = ["read", "write", "exit", "rt_sigreturn"];
    for rule in &policy.rules {
        assert!(strict.contains(&rule.call.name), "{}", rule.call.name);
    }
}

/// Every number that a kernel may know, each with the x32 bit as well, and everything around the constants.
fn calls_to_judge(policy: &Policy) -> Vec<Call> {
    let numbers = (0..=470).flat_map(|number| [number, number | X32_BIT]);
    let blank =
        |number| Call { number, arch: policy.arch.audit_value(), instruction_pointer: 0, arguments: [0; 6] };
    numbers.map(blank).chain(probes(policy)).collect()
}

#[test]
fn the_programs_of_every_role_mean_what_its_policy_means_for_every_number_and_around_every_constant() {
    for name in roles::filtered() {
        for arch in [Arch::X86_64, Arch::Aarch64] {
            let policy = roles::policy(&name, arch);
            let calls = calls_to_judge(&policy);
            assert_eq!(verify(reference(&policy).unwrap().instructions(), &policy, &calls), Ok(()));
            assert_eq!(verify(bitmask(&policy).unwrap().instructions(), &widen(&policy), &calls), Ok(()));
        }
    }
}

#[test]
fn the_kernel_refuses_every_call_that_a_role_may_not_make() {
    // An error number of its own, so that a call that the kernel carries out and fails is not taken for a refusal.
    let marked = Action::Errno(4095);
    for policy in filtered() {
        let policy = with_otherwise(&policy, marked);
        let widened = widen(&policy);
        for (program, meaning) in [(reference(&policy), &policy), (bitmask(&policy), &widened)] {
            let program = program.unwrap();
            let mut calls = calls_to_judge(&policy);
            calls.retain(|call| {
                meaning.decide(call) == Action::Errno(4095) && !UNFILTERED.contains(&call.number)
            });
            assert!(calls.len() > 900, "{} calls are too few to tell", calls.len());
            let results = results_under(program.instructions(), &calls);
            for (call, result) in calls.iter().zip(results) {
                assert_eq!(result, -4095, "{}: {call:x?}", policy.role);
            }
        }
    }
}

#[test]
fn the_kernel_ends_a_role_that_makes_a_32_bit_call_whatever_the_choice() {
    for policy in filtered() {
        for choice in OnViolation::ALL {
            let variant = with_otherwise(&policy, choice.otherwise(policy.otherwise));
            for program in [reference(&variant).unwrap(), bitmask(&variant).unwrap()] {
                let signal = signal_under(program.instructions(), getpid_of_i386);
                assert_eq!(signal, Some(libc::SIGSYS), "{} {choice:?}", policy.role);
            }
        }
    }
}

#[test]
fn a_vcpu_enters_its_guest_within_fourteen_instructions_of_its_filter() {
    let policy = role("vcpu");
    assert!(policy.rules.len() <= 5, "the vCPU role is to have five rules at most");
    let program = reference(&policy).unwrap();
    let run = row(&policy, "ioctl\t@vcpu KVM_RUN 0\tallow").call;
    let executed = interpret(program.instructions(), &run).unwrap().executed;
    assert!(executed <= 14, "{executed} instructions");
}

#[test]
fn main_with_an_api_may_what_main_may_and_the_least_beside() {
    let (alone, with_api) = (role("main"), role("main_api"));
    for row in rows(&alone) {
        if row.verdict == Some(Action::Allow) {
            assert_eq!(with_api.decide(&row.call), Action::Allow, "{}", row.text);
        }
    }
    let of = |policy: &Policy| policy.rules.iter().map(|rule| rule.expression.clone()).collect::<Vec<_>>();
    let known = of(&alone);
    let more: Vec<_> = of(&with_api).into_iter().filter(|rule| !known.contains(rule)).collect();
    assert_eq!(
        more,
        [
            "fd in {@api_bell, @io_bell} && count == 8",
            "fd in @vcpus && cmd == KVM_KVMCLOCK_CTRL",
            // A client names another file for a disk.
            "dfd == AT_FDCWD && flags in {O_RDONLY|O_CLOEXEC|O_NOCTTY|O_NONBLOCK, O_RDWR|O_CLOEXEC|O_NOCTTY|O_NONBLOCK}",
            "fd == @opened",
            "fd == @opened && cmd in {LOCK_SH|LOCK_NB, LOCK_EX|LOCK_NB}",
            "fd == @opened && offset == 0 && whence == SEEK_END",
            "fd in {@io_socket, @disk_sockets} && flags == MSG_NOSIGNAL|MSG_DONTWAIT",
            "fd == @opened",
            "op == FUTEX_WAIT_PRIVATE && utime == 0"
        ]
    );
}
