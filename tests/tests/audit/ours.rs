//! Runs of ringfence, held against the build.

use ringfence::role::policies::{ALL, main};
use ringfence_tests::api;
use ringfence_tests::ptrace::Stopped;
use ringfence_tests::run::{self, Run};
use ringfence_tests::{procfs, wait};
use serde_json::json;

use super::{can_see_filters, report, said, thread};

/// A guest that never ends, with devices, and a disk on a thread of its own.
fn running(options: &[&str]) -> (tempfile::TempDir, Run) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("its name is text").to_owned();
    std::fs::write(path("disk"), [0; 512]).expect("the folder takes files");
    let mut run = run::guest(
        ["spin", "--cmdline", "beat", "--vcpus", "2", "--entropy", "--io-threads", "disks"]
            .into_iter()
            .chain(["--disk", &path("disk"), "--api-sock", &path("api")])
            .chain(options.iter().copied()),
    );
    run.wait_for("beat 2");
    (folder, run)
}

#[test]
fn each_thread_of_a_run_has_the_filter_that_the_build_made_for_its_role() {
    if !can_see_filters() {
        return;
    }
    for (tier, choice) in [("filter", "trap"), ("bitmask", "errno")] {
        let (_folder, run) = running(&["--tier", tier, "--on-violation", choice]);
        let report = report(0, &[&run.pid().to_string()]);
        let expected = [
            ("rf-main", "main_api"),
            ("rf-io", "io"),
            ("rf-disk0", "disk"),
            ("rf-api", "api"),
            ("rf-vcpu0", "vcpu"),
            ("rf-vcpu1", "vcpu"),
        ];
        for (name, role) in expected {
            let thread = thread(&report, name);
            assert_eq!(thread["finding"], "build", "{thread:#}");
            assert_eq!([&thread["role"], &thread["tier"]], [&json!(role), &json!(tier)]);
            assert_eq!(thread["on_violation"], choice);
            let policy = ALL.iter().find(|policy| policy.role == role).expect("it is a role");
            let allowed = &thread["calls_allowed"];
            let sum = allowed["whatever_the_arguments"].as_u64().zip(allowed["by_arguments"].as_u64());
            assert_eq!(sum.map(|(whole, part)| whole + part), Some(policy.calls.len() as u64), "{thread:#}");
            assert_eq!(thread["own_descriptors"], true);
        }
        assert_eq!(thread(&report, "rf-console")["finding"], "strict");
        let worker = thread(&report, "kvm-nx-lpage-re");
        assert_eq!(
            [&worker["kernel_worker"], &worker["finding"]],
            [&json!(true), &json!("nothing expected")]
        );
    }
}

#[test]
fn the_table_fits_100_columns_and_ends_with_the_verdict() {
    if !can_see_filters() {
        return;
    }
    let (_folder, run) = running(&[]);
    let (code, said) = said(&[&run.pid().to_string(), "--timing"]);
    assert_eq!(code, 0, "{said}");
    let wide: Vec<_> = said.lines().filter(|line| line.chars().count() > 100).collect();
    assert!(wide.is_empty(), "{wide:#?}");
    assert!(said.contains(" threads stopped, each once: median "), "{said}");
    let last = said.lines().last().expect("a verdict");
    assert_eq!(
        last,
        "attested: every thread is held to what this build proved, and holds what its policy names"
    );
}

#[test]
fn threads_that_nothing_holds_deviate_each_on_a_line() {
    if !can_see_filters() {
        return;
    }
    let (_folder, run) = running(&["--tier", "none"]);
    let (code, said) = said(&[&run.pid().to_string()]);
    assert_eq!(code, 1, "{said}");
    for name in ["rf-main", "rf-io", "rf-console", "rf-disk0", "rf-api", "rf-vcpu0", "rf-vcpu1"] {
        let tid = procfs::thread(run.pid(), name).tid;
        let line = format!("{name} ({tid}): nothing holds it: it may make every call");
        assert!(said.lines().any(|said| said == line), "{name}: {said}");
    }
    assert!(said.ends_with("not attested: 7 deviations\n"), "{said}");
}

#[test]
fn main_before_the_start_of_a_machine_is_not_fenced_yet_and_no_deviation() {
    if !can_see_filters() {
        return;
    }
    let served = api::serve::<&str>([]);
    let report = report(0, &[&served.run.pid().to_string()]);
    assert_eq!(thread(&report, "rf-main")["finding"], "not yet fenced");
    assert_eq!(thread(&report, "rf-api")["finding"], "build");
}

#[test]
fn a_thread_with_the_filter_of_another_build_is_proved_equal_or_its_difference_said() {
    if !can_see_filters() {
        return;
    }
    let programs =
        main::POLICY.variants(seccomp_policies::language::Tier::Filter).expect("main has a filter");
    let trap = programs.get(seccomp_policies::embed::OnViolation::Trap);
    // One instruction that is never reached is another program of the same meaning.
    let mut longer = trap.to_vec();
    longer.push(trap.last().expect("it has instructions").clone());
    for (program, code, finding) in [(longer, 0, "equal"), (allow_everything(), 1, "deviates")] {
        let renamed = super::sleeper::sleeper("rf-main", &[program]);
        let report = report(code, &[&renamed.pid().to_string()]);
        let seen = thread(&report, "rf-main");
        assert_eq!(seen["finding"], finding, "{seen:#}");
        let deviations = seen["deviations"].to_string();
        assert_eq!(deviations.contains("its filter allows what main may not: "), code == 1, "{deviations}");
    }
}

#[test]
fn a_descriptor_that_is_not_what_its_number_says_deviates() {
    if !can_see_filters() {
        return;
    }
    let programs =
        main::POLICY.variants(seccomp_policies::language::Tier::Filter).expect("main has a filter");
    let trap = programs.get(seccomp_policies::embed::OnViolation::Trap).to_vec();
    let renamed = super::sleeper::sleeper_with("rf-main", &[trap], true);
    let report = report(1, &[&renamed.pid().to_string()]);
    let seen = thread(&report, "rf-main");
    assert_eq!(seen["finding"], "build", "{seen:#}");
    let deviations = seen["deviations"].to_string();
    assert!(
        deviations.contains(" at 3, the slot `bell`: eventfd that every other thread can write"),
        "{deviations}"
    );
}

/// `SECCOMP_RET_ALLOW` of whatever comes.
fn allow_everything() -> Vec<seccomp_policies::bpf::Instruction> {
    vec![seccomp_policies::bpf::Instruction { code: 6, jt: 0, jf: 0, k: 0x7fff_0000 }]
}

#[test]
fn a_thread_that_is_traced_already_is_said_to_be_and_the_others_are_seen() {
    if !can_see_filters() {
        return;
    }
    let (_folder, run) = running(&[]);
    let held = Stopped::attach(&procfs::thread(run.pid(), "rf-io")).expect("tests trace their children");
    let report = report(1, &[&run.pid().to_string()]);
    let io = thread(&report, "rf-io");
    assert!(io["unseen"].as_str().is_some_and(|why| why.contains(" traces it already")), "{io:#}");
    assert_eq!(thread(&report, "rf-vcpu0")["finding"], "build");
    drop(held);
    wait::until("all of it is seen again", || {
        (super::live(&[&run.pid().to_string()]).status.code() == Some(0)).then_some(())
    });
}
