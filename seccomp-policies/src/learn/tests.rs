//! What is learned, and that it lets through what was seen.

use proptest::prelude::*;

use super::*;
use crate::call::Call;
use crate::language::check_sources;

const ARCH: Arch = Arch::X86_64;

fn calls(seen: &[(&str, [u64; 6], u64)]) -> Calls {
    let mut calls = Calls::default();
    for (name, arguments, count) in seen {
        for _ in 0..*count {
            calls.add(by_name(ARCH, name).unwrap(), arguments);
        }
    }
    calls
}

fn learned(calls: &Calls) -> Policy {
    learn(ARCH, &Request { role: "seen", calls, otherwise: Action::Trap, present: None })
}

/// The rules as they are written, each as `call: condition -- reason`.
fn rules(calls: &Calls) -> Vec<String> {
    let text = write(&learned(calls));
    let text = text.replace("\n    ", " ");
    let lines = text.lines().filter(|line| line.contains(':') && !line.starts_with("fd "));
    lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn values_that_mean_something_of_their_own_are_kept_with_what_goes_with_them() {
    let seen = calls(&[
        ("mmap", [0, 8192, 3, 0x22, u64::MAX, 0], 2),
        ("mmap", [0, 4096, 5, 2, 3, 4096], 1),
        ("futex", [0x7f00, 129, 1, 0x1234, 0x99, 7], 3),
        ("futex", [0x7f00, 128, 5, 0, 0x99, 7], 1),
    ]);
    assert_eq!(
        rules(&seen),
        [
            "futex: op == FUTEX_WAIT_PRIVATE && utime == 0 -- seen once",
            "futex: op == FUTEX_WAKE_PRIVATE -- seen 3 times",
            "mmap: len <= 8192 && prot == PROT_READ|PROT_WRITE && flags == MAP_PRIVATE|MAP_ANONYMOUS && fd == -1 \
             && off == 0 -- seen 2 times; len had 1 value, 8192",
            "mmap: len <= 4096 && prot == PROT_READ|PROT_EXEC && flags == MAP_PRIVATE && fd == @unknown && off <= 0x1000 \
             -- seen once; len had 1 value, 4096; off had 1 value, 4096",
        ]
    );
}

#[test]
fn numbers_are_kept_while_they_are_few_and_sure_to_come_again() {
    let reads = |counts: &[u64]| -> Vec<String> {
        let seen: Vec<_> = counts.iter().map(|count| ("read", [0, 0x7f00, *count, 0, 0, 0], 1)).collect();
        rules(&calls(&seen))
    };
    let rule =
        |condition: &str, evidence: &str| vec![format!("read: fd == @stdin && {condition} -- {evidence}")];
    assert_eq!(reads(&[8]), rule("count == 8", "seen once"));
    let often = [&[8, 16][..], &[512; 8]].concat();
    assert_eq!(reads(&often), rule("count in {8, 16, 512}", "seen 10 times"));
    assert_eq!(reads(&[8, 151]), rule("count <= 4096", "seen 2 times; count had 2 values, 8 to 151"));
    assert_eq!(reads(&[1, 2, 3, 4, 5]), rule("count <= 4096", "seen 5 times; count had 5 values, 1 to 5"));
    assert_eq!(reads(&[5000]), rule("count <= 8192", "seen once; count had 1 value, 5000"));
    assert_eq!(reads(&[5000; 8]), rule("count == 5000", "seen 8 times"));
    let timeouts = calls(&[("poll", [1, 1, u64::MAX, 0, 0, 0], 1), ("poll", [1, 1, 50_000, 0, 0, 0], 1)]);
    assert_eq!(
        rules(&timeouts)[0],
        "poll: nfds == 1 && (timeout_msecs == -1 || timeout_msecs <= 0x10000) -- seen 2 times; timeout_msecs had 1 value, \
         50000, beside -1"
    );
}

#[test]
fn descriptors_are_slots_by_what_lay_behind_them() {
    let mut seen = calls(&[
        ("read", [3, 1, 8, 0, 0, 0], 1),
        ("read", [5, 1, 8, 0, 0, 0], 1),
        ("read", [6, 1, 8, 0, 0, 0], 1),
        ("write", [1, 1, 8, 0, 0, 0], 1),
        ("write", [3, 1, 8, 0, 0, 0], 1),
        ("openat", [u64::from(u32::MAX) - 99, 1, 0x80000, 0xdead, 0, 0], 1),
    ]);
    for (number, kind) in [(3, "eventfd"), (5, "eventfd"), (6, "file"), (6, "socket")] {
        seen.describe(number, Object { kind: kind.into(), name: Some(format!("name of {kind}")) });
    }
    assert_eq!(
        rules(&seen),
        [
            "openat: dfd == AT_FDCWD && flags == O_RDONLY|O_CLOEXEC -- seen once",
            "read: (fd in @eventfd || fd == @file_or_socket) && count == 8 -- seen 3 times",
            "write: (fd == @stdout || fd in @eventfd) && count == 8 -- seen 2 times",
        ]
    );
    let slots = learned(&seen).slots;
    let numbers: Vec<_> = slots.iter().map(|slot| (slot.name.as_str(), slot.first, slot.last)).collect();
    assert_eq!(numbers, [("stdout", 1, 1), ("eventfd", 3, 5), ("file_or_socket", 6, 6)]);
    assert_eq!(slots[2].reason, "file, socket: name of file, name of socket");
}

#[test]
fn a_present_policy_names_the_descriptors() {
    let present = check_sources(
        "p",
        &[(
            "p",
            "role r\ntier filter\notherwise trap\nfd bells = 4..9 -- bells\nread: fd in @bells -- hear\n",
        )],
        ARCH,
    )
    .unwrap()
    .policy;
    let seen = calls(&[("read", [5, 1, 8, 0, 0, 0], 1), ("read", [7, 1, 8, 0, 0, 0], 1)]);
    let request = Request { role: "r", calls: &seen, otherwise: Action::Trap, present: Some(&present) };
    let policy = learn(ARCH, &request);
    let slot = &policy.slots[0];
    assert_eq!((slot.name.as_str(), slot.first, slot.last, slot.reason.as_str()), ("bells", 5, 7, "bells"));
    assert_eq!(compare(&policy, &present), (Extras::default(), true));
}

#[test]
fn no_generalization_goes_beyond_a_present_policy() {
    let present = |text: &str| {
        let text = format!("role r\ntier filter\notherwise trap\n{text}");
        check_sources("p", &[("p", &text)], ARCH).unwrap().policy
    };
    let seen = calls(&[("read", [0, 1, 9000, 0, 0, 0], 1), ("futex", [1, 129, 1, 0, 0, 0], 1)]);
    let wider = |present: &Policy| {
        let request = Request { role: "r", calls: &seen, otherwise: Action::Trap, present: Some(present) };
        let (wider, _) = compare(&learn(ARCH, &request), present);
        wider
            .calls
            .into_iter()
            .map(|extra| extra.call + ": " + &extra.expression.unwrap())
            .collect::<Vec<_>>()
    };
    let enough = present("read: count <= 10000 -- a\nfutex: op == FUTEX_WAKE_PRIVATE -- b\n");
    assert_eq!(wider(&enough), [""; 0], "10000 is less than the next power of two, and nobody may wait");
    let exact = present("read: count == 9000 -- a\nfutex: op == FUTEX_WAKE_PRIVATE -- b\n");
    assert_eq!(wider(&exact), [""; 0]);
    let too_little = present("read: count <= 8192 -- a\nfutex: op == FUTEX_WAKE_PRIVATE -- b\n");
    assert_eq!(wider(&too_little), ["read: fd == @stdin && count == 9000"]);
    let strict = check_sources("p", &[("p", "role r\ntier strict\notherwise kill\nread: -- a\n")], ARCH)
        .unwrap()
        .policy;
    assert_eq!(wider(&strict), ["futex: op == FUTEX_WAKE_PRIVATE"], "strict mode allows every read");
}

#[test]
fn what_depends_on_the_order_of_threads_comes_along() {
    let waits = calls(&[("futex", [1, 137, 2, 0, 0, 0xffff_ffff], 1)]);
    assert_eq!(rules(&waits)[1], "futex: op == FUTEX_WAKE_PRIVATE -- not seen: it waits by a futex");
    let wakes = calls(&[("futex", [1, 129, 1, 0, 0, 0], 1)]);
    assert_eq!(
        rules(&wakes)[1..],
        [
            "futex: op == FUTEX_WAIT_PRIVATE && utime == 0 -- not seen: it wakes by a futex",
            "futex: op == FUTEX_WAIT_BITSET_PRIVATE && utime == 0 -- not seen: it wakes by a futex",
        ]
    );
    let sleeps = calls(&[("clock_nanosleep", [1, 0, 1, 0, 0, 0], 1)]);
    assert_eq!(
        rules(&sleeps)[1],
        "restart_syscall: -- not seen: the kernel goes on with clock_nanosleep by it after a stop"
    );
}

#[test]
fn many_flags_become_a_mask() {
    let seen: Vec<_> = (0..9).map(|bit| ("openat", [0xffff_ff9c, 1, 1 << bit << 11, 0, 0, 0], 1)).collect();
    let rules = rules(&calls(&seen));
    assert_eq!(rules.len(), 1, "{rules:?}");
    assert!(rules[0].contains("flags in ~("), "{rules:?}");
    assert!(rules[0].ends_with("seen 9 times; flags had 9 combinations"), "{rules:?}");
}

#[test]
fn a_policy_is_covered_by_what_decided_and_not_by_what_did_not() {
    let present = check_sources(
        "p",
        &[(
            "p",
            "role r\ntier filter\notherwise trap\nread: fd == 4 -- a\nread: fd == 5 -- b (untested: no machine has one)\n\
             write: fd == 4 -- c\ngetpid: errno EPERM -- d\n",
        )],
        ARCH,
    )
    .unwrap()
    .policy;
    let mut thread = Thread { name: "r".into(), ..Thread::default() };
    thread.calls =
        calls(&[("read", [4, 1, 1, 0, 0, 0], 3), ("read", [6, 1, 1, 0, 0, 0], 2), ("getpid", [0; 6], 1)]);
    thread.refused.insert("openat".into(), 7);
    let coverage = Coverage::of(&present, &thread);
    assert_eq!(coverage.rules.iter().map(|rule| rule.count).collect::<Vec<_>>(), [3, 0, 0, 1]);
    assert_eq!(coverage.rules[1].untested.as_deref(), Some("no machine has one"));
    assert_eq!(coverage.unused().map(|rule| rule.rule.rule.as_str()).collect::<Vec<_>>(), ["write: fd == 4"]);
    let beyond: Vec<_> =
        coverage.beyond.iter().map(|call| (call.call.as_str(), call.count, call.action.as_str())).collect();
    assert_eq!(beyond, [("read(6, 0x1, 1)", 2, "trap"), ("getpid()", 1, "errno EPERM")]);
    assert_eq!(coverage.refused, [Unseen { call: "openat".into(), count: 7 }]);
}

#[test]
fn recordings_are_merged_and_come_back_from_their_file() {
    let run = |date: &str, count: u64| {
        let mut recording = Recording::new(ARCH, "true", "6.18", date, "ptrace");
        let seen = calls(&[("read", [0, 1, count, 0, 0, 0], 2)]);
        recording.add(Thread { name: "t".into(), threads: 1, calls: seen, ..Thread::default() });
        recording
    };
    let mut merged = run("2026-01-02", 1);
    merged.merge(run("2026-01-01", 2));
    assert_eq!((merged.runs, merged.date.as_str(), merged.threads.len()), (2, "2026-01-02", 1));
    assert_eq!((merged.threads[0].threads, merged.threads[0].calls.count()), (2, 4));
    let text = serde_json::to_string(&merged).unwrap();
    assert_eq!(serde_json::from_str::<Recording>(&text).unwrap(), merged);
    assert_eq!(merged.check(ARCH), Ok(()));
    assert!(matches!(merged.check(Arch::Aarch64), Err(Mismatch::Arch { .. })));
    merged.threads[0].calls.called.insert("nonsense".into(), Called::default());
    assert!(matches!(merged.check(ARCH), Err(Mismatch::UnknownCall { .. })));
}

#[test]
fn the_text_says_where_it_comes_from_and_means_what_was_learned() {
    let seen = calls(&[("read", [0, 1, 8, 0, 0, 0], 1), ("exit_group", [3, 0, 0, 0, 0, 0], 1)]);
    let policy = learned(&seen);
    let recording = Recording::new(ARCH, "cat", "6.18", "2026-01-01", "tracepoints");
    let text = heading(&recording) + &text(&policy, Some("seen.profile"));
    assert!(
        text.starts_with("# Learned from 1 run of cat, seen by tracepoints on Linux 6.18, 2026-01-01.\n"),
        "{text}"
    );
    let profile = profile(&seen, &recording).to_string();
    let checked = check_sources("p", &[("p", &text), ("seen.profile", &profile)], ARCH)
        .unwrap_or_else(|e| panic!("{e}"));
    assert!(crate::diff::diff(&checked.policy, &policy).allows_the_same());
    assert_eq!(checked.profile.unwrap().counts["read"], 1);
    assert_eq!(crate::language::format("p", &text).unwrap(), text);
}

proptest! {
    #[test]
    fn whatever_was_seen_is_allowed_and_the_text_says_the_same(
        seen in prop::collection::vec((0_usize..380, prop::array::uniform6(prop_oneof![
            0_u64..12, 0_u64..70_000, any::<u64>(), Just(u64::MAX), Just(0xffff_ff9c), Just(0xffff_ffff_ffff_ff9c),
        ])), 1..60)
    ) {
        let table = crate::syscalls::all(ARCH);
        let mut recorded = Calls::default();
        let mut made = Vec::new();
        for (index, arguments) in &seen {
            let call = &table[index % table.len()];
            recorded.add(call, arguments);
            made.push(Call { number: call.number, arch: ARCH.audit_value(), instruction_pointer: 0, arguments: *arguments });
        }
        let policy = learned(&recorded);
        for call in &made {
            prop_assert_eq!(policy.decide(call), Action::Allow, "{:?}", call);
        }
        let text = write(&policy);
        let checked = check_sources("p", &[("p", &text)], ARCH).map_err(|error| TestCaseError::fail(error.to_string()))?;
        for call in &made {
            prop_assert_eq!(checked.policy.decide(call), Action::Allow, "{:?}", call);
        }
    }

    #[test]
    fn many_reads_are_kept_by_powers_of_two_and_still_allowed(
        counts in prop::collection::vec(any::<u64>(), 2500..2600)
    ) {
        let read = by_name(ARCH, "pread64").unwrap();
        let mut recorded = Calls::default();
        for count in &counts {
            recorded.add(read, &[0, 1, *count, 0, 0, 0]);
        }
        let called = &recorded.called["pread64"];
        prop_assert!(called.is_rounded() && called.seen().count() <= 66);
        // What stands for many is one of them.
        prop_assert!(called.seen().all(|(arguments, _)| counts.contains(&arguments[2])));
        let greatest = counts.iter().max().unwrap();
        prop_assert!(called.seen().any(|(arguments, _)| arguments[2] == *greatest));
        let policy = learned(&recorded);
        let mut twice = recorded.clone();
        twice.merge(recorded.clone());
        prop_assert_eq!(twice.count(), 2 * recorded.count());
        prop_assert!(twice.called["pread64"].seen().eq(recorded.called["pread64"].seen().map(|(call, count)| (call, 2 * count))));
        for count in &counts {
            let call = Call {
                number: read.number, arch: ARCH.audit_value(), instruction_pointer: 0, arguments: [0, 1, *count, 0, 0, 0],
            };
            prop_assert_eq!(policy.decide(&call), Action::Allow);
        }
        let text = serde_json::to_string(&recorded).unwrap();
        prop_assert_eq!(serde_json::from_str::<Calls>(&text).unwrap(), recorded);
    }
}

#[test]
fn a_few_values_stay_what_they_are_among_many_of_another_register() {
    let connect = by_name(ARCH, "pread64").unwrap();
    let mut recorded = Calls::default();
    for at in 0..3000 {
        recorded.add(connect, &[0, 1, 110, at, 0, 0]);
    }
    let called = &recorded.called["pread64"];
    assert!(called.is_rounded());
    assert!(called.seen().all(|(arguments, _)| arguments[2] == 110), "{called:?}");
    assert!(called.seen().any(|(arguments, _)| arguments[3] == 0), "nothing is not rounded up");
}
