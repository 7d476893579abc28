//! Filters on tracing events against the meaning of their policies, by their own evaluation and by the running kernel.

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use seccomp_policies::action::Action;
use seccomp_policies::call::Call;
use seccomp_policies::compile::event_filter::{EventFilter, EventFilters, MAX_LENGTH, Note};
use seccomp_policies::compile::{event_filter, probes};
use seccomp_policies::import::{Options, read, read_bytes};
use seccomp_policies::language::{Condition, Policy, Relation, Rule, Width, check_sources, load};
use seccomp_policies::syscalls::{Arch, Syscall, X32_BIT, all, by_name};
use support::arbitrary::{FIRST_NUMBER, action, calls, condition, constant, policies, policy, rule, test};
use support::tracing::{Caller, Counter, identifiers, not_judged};

fn call_of(name: &str) -> &'static Syscall {
    by_name(Arch::X86_64, name).expect("a call of x86_64")
}

/// The filter string of the policy's first event.
fn first(policy: &Policy) -> EventFilter {
    event_filter(policy).watched.swap_remove(0)
}

/// Its filter string; empty where every occurrence of the event passes.
fn text_of(filter: &EventFilter) -> String {
    filter.filter.as_ref().map(ToString::to_string).unwrap_or_default()
}

fn violations(filters: &EventFilters, call: &Call) -> usize {
    filters.watched.iter().filter(|filter| filter.is_violation(call)).count()
}

/// Whether every upper half holds zeros, or the sign of its lower half.
fn has_plain_upper_halves(call: &Call) -> bool {
    call.arguments.iter().all(|&register| {
        let upper = register >> 32;
        upper == 0 || upper == 0xffff_ffff && register & 0x8000_0000 != 0
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_call_is_a_violation_of_one_filter_where_its_policy_does_not_allow_it(
        policy in policies(),
        calls in calls(),
    ) {
        let filters = event_filter(&policy);
        for call in calls.iter().chain(&probes(&policy)).filter(|call| call.arch == policy.arch.audit_value()) {
            let refused = policy.decide(call) != Action::Allow;
            let counted = violations(&filters, call);
            prop_assert!(counted >= usize::from(refused), "overlooked: {call:x?}");
            prop_assert!(counted <= 1, "{counted} filters count {call:x?}");
            if has_plain_upper_halves(call) {
                prop_assert_eq!(counted, usize::from(refused), "{:x?}", call);
            }
        }
    }
}

#[test]
fn filters_read_like_the_rules_they_are_made_of() {
    let text = "\
role r
tier filter
otherwise trap
ioctl: fd == 3 && cmd == KVM_RUN -- enter the guest
write: fd in {4, 5, 6, 9} && count == 8 -- ring
mmap: errno ENOMEM if (prot & PROT_EXEC) != 0 -- no code
mmap: (flags & MAP_ANONYMOUS) != 0 -- memory
openat: dfd == AT_FDCWD && (flags & O_ACCMODE) == O_WRONLY -- the log
access: errno ENOENT -- glibc probes
uname: name == 0 -- odd
";
    let checked = check_sources("r.policy", &[("r.policy", text)], Arch::X86_64).expect("it holds");
    let watched = event_filter(&checked.policy).watched;
    let lines: Vec<_> = watched
        .iter()
        .map(|filter| format!("{} | {}", filter.event, text_of(filter)).trim_end().to_owned())
        .collect();
    insta::assert_snapshot!(lines.join("\n"), @r"
    syscalls:sys_enter_ioctl | !(fd == 3 && cmd == 0xae80)
    syscalls:sys_enter_write | !((fd >= 4 && fd <= 6 || fd == 9) && count == 8)
    syscalls:sys_enter_mmap | !(!(prot & 4) && flags & 0x20)
    syscalls:sys_enter_openat | !((dfd == 0xffffff9c || dfd == 0xffffffffffffff9c) && flags & 1 && !(flags & 2))
    syscalls:sys_enter_access |
    syscalls:sys_enter_newuname | name != 0
    raw_syscalls:sys_enter | id != 1 && id != 9 && id != 16 && id != 21 && id != 63 && id != 257
    ");
}

#[test]
fn a_call_that_is_allowed_whatever_its_arguments_has_no_event() {
    let below = |relation| test(0, Width::Bits32, relation);
    let everything = Condition::Any(vec![below(Relation::Less(8)), below(Relation::GreaterOrEqual(8))]);
    for condition in [Condition::Always, everything] {
        let filters = event_filter(&allowing(call_of("close"), condition));
        assert_eq!(filters.unwatched, [call_of("close")]);
        assert_eq!(filters.watched.len(), 1, "what the policy does not name");
    }
}

/// A policy of one rule, which allows a call on a condition.
fn allowing(call: &'static Syscall, condition: Condition) -> Policy {
    policy(Action::Trap, vec![rule(call, condition, Action::Allow)])
}

#[test]
fn an_address_of_text_is_left_to_user_space_and_named() {
    let count = test(2, Width::Bits64, Relation::Equal(8));
    let buffer = test(1, Width::Bits64, Relation::NotEqual(0));
    let filter = first(&allowing(call_of("read"), Condition::All(vec![count.clone(), buffer.clone()])));
    assert_eq!(filter.filter, None, "no read can be ruled out");
    assert_eq!(filter.remainder.as_ref().unwrap().to_string(), "!(count == 8 && buf != 0)");
    assert_eq!(filter.notes, [Note::Text { argument: "buf" }]);
    assert_eq!(filter.notes[0].to_string(), "the kernel compares `buf` with text alone");

    let filter = first(&allowing(call_of("read"), Condition::Any(vec![count, buffer])));
    assert_eq!(text_of(&filter), "count != 8", "a read of 8 bytes is never a violation");
    assert_eq!(filter.remainder.unwrap().to_string(), "!(count == 8 || buf != 0)");
}

#[test]
fn a_call_without_an_event_is_watched_by_its_number() {
    let pinned = test(0, Width::Bits64, Relation::Equal(8));
    let filter = first(&allowing(call_of("uselib"), pinned));
    assert_eq!((filter.event.as_str(), text_of(&filter)), ("raw_syscalls:sys_enter", "id == 134".into()));
    assert_eq!(filter.remainder.unwrap().to_string(), "args[0] != 8");
    assert_eq!(filter.notes, [Note::NoEvent { call: "uselib" }]);
}

#[test]
fn a_register_beyond_a_calls_arguments_is_left_to_user_space_and_named() {
    let filter = first(&allowing(call_of("close"), test(3, Width::Bits64, Relation::Equal(8))));
    assert_eq!(filter.filter, None);
    assert_eq!(filter.remainder.unwrap().to_string(), "args[3] != 8");
    assert_eq!(filter.notes, [Note::NoField { call: "close", register: 3 }]);
}

#[test]
fn a_filter_too_long_for_the_kernel_keeps_what_fits_and_leaves_the_rest_to_user_space() {
    let request = |value| test(1, Width::Bits64, Relation::Equal(value));
    let many = Condition::Any((0..1000).map(|index| request(0x1000 + 2 * index)).collect());
    let policy = allowing(call_of("ioctl"), many);
    let filter = first(&policy);
    let length = text_of(&filter).len();
    assert!((MAX_LENGTH - 40..=MAX_LENGTH).contains(&length), "{length} bytes");
    assert_eq!(filter.notes, [Note::TooLong { length: 16_999 }]);
    for value in (0x1000..0x1000 + 2100).flat_map(|value| [value, value << 32]) {
        let arguments = [3, value, 0, 0, 0, 0];
        let call = Call { number: 16, arch: policy.arch.audit_value(), instruction_pointer: 0, arguments };
        assert_eq!(filter.is_violation(&call), policy.decide(&call) != Action::Allow, "{value:#x}");
    }
}

#[test]
fn an_upper_half_is_looked_at_where_a_violation_could_hide_behind_it() {
    let fd = |relation| first(&allowing(call_of("lseek"), test(0, Width::Bits32, relation)));
    assert_eq!(text_of(&fd(Relation::Equal(3))), "fd != 3");
    assert_eq!(
        text_of(&fd(Relation::NotEqual(3))),
        "fd == 3 || fd > 0xffffffff && fd < 0xffffffff80000000",
        "0x100000003 is 3 to the kernel"
    );
}

#[test]
fn a_policy_that_allows_what_it_does_not_name_watches_what_it_names() {
    let refused = rule(call_of("ptrace"), Condition::Always, Action::Errno(1));
    let filters = event_filter(&policy(Action::Allow, vec![refused]));
    let text = |filter: &EventFilter| filter.filter.as_ref().map(ToString::to_string);
    let events: Vec<_> = filters.watched.iter().map(|filter| (filter.event.as_str(), text(filter))).collect();
    // And calls of the x32 ABI, which end the process.
    let x32 = "id >= 1073741824 || id <= -2".to_owned();
    assert_eq!(events, [("syscalls:sys_enter_ptrace", None), ("raw_syscalls:sys_enter", Some(x32))]);
}

/// The identifiers of events, or `None` where the kernel's events cannot be had, which is then said.
fn ask_for_events(events: &[String], what: &str) -> Option<Vec<Option<u64>>> {
    match identifiers(events) {
        Ok(identifiers) => Some(identifiers),
        Err(why) => {
            not_judged(what, &why);
            None
        }
    }
}

/// Asks the kernel to take every filter.
fn assert_accepted(filters: &[EventFilter], what: &str) {
    let events: Vec<_> = filters.iter().map(|filter| filter.event.clone()).collect();
    let Some(identifiers) = ask_for_events(&events, what) else { return };
    for (filter, identifier) in filters.iter().zip(identifiers) {
        let (Some(identifier), Some(predicate)) = (identifier, &filter.filter) else { continue };
        let text = predicate.to_string();
        let outcome = Counter::new(identifier, 0).and_then(|counter| counter.set_filter(&text));
        outcome.unwrap_or_else(|error| panic!("{what}: {} {text}: {error}", filter.event));
    }
}

fn project_policies() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
    let files = fs::read_dir(folder).expect("the project's policies").map(|entry| entry.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "policy")).collect()
}

#[test]
fn the_kernel_takes_every_filter_of_every_policy_of_the_project() {
    for path in project_policies() {
        let policy = load(&path, Arch::X86_64).expect("it holds").policy;
        let filters = event_filter(&policy).watched;
        assert!(filters.iter().all(|filter| filter.remainder.is_none()), "{}", path.display());
        assert_accepted(&filters, &path.display().to_string());
    }
}

/// Firecracker's own format, for a tree without the corpora.
const FOREIGN: &[u8] = br#"{"thread": {"default_action": "trap", "filter_action": "allow", "filter": [
    {"syscall": "close"},
    {"syscall": "ioctl", "args": [{"index": 1, "type": "dword", "op": "eq", "val": 44672}]},
    {"syscall": "mmap", "args": [{"index": 3, "type": "dword", "op": {"masked_eq": 32}, "val": 32}]}]}}"#;

/// Policies of other programs, with the name of the file that each is from.
fn foreign_policies() -> Vec<(String, Policy)> {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpora");
    let files = ["firecracker-x86_64.json", "oci/docker-default.json", "minijail/block_device.policy"];
    let options = Options { lossy: true, roots: vec![corpora.join("minijail")], ..Options::default() };
    let mut imported =
        vec![("firecracker.json".into(), read_bytes("firecracker.json", FOREIGN, None, &options))];
    for path in files.map(|file| corpora.join(file)) {
        let name = path.display().to_string();
        if path.exists() {
            imported.push((name, read(&path, None, &options)));
        } else {
            not_judged("filters of policies of other programs", &format!("{name} is not there"));
        }
    }
    let named = imported.into_iter().flat_map(|(name, imported)| {
        let policies = imported.unwrap_or_else(|errors| panic!("{errors}")).policies;
        policies.into_iter().map(move |policy| (format!("{name}, role {}", policy.role), policy))
    });
    named.collect()
}

#[test]
fn the_kernel_takes_every_filter_of_other_programs_policies() {
    for (name, policy) in foreign_policies() {
        let filters = event_filter(&policy);
        for call in probes(&policy).iter().filter(|call| call.arch == policy.arch.audit_value()) {
            let refused = policy.decide(call) != Action::Allow;
            let counted = violations(&filters, call);
            assert!(counted >= usize::from(refused) && counted <= 1, "{name}: {counted} for {call:x?}");
            if has_plain_upper_halves(call) {
                assert_eq!(counted, usize::from(refused), "{name}: {call:x?}");
            }
        }
        assert_accepted(&filters.watched, &name);
    }
}

#[test]
fn the_kernel_compares_exactly_the_arguments_that_a_filter_asks_it_to() {
    let calls = all(Arch::X86_64);
    let events: Vec<_> = calls
        .iter()
        .map(|call| first(&policy(Action::Trap, vec![rule(call, Condition::Always, Action::Errno(1))])).event)
        .collect();
    let Some(identifiers) = ask_for_events(&events, "which arguments can be compared") else { return };
    let mut compared = 0;
    for (call, identifier) in calls.iter().zip(identifiers) {
        let Some(identifier) = identifier else { continue };
        let (said, left): (Vec<_>, Vec<_>) = (0..).zip(call.arguments).partition(|&(register, _)| {
            first(&allowing(call, test(register, Width::Bits64, Relation::Equal(1)))).remainder.is_none()
        });
        // One counter for a call, since each takes the kernel a while: a filter that it refuses leaves it as it was.
        let counter = Counter::new(identifier, 0).expect("the kernel counts for root");
        for (_, argument) in &left {
            assert!(
                counter.set_filter(&format!("{} != 1", argument.name)).is_err(),
                "{argument:?} of {}",
                call.name
            );
        }
        let tests: Vec<_> = said.iter().map(|(_, argument)| format!("{} != 1", argument.name)).collect();
        if !tests.is_empty() {
            let outcome = counter.set_filter(&tests.join(" && "));
            outcome.unwrap_or_else(|error| panic!("{tests:?} of {}: {error}", call.name));
        }
        compared += call.arguments.len();
    }
    assert!(compared > 800, "{compared} arguments");
}

#[test]
fn every_call_that_this_kernel_has_an_event_for_is_watched_by_it() {
    // Calls that a kernel can be built without. Without them it has no event of theirs, and nobody who could make them.
    let optional = [
        "init_module",
        "delete_module",
        "finit_module",
        "kexec_load",
        "kexec_file_load",
        "map_shadow_stack",
        "modify_ldt",
        "iopl",
        "ioperm",
        "userfaultfd",
        "bpf",
        "uretprobe",
        "sysfs",
        "ustat",
        "memfd_secret",
    ];
    let calls: Vec<_> = all(Arch::X86_64).iter().filter(|call| !optional.contains(&call.name)).collect();
    let events: Vec<_> = calls
        .iter()
        .map(|call| first(&policy(Action::Trap, vec![rule(call, Condition::Always, Action::Errno(1))])).event)
        .collect();
    let Some(identifiers) = ask_for_events(&events, "the names of events") else { return };
    let newest = calls
        .iter()
        .zip(&identifiers)
        .filter(|(_, found)| found.is_some())
        .map(|(call, _)| call.number)
        .max();
    let missing: Vec<_> = calls
        .iter()
        .zip(&identifiers)
        .filter(|(call, found)| found.is_none() && Some(call.number) < newest)
        .map(|(call, _)| call.name)
        .collect();
    assert_eq!(missing, [""; 0], "an event of another name, or none");
}

/// Numbers of calls that may be made in a process without descriptors. One of the x32 ABI is either not there, or
/// fails as its like does.
fn harmless_number() -> impl Strategy<Value = u32> {
    let on_descriptor = || prop::sample::select(&ON_DESCRIPTORS[..]).prop_map(|name| call_of(name).number);
    prop_oneof![
        6 => on_descriptor(),
        1 => on_descriptor().prop_map(|number| number | X32_BIT),
        1 => FIRST_NUMBER..FIRST_NUMBER + 8,
    ]
}

/// Calls that fail whatever else they are asked, in a process that has no descriptor.
const ON_DESCRIPTORS: [&str; 12] = [
    "read",
    "write",
    "ioctl",
    "lseek",
    "fcntl",
    "pread64",
    "ftruncate",
    "fallocate",
    "sync_file_range",
    "writev",
    "epoll_ctl",
    "getsockopt",
];

/// Policies on calls that do no harm, several rules to a call.
fn harmless_policies() -> impl Strategy<Value = Policy> {
    let rule_of_named = (prop::sample::select(&ON_DESCRIPTORS[..4]).prop_map(call_of), condition(), action());
    let rules = prop::collection::vec(rule_of_named, 1..10);
    let rules = rules.prop_map(|rules| -> Vec<Rule> {
        rules.into_iter().map(|(call, condition, action)| rule(call, condition, action)).collect()
    });
    (rules, prop::sample::select(vec![Action::Trap, Action::Allow]))
        .prop_map(|(rules, otherwise)| policy(otherwise, rules))
}

fn harmless_calls() -> impl Strategy<Value = Vec<Call>> {
    let call = (harmless_number(), prop::array::uniform6(constant())).prop_map(|(number, arguments)| Call {
        number,
        arch: Arch::X86_64.audit_value(),
        instruction_pointer: 0,
        arguments,
    });
    prop::collection::vec(call, 60)
}

/// How often each of the filters counted while a child made the calls; `None` where the kernel does not let us ask.
fn counts(filters: &EventFilters, calls: &[Call]) -> Option<Vec<u64>> {
    let events: Vec<_> = filters.watched.iter().map(|filter| filter.event.clone()).collect();
    let identifiers = ask_for_events(&events, "counts")?;
    let caller = Caller::new(calls);
    let mut counters: Vec<_> = filters
        .watched
        .iter()
        .zip(identifiers)
        .map(|(filter, identifier)| {
            let identifier = identifier.unwrap_or_else(|| panic!("no event {}", filter.event));
            let counter = Counter::new(identifier, caller.pid()).expect("the kernel counts for root");
            if let Some(predicate) = &filter.filter {
                let text = predicate.to_string();
                counter.set_filter(&text).unwrap_or_else(|error| panic!("{} {text}: {error}", filter.event));
            }
            counter
        })
        .collect();
    caller.make_calls();
    Some(counters.iter_mut().map(Counter::count).collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 25, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_kernel_counts_what_a_filter_says_it_sees(policy in harmless_policies(), calls in harmless_calls()) {
        let filters = event_filter(&policy);
        let own_probes = probes(&policy).into_iter().filter(|call| {
            call.arch == policy.arch.audit_value() && harmless_numbers().contains(&call.number)
        });
        let calls: Vec<Call> = calls.into_iter().chain(own_probes).collect();
        if let Some(counts) = counts(&filters, &calls) {
            for (filter, counted) in filters.watched.iter().zip(counts) {
                let seen = calls.iter().filter(|call| filter.sees(call)).count();
                prop_assert_eq!(counted, seen as u64, "{} {:?}", filter.event, filter.filter);
            }
        }
    }

    #[test]
    fn the_kernel_counts_what_the_policy_refuses(policy in harmless_policies(), calls in harmless_calls()) {
        let filters = event_filter(&policy);
        prop_assume!(filters.watched.iter().all(|filter| filter.remainder.is_none()));
        let calls: Vec<Call> = calls.into_iter().filter(has_plain_upper_halves).collect();
        if let Some(counts) = counts(&filters, &calls) {
            let refused = calls.iter().filter(|call| policy.decide(call) != Action::Allow).count();
            prop_assert_eq!(counts.iter().sum::<u64>(), refused as u64);
        }
    }
}

fn harmless_numbers() -> Vec<u32> {
    ON_DESCRIPTORS.map(|name| call_of(name).number).to_vec()
}
