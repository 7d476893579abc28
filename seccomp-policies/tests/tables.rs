//! The tables of `tests/tables` that name a policy: every judge of this crate, and the running kernel, on every row.

mod support;

use std::fs;
use std::path::Path;

use seccomp_policies::action::Action;
use seccomp_policies::bpf::{Program, interpret};
use seccomp_policies::call::Call;
use seccomp_policies::compile::{Weights, bitmask, optimize, reference, widen};
use seccomp_policies::language::{Policy, check_sources, format, write};
use seccomp_policies::prove::{Decisions, Space};
use seccomp_policies::syscalls::{Arch, by_name};
use support::kernel::{getpid_of_i386, raw_call, results_under, signal_under};
use support::table::{I386, Row, Table, read};

/// Every backend that compiles a policy whole.
const BACKENDS: [(&str, Backend); 2] = [
    ("reference", |policy| reference(policy).unwrap()),
    ("optimizing", |policy| optimize(policy, &Weights::default()).unwrap()),
];

type Backend = fn(&Policy) -> Program;

/// Calls that harm nothing in a child process, whatever their arguments: most read none. The kernel judges their rows.
const HARMLESS: [&str; 12] = [
    "getpid",
    "getppid",
    "gettid",
    "getuid",
    "geteuid",
    "getgid",
    "getegid",
    "getpgrp",
    "sched_yield",
    "getpgid",
    "getpriority",
    "umask",
];

/// Errors of policies whose rows the kernel judges: no call of its own fails with one of these.
const MARKS: std::ops::RangeInclusive<u16> = 4000..=4095;

fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every table that names a policy. One that names none is a role's.
fn tables() -> Vec<Table> {
    let mut tables = Vec::new();
    for file in fs::read_dir(folder().join("tests/tables")).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "tsv") {
            continue;
        }
        let read = read(&path);
        let role = folder().join("policies").join(path.file_stem().unwrap()).with_extension("policy");
        assert!(!read.is_empty() || role.exists(), "{} names no policy and is no role's", path.display());
        tables.extend(read);
    }
    assert!(tables.iter().all(|table| !table.rows.is_empty()), "a policy without rows");
    tables.sort_by(|one, other| one.place.cmp(&other.place));
    tables
}

#[test]
fn every_policy_of_a_table_is_in_the_one_layout() {
    let mut judged = 0;
    for file in fs::read_dir(folder().join("tests/tables")).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "policy") {
            let text = fs::read_to_string(&path).unwrap();
            let laid_out = format("table.policy", &text).unwrap_or_else(|findings| panic!("{findings}"));
            assert_eq!(text, laid_out, "{}", path.display());
            judged += 1;
        }
    }
    assert!(judged > 10, "{judged} policies");
}

fn answer(program: &Program, call: &Call) -> Option<Action> {
    Action::from_return_value(interpret(program.instructions(), call).unwrap().value)
}

#[test]
fn every_row_is_what_the_policy_says_and_says_when_written_anew() {
    for Table { place, policy, rows } in tables() {
        let text = write(&policy);
        let again = check_sources("again.policy", &[("again.policy", &text)], policy.arch);
        let again = again.unwrap_or_else(|findings| panic!("{findings}")).policy;
        for row in rows {
            for call in row.calls() {
                assert_eq!(policy.decide(&call), row.verdict, "{place}: {}: {call:x?}", row.text);
                assert_eq!(again.decide(&call), row.verdict, "{place}: {}: {call:x?}\n{text}", row.text);
            }
        }
    }
}

#[test]
fn every_rule_of_a_tables_policy_decides_a_row_and_so_does_otherwise() {
    for Table { place, policy, rows } in tables() {
        let deciding = |wanted| {
            let native = |call: &Call| call.arch == policy.arch.audit_value();
            let mut calls = rows.iter().flat_map(Row::calls);
            calls.any(|call| native(&call) && policy.matching_rule(&call) == wanted)
        };
        assert!(deciding(None), "{place}: no row for `otherwise`");
        for (index, rule) in policy.rules.iter().enumerate() {
            assert!(deciding(Some(index)), "{place}: no row for {}:{}", rule.file, rule.line);
        }
    }
}

#[test]
fn every_row_is_what_every_backends_program_answers() {
    for Table { place, policy, rows } in tables() {
        for (backend, compile) in BACKENDS {
            let program = compile(&policy);
            for row in &rows {
                for call in row.calls() {
                    let answered = answer(&program, &call);
                    assert_eq!(answered, Some(row.verdict), "{place}: {backend}: {}: {call:x?}", row.text);
                }
            }
        }
    }
}

#[test]
fn the_bitmask_carries_out_every_row_that_is_carried_out_and_means_what_the_widened_policy_means() {
    for Table { place, policy, rows } in tables() {
        let (widened, program) = (widen(&policy), bitmask(&policy).unwrap());
        for row in rows {
            for call in row.calls() {
                let answered = answer(&program, &call);
                assert_eq!(answered, Some(widened.decide(&call)), "{place}: {}: {call:x?}", row.text);
                if matches!(row.verdict, Action::Allow | Action::Log) {
                    let carried_out = matches!(answered, Some(Action::Allow | Action::Log));
                    assert!(carried_out, "{place}: {}: {call:x?}", row.text);
                }
            }
        }
    }
}

#[test]
fn every_call_that_fits_a_row_is_proved_to_have_its_verdict() {
    let space = Space::new();
    for Table { place, policy, rows } in tables() {
        let mut decisions = vec![("the text", Decisions::of_policy(&policy))];
        for (backend, compile) in BACKENDS {
            decisions.push((backend, Decisions::of_program(compile(&policy).instructions()).unwrap()));
        }
        for row in rows {
            let set = row.set(&space);
            assert!(!set.is_empty(), "{place}: {}", row.text);
            for (judge, decisions) in &decisions {
                let verdict = decisions.with_effect(row.verdict.into());
                let wrong = set.without(&verdict).first();
                assert_eq!(wrong, None, "{place}: {judge}: {}", row.text);
                for call in row.calls() {
                    assert!(
                        set.contains(&call) && verdict.contains(&call),
                        "{place}: {}: {call:x?}",
                        row.text
                    );
                }
            }
        }
    }
}

/// Whether a child may make the call for real under the policy.
fn is_harmless(call: &Call) -> bool {
    call.arch == Arch::X86_64.audit_value()
        && HARMLESS
            .iter()
            .filter_map(|name| by_name(Arch::X86_64, name))
            .any(|known| known.number == call.number)
}

/// The errors that a policy's rules and `otherwise` answer with.
fn marks(policy: &Policy) -> Vec<u16> {
    let actions = policy.rules.iter().map(|rule| rule.action).chain([policy.otherwise]);
    actions
        .filter_map(|action| match action {
            Action::Errno(error) => Some(error),
            _ => None,
        })
        .collect()
}

/// Calls that answer in a child, which goes on, and what each answers.
fn answering(table: &Table) -> Vec<(Call, Action)> {
    let rows = table.rows.iter();
    let rows = rows.filter(|row| matches!(row.verdict, Action::Allow | Action::Log | Action::Errno(_)));
    let calls = rows.flat_map(|row| row.calls().into_iter().map(|call| (call, row.verdict)));
    // A call that is refused harms nothing, whatever it is.
    calls
        .filter(|(call, verdict)| {
            let native = call.arch == Arch::X86_64.audit_value();
            is_harmless(call) || native && matches!(verdict, Action::Errno(_))
        })
        .collect()
}

#[test]
fn the_kernel_answers_the_rows_that_harm_nothing() {
    let mut judged = 0;
    for table in tables().iter().filter(|table| table.policy.arch == Arch::X86_64) {
        let marks = marks(&table.policy);
        assert!(marks.iter().all(|mark| MARKS.contains(mark)), "{}: the kernel's own errors", table.place);
        let calls = answering(table);
        let made: Vec<Call> = calls.iter().map(|(call, _)| *call).collect();
        for (backend, compile) in BACKENDS {
            let results = results_under(compile(&table.policy).instructions(), &made);
            for ((call, verdict), result) in calls.iter().zip(results) {
                let refused = marks.iter().find(|mark| result == -i64::from(**mark));
                let expected = match verdict {
                    Action::Errno(error) => Some(error),
                    _ => None,
                };
                assert_eq!(refused, expected, "{}: {backend}: {call:x?} gave {result}", table.place);
                judged += 1;
            }
        }
    }
    assert!(judged > 5000, "the kernel judged {judged} calls alone");
}

#[test]
fn the_kernel_ends_a_process_whose_call_a_row_says_is_the_end_of_it() {
    let mut judged = 0;
    for table in tables().iter().filter(|table| table.policy.arch == Arch::X86_64) {
        let getpid_of_i386_is = |call: &Call| call.arch == I386 && call.number == 20;
        for (backend, compile) in BACKENDS {
            let program = compile(&table.policy);
            for row in &table.rows {
                let ends = matches!(row.verdict, Action::Trap | Action::KillThread | Action::KillProcess);
                let Some(call) = row.calls().into_iter().next().filter(|_| ends) else { continue };
                let signal = if getpid_of_i386_is(&call) {
                    signal_under(program.instructions(), getpid_of_i386)
                } else if call.arch == Arch::X86_64.audit_value() {
                    // The row's own call: the program ends it before the kernel carries anything out.
                    signal_under(program.instructions(), || {
                        raw_call(&call);
                    })
                } else {
                    continue;
                };
                assert_eq!(signal, Some(libc::SIGSYS), "{}: {backend}: {}", table.place, row.text);
                judged += 1;
            }
        }
    }
    assert!(judged > 10, "the kernel judged {judged} rows alone");
}
