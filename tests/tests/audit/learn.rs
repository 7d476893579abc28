//! `ringfence audit learn`: what threads call becomes the tightest policy that would have done, and what was learned holds.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use ringfence_tests::schema::{assert_documented, with_names};
use ringfence_tests::{binary, procfs, run, wait};
use serde_json::Value;
use tempfile::TempDir;

use super::sleeper::{compile, compile_for_32_bits};
use super::{has_tracepoints, text};

/// Three threads: the first reads a file, another hears what a third says by a pipe. With an argument the last makes a call
/// more.
const THREADS: &str = r#"
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static int ends[2];
static int more;

static void *listen(void *nothing) {
    pthread_setname_np(pthread_self(), "listener");
    char words[64];
    while (read(ends[0], words, sizeof words) > 0)
        ;
    return nothing;
}

static void *speak(void *nothing) {
    pthread_setname_np(pthread_self(), "speaker-1");
    for (int i = 0; i < 40; i++)
        syscall(SYS_write, ends[1], "eightby", 8);
    if (more)
        syscall(SYS_sync);
    close(ends[1]);
    return nothing;
}

int main(int count, char **arguments) {
    pthread_t threads[2];
    char page[512];
    more = count > 1;
    if (pipe2(ends, O_CLOEXEC))
        return 1;
    /* Later the end that is closed may be free, or not. */
    int file = open("/etc/passwd", O_RDONLY);
    pthread_create(&threads[0], 0, listen, 0);
    pthread_create(&threads[1], 0, speak, 0);
    while (read(file, page, sizeof page) > 0)
        ;
    pthread_join(threads[0], 0);
    pthread_join(threads[1], 0);
    return 0;
}
"#;

struct Threads {
    folder: TempDir,
    program: PathBuf,
}

fn threads() -> Threads {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let program = folder.path().join("threads");
    compile(&program, THREADS);
    Threads { folder, program }
}

impl Threads {
    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().expect("UTF-8").to_owned()
    }

    fn program(&self) -> &str {
        self.program.to_str().expect("UTF-8")
    }
}

fn learn_command(arguments: &[&str]) -> Command {
    let mut command = Command::new(binary::ringfence());
    command.args(["audit", "learn"]).args(arguments).stdin(Stdio::null());
    command
}

fn learn(arguments: &[&str]) -> Output {
    learn_command(arguments).output().expect("the binary can be started")
}

fn said(code: i32, arguments: &[&str]) -> String {
    let output = learn(arguments);
    let said = text(&output.stdout) + &text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    said
}

fn report(code: i32, arguments: &[&str]) -> Value {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("report.json");
    let output = learn(&[&["--json", "--output", file.to_str().expect("UTF-8")], arguments].concat());
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{}{said}", text(&output.stdout));
    let words = fs::read_to_string(file).expect("it is written");
    serde_json::from_str(&words).unwrap_or_else(|error| panic!("{error}: {words}{said}"))
}

fn thread<'a>(report: &'a Value, name: &str) -> &'a Value {
    let threads = report["threads"].as_array().expect("a list of threads");
    threads.iter().find(|thread| thread["name"] == name).unwrap_or_else(|| panic!("no {name} in {report:#}"))
}

/// Runs a command under a policy; its exit code.
fn under(policy: &str, command: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(binary::ringfence())
        .args(["policy", "exec", policy, "--"])
        .args(command)
        .stdin(Stdio::null())
        .output()
        .expect("the binary can be started");
    (output.status.code(), text(&output.stderr))
}

/// The rules of a policy's text, without reasons.
fn rules(policy: &str) -> Vec<String> {
    let joined = policy.replace("\n    ", " ");
    let lines = joined
        .lines()
        .filter(|line| line.contains(':') && !line.starts_with(['#', 'f']) || line.starts_with("futex"));
    lines
        .map(|line| {
            line.split("--").next().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
        })
        .collect()
}

fn assert_threads_are_told_apart(report: &Value) {
    let speaker = thread(report, "speaker");
    assert_eq!(speaker["calls"]["write"], 40, "{speaker:#}");
    let policy = speaker["policy"].as_str().expect("a policy");
    assert!(policy.starts_with("role speaker\n"), "{policy}");
    let write = rules(policy).into_iter().find(|rule| rule.starts_with("write")).expect("it writes");
    assert!(write.starts_with("write: fd == @pipe") && write.ends_with("&& count == 8"), "{policy}");
    let listener = thread(report, "listener");
    let read = rules(listener["policy"].as_str().expect("a policy"));
    assert!(
        read.iter().any(|rule| rule.starts_with("read: fd == ") && rule.contains("count == 64")),
        "{read:?}"
    );
    assert!(listener["calls"]["write"].is_null(), "{listener:#}");
    let first = thread(report, "threads");
    assert_eq!(first["calls"]["clone3"], 2, "{first:#}");
    assert_eq!(first["calls"]["exit_group"], 1, "{first:#}");
    assert_eq!(report["lost"], 0);
}

#[test]
fn threads_of_each_name_have_a_policy_by_either_way_of_looking() {
    let threads = threads();
    let by_ptrace = report(0, &["--by", "ptrace", "--", threads.program()]);
    assert_eq!(by_ptrace["by"][0], "ptrace");
    assert_threads_are_told_apart(&by_ptrace);
    if !has_tracepoints() {
        return;
    }
    let by_tracepoints = report(0, &["--", threads.program()]);
    assert_eq!(by_tracepoints["by"][0], "tracepoints");
    assert_threads_are_told_apart(&by_tracepoints);
    for name in ["threads", "listener", "speaker"] {
        let kinds = |report: &Value| -> Vec<String> {
            let calls = thread(report, name)["calls"].as_object().expect("calls").clone();
            // Whether a thread waits is a matter of the moment.
            calls.into_iter().map(|(call, _)| call).filter(|call| call != "futex").collect()
        };
        assert_eq!(kinds(&by_tracepoints), kinds(&by_ptrace), "{name}");
    }
}

#[test]
fn a_small_program_runs_unharmed_under_what_was_learned_of_all_its_threads_and_not_beyond() {
    let threads = threads();
    let (out, record) = (threads.path("learned"), threads.path("learned/recording.json"));
    said(0, &["--out", &out, "--", threads.program()]);
    // A second run, so that the order of threads is not that of one.
    said(0, &["--out", &out, "--merge", &record, "--", threads.program()]);
    let policy = threads.path("learned/together.policy");
    let words = fs::read_to_string(&policy).expect("it is written");
    assert!(words.starts_with("# Learned from 2 runs of "), "{words}");
    assert!(words.contains("\nfrequency \"together.profile\"\n"), "{words}");
    for _ in 0..5 {
        assert_eq!(under(&policy, &[threads.program()]), (Some(0), String::new()));
    }
    let (code, said) = under(&policy, &[threads.program(), "more"]);
    assert_eq!(code, Some(148), "{said}");
    assert!(said.contains("sync()"), "{said}");
}

#[test]
fn a_program_of_the_distribution_runs_unharmed_under_what_was_learned() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
    let input = path("input");
    fs::write(&input, b"a line that comes again and again\n".repeat(300_000))
        .expect("the folder takes files");
    let command = ["xz", "--threads=2", "--block-size=2MiB", "--keep", "--force", &input];
    for _ in 0..3 {
        let record = path("learned/recording.json");
        let merge = ["--merge", record.as_str()];
        let merge: &[&str] = if Path::new(&record).exists() { &merge } else { &[] };
        said(0, &[&["--out", &path("learned")], merge, &["--"], &command].concat());
    }
    let policy = path("learned/together.policy");
    fs::remove_file(path("input.xz")).expect("it was written");
    for _ in 0..3 {
        assert_eq!(under(&policy, &command), (Some(0), String::new()));
    }
    let unpacked = Command::new("xz")
        .args(["--decompress", "--stdout", &path("input.xz")])
        .output()
        .expect("xz is there");
    assert_eq!(unpacked.stdout, fs::read(&input).expect("it is there"));
    // A thing that it did not do.
    let (code, said) = under(&policy, &["xz", "--threads=2", "--decompress", "--force", &path("input.xz")]);
    assert_eq!(code, Some(148), "{said}");
}

#[test]
fn ringfence_runs_unharmed_when_each_role_is_held_to_what_was_learned_of_it() {
    if !has_tracepoints() {
        return;
    }
    run::require_kvm();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
    let (out, record) = (path("learned"), path("learned/recording.json"));
    let provoking = binary::provoking().to_str().expect("UTF-8");
    let guest = [provoking, "run", "--vcpus", "2", "--json"];
    said(0, &[&["--out", &out, "--"][..], &guest].concat());
    let report = report(0, &[&["--merge", &record, "--out", &out, "--"][..], &guest].concat());
    assert_eq!(report["runs"], 2);
    for role in ["main", "io", "console", "vcpu"] {
        let learned = thread(&report, role);
        assert_eq!(learned["is_role"], true);
        let present = &learned["present"];
        assert_eq!(present["learned_allows_less"], true, "{role}: {present:#}");
        assert_eq!(present["wider"], serde_json::json!([]), "{role}");
        assert_eq!(present["coverage"]["beyond"], serde_json::json!([]), "{role}");
    }
    let uses = |rule: &str| {
        let rules =
            thread(&report, "vcpu")["present"]["coverage"]["rules"].as_array().expect("rules").clone();
        rules.iter().find(|used| used["rule"] == rule).map(|used| used["count"].as_u64().expect("a count"))
    };
    assert!(uses("ioctl: fd == @vcpu && cmd == KVM_RUN") > Some(100), "{report:#}");
    let mut command = Command::new(provoking);
    command.args(&guest[1..]).args(["--learned", &out]).stdin(Stdio::null());
    let held = command.output().expect("the binary can be started");
    let words = text(&held.stderr);
    assert_eq!(held.status.code(), Some(0), "{words}");
    let table: Value = serde_json::from_str(&words).unwrap_or_else(|error| panic!("{error}: {words}"));
    let lengths: Vec<_> = table["threads"]
        .as_array()
        .expect("threads")
        .iter()
        .map(|thread| &thread["bpf_instructions"])
        .collect();
    assert!(
        lengths.iter().all(|length| length.as_u64().is_some_and(|length| (1..80).contains(&length))),
        "{table:#}"
    );
}

#[test]
fn a_policy_that_allows_more_than_the_build_s_holds_no_role() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(
        folder.path().join("vcpu.policy"),
        "role vcpu\ntier filter\notherwise trap\nioctl: -- all of them\n",
    )
    .expect("the folder takes files");
    let run = run::provoked("", ["--learned", folder.path().to_str().expect("UTF-8")]);
    let ended = run.wait();
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("allows more than the build"), "{}", ended.stderr);
}

#[test]
fn a_guest_that_runs_is_watched_for_a_while_and_goes_on() {
    if !has_tracepoints() {
        return;
    }
    let mut guest = run::guest(["spin", "--cmdline", "beat"]);
    guest.wait_for("beat 1");
    let pid = guest.pid().to_string();
    for by in ["tracepoints", "ptrace"] {
        let report = report(0, &["--pid", &pid, "--for", "1", "--by", by]);
        let vcpu = thread(&report, "vcpu");
        assert!(vcpu["calls"]["ioctl"].as_u64() > Some(0), "{by}: {vcpu:#}");
        assert_eq!(vcpu["is_role"], true);
        assert!(report["together"].is_null());
        for thread in procfs::threads(guest.pid()) {
            let status = fs::read_to_string(format!("/proc/{}/task/{}/status", guest.pid(), thread.tid))
                .expect("it lives");
            assert!(status.contains("TracerPid:\t0\n"), "{by}: {status}");
        }
    }
    let beats = guest.stdout().matches("beat").count();
    wait::until("it beats on", || (guest.stdout().matches("beat").count() > beats + 2).then_some(()));
}

#[test]
fn of_a_process_that_calls_nothing_nothing_is_learned_and_that_is_said() {
    if !has_tracepoints() {
        return;
    }
    let mut sleeper = Command::new("sleep").arg("600").stdin(Stdio::null()).spawn().expect("there is sleep");
    let pid = sleeper.id().cast_signed();
    wait::until("it sleeps", || {
        procfs::find(pid, "sleep")
            .filter(|thread| thread.sleeps_in() == Some(libc::SYS_clock_nanosleep))
            .map(drop)
    });
    let words = said(0, &["--pid", &pid.to_string(), "--for", "1"]);
    sleeper.kill().expect("it is ours");
    sleeper.wait().expect("it ends");
    assert!(words.contains("no thread made a call") && !words.contains("role together"), "{words}");
}

#[test]
fn whoever_may_not_have_tracepoints_is_told_and_learns_by_ptrace() {
    if !has_tracepoints() {
        return;
    }
    let threads = threads();
    let everybody = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(threads.folder.path(), everybody).expect("it is ours");
    let mut command = learn_command(&["--json", "--", threads.program()]);
    let output = command.uid(65534).gid(65534).output().expect("the binary can be started");
    let said = text(&output.stderr);
    assert!(said.contains("it is by ptrace, since tracepoints cannot be had"), "{said}");
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_threads_are_told_apart(&report);
    let mut command = learn_command(&["--by", "tracepoints", "--", threads.program()]);
    let output = command.uid(65534).gid(65534).output().expect("the binary can be started");
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn what_a_filter_refuses_is_counted_by_name_though_its_arguments_are_not_seen() {
    if !has_tracepoints() {
        return;
    }
    let threads = threads();
    let policy = threads.path("no_sync.policy");
    fs::write(&policy, "role any\ntier filter\notherwise allow\nsync: errno EPERM -- it takes long\n")
        .expect("it is ours");
    let ringfence = binary::ringfence().to_str().expect("UTF-8");
    let arguments = [
        "--record",
        &threads.path("seen.json"),
        "--",
        ringfence,
        "policy",
        "exec",
        &policy,
        "--",
        threads.program(),
        "more",
    ];
    said(0, &arguments);
    let recording: Value =
        serde_json::from_str(&fs::read_to_string(threads.path("seen.json")).expect("it is written"))
            .expect("JSON");
    let refused = &thread(&recording, "speaker")["refused"];
    assert_eq!(refused["sync"], 1, "{refused:#}");
}

#[test]
fn a_present_policy_is_held_against_what_was_seen() {
    let threads = threads();
    let narrow = threads.path("narrow.policy");
    fs::write(
        &narrow,
        "role speaker\ntier filter\notherwise trap\nwrite: count == 8 -- it speaks\nclose: -- and ends\n\
         getuid: -- never (untested: it has no reason to)\ngettid: -- never\n",
    )
    .expect("it is ours");
    let against = format!("speaker*={narrow}");
    let record = threads.path("seen.json");
    let words = said(
        1,
        &[
            "--fail-beyond",
            "--record",
            &record,
            "--against",
            &against,
            "--by",
            "ptrace",
            "--",
            threads.program(),
        ],
    );
    said(0, &["--merge", &record, "--against", &against]);
    assert!(words.contains("does not allow"), "{words}");
    assert!(words.contains("not allowed (trap), once: prctl(PR_SET_NAME"), "{words}");
    assert!(words.contains("it has no reason to"), "{words}");
    // What was seen is enough.
    let enough = threads.path("enough.policy");
    let learned = report(0, &["--merge", &record]);
    let policy = thread(&learned, "speaker")["policy"].as_str().expect("a policy").to_owned();
    fs::write(&enough, &policy).expect("it is ours");
    let against = format!("speaker={enough}");
    assert!(
        said(0, &["--merge", &record, "--against", &against, "--fail-unused"]).contains("allows the same")
    );
    let excused = format!("{policy}getuid: -- who asks (untested: nobody does)\n");
    fs::write(&enough, excused).expect("it is ours");
    let words = said(0, &["--merge", &record, "--against", &against, "--fail-unused"]);
    assert!(words.contains("were used; 0 were not, and 1 more say why"), "{words}");
    fs::write(&enough, policy + "getuid: -- who asks\n").expect("it is ours");
    let words = said(1, &["--merge", &record, "--against", &against, "--fail-unused"]);
    assert!(words.contains("getuid:") && words.contains("allows less"), "{words}");
    assert!(said(0, &["--merge", &record, "--against", &against]).contains("getuid:"));
}

#[test]
fn reports_and_recordings_have_the_members_that_are_documented_and_no_other() {
    if !has_tracepoints() {
        return;
    }
    let threads = threads();
    let narrow = threads.path("narrow.policy");
    let rules = "write: count == 9 -- it speaks\nsync: errno EPERM -- it takes long\n";
    fs::write(&narrow, format!("role speaker\ntier filter\notherwise allow\n{rules}")).expect("it is ours");
    let other = threads.path("other.policy");
    fs::write(&other, format!("role speaker\ntier filter\notherwise trap\n{rules}")).expect("it is ours");
    let (record, against) = (threads.path("seen.json"), format!("speaker={other}"));
    let ringfence = binary::ringfence().to_str().expect("UTF-8");
    let run = [ringfence, "policy", "exec", &narrow, "--", threads.program(), "more"];
    let learned = report(0, &[&["--record", &record, "--against", &against, "--"][..], &run].concat());
    assert_documented("audit learn", &[&with_names(&learned, &["threads", "calls"])]);
    // A run, whose threads have descriptors before they confine themselves.
    report(0, &["--merge", &record, "--record", &record, "--against", &against, "--", ringfence, "run"]);
    let words = fs::read_to_string(&record).expect("it is written");
    let recording: Value = serde_json::from_str(&words).expect("JSON");
    let paths: [&[&str]; 5] = [
        &["threads", "calls", "called"],
        &["threads", "before", "called"],
        &["threads", "calls", "descriptors"],
        &["threads", "before", "descriptors"],
        &["threads", "refused"],
    ];
    let recording = paths.iter().fold(recording, |value, path| with_names(&value, path));
    assert_documented("recording", &[&recording]);
}

#[test]
fn what_cannot_be_learned_from_says_why_and_exits_with_2() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
    assert!(said(2, &["--", "/no/such/program"]).contains("cannot run /no/such/program: No such file"));
    assert!(
        said(2, &["--by", "ptrace", "--", "/no/such/program"])
            .contains("cannot run /no/such/program: No such file")
    );
    assert!(said(2, &["--", "/etc/passwd"]).contains("cannot run /etc/passwd: Permission denied"));
    assert!(said(2, &["--pid", "4194303"]).contains("there is no process 4194303"));
    assert!(said(2, &["--merge", &path("nothing.json")]).contains("cannot read the report"));
    fs::write(path("other.json"), "{}").expect("it is ours");
    assert!(said(2, &["--merge", &path("other.json")]).contains("is no recording"));
    said(0, &["--record", &path("seen.json"), "--by", "ptrace", "--", "true"]);
    let seen = fs::read_to_string(path("seen.json")).expect("it is written");
    fs::write(path("later.json"), seen.replace("\"schema\": 1", "\"schema\": 2")).expect("it is ours");
    assert!(said(2, &["--merge", &path("later.json")]).contains("version 2"));
    fs::write(path("foreign.json"), seen.replace("x86_64", "aarch64")).expect("it is ours");
    assert!(said(2, &["--merge", &path("foreign.json")]).contains("is of aarch64"));
    let words = said(0, &["--by", "ptrace", "--", "sh", "-c", "exit 7"]);
    assert!(words.contains("the command ended with exit status: 7"), "{words}");
}

#[test]
fn what_cannot_be_written_is_said_before_the_command_runs() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
    fs::write(path("file"), "").expect("it is ours");
    let ran = path("ran");
    for (option, place) in [
        ("--record", path("nowhere/seen.json")),
        ("--html", path("nowhere/page.html")),
        ("--output", path("nowhere/report.txt")),
        ("--output", path("")),
        ("--out", path("file/learned")),
        ("--out", "/proc/self".to_owned()),
    ] {
        let words = said(2, &[option, &place, "--by", "ptrace", "--", "touch", &ran]);
        assert!(words.contains("ringfence: cannot "), "{option} {place}: {words}");
        assert!(!Path::new(&ran).exists(), "{option} {place}: the command ran, and what it did is lost");
    }
}

#[test]
fn groups_of_threads_whose_names_make_one_role_s_have_policies_of_their_own() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
    let learned = path("learned");
    let script = ["a-b", "a.b", "together"].map(|name| {
        fs::copy("/bin/true", path(name)).expect("a copy of a program");
        path(name)
    });
    said(0, &["--by", "ptrace", "--out", &learned, "--", "sh", "-c", &script.join("; ")]);
    let mut names: Vec<_> = fs::read_dir(&learned)
        .expect("it is made")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .filter(|name| name.ends_with(".policy"))
        .collect();
    names.sort();
    let expected = ["a_b.policy", "a_b_2.policy", "sh.policy", "together.policy", "together_2.policy"];
    assert_eq!(names, expected);
    let all = fs::read_to_string(path("learned/together.policy")).expect("it is written");
    assert!(all.contains("fork") || all.contains("clone"), "it is the policy of all: {all}");
}

#[test]
fn no_signal_is_blocked_of_the_command_that_is_not_without() {
    let blocked = |words: &str| words.lines().find(|line| line.starts_with("SigBlk")).map(str::to_owned);
    let alone = Command::new("cat").arg("/proc/self/status").output().expect("there is cat");
    let watched = learn(&["--by", "ptrace", "--output", "/dev/null", "--", "cat", "/proc/self/status"]);
    assert!(blocked(&text(&alone.stdout)).is_some());
    assert_eq!(blocked(&text(&watched.stdout)), blocked(&text(&alone.stdout)));
}

#[test]
fn signals_that_somebody_sends_reach_the_command() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let ready = folder.path().join("ready");
    for by in ["ptrace", "tracepoints"] {
        if by == "tracepoints" && !has_tracepoints() {
            continue;
        }
        let _ = fs::remove_file(&ready);
        let script = format!("trap 'exit 9' TERM; touch {}; while :; do sleep 0.1; done", ready.display());
        let mut command = learn_command(&["--by", by, "--", "sh", "-c", &script]);
        let learner =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary can be started");
        wait::until("the script runs", || ready.exists().then_some(()));
        let pid = rustix::process::Pid::from_raw(learner.id().cast_signed()).expect("a process");
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it can be sent");
        let output = learner.wait_with_output().expect("it ends");
        assert!(text(&output.stderr).contains("exit status: 9"), "{by}: {}", text(&output.stderr));
    }
}

/// Asks five times who it is (20, which is `writev` to a 64-bit program), and stays for a while.
const OF_32_BITS: &str = "
static int call(int number, int a) {
    int result;
    __asm__ volatile(\"int $0x80\" : \"=a\"(result) : \"a\"(number), \"b\"(a), \"c\"(0) : \"memory\");
    return result;
}

void _start(void) {
    static struct { int seconds, nanoseconds; } pause = { 0, 300000000 };
    for (int i = 0; i < 5; i++)
        call(20 /* getpid */, 0);
    call(162 /* nanosleep */, (int)&pause);
    call(1 /* exit */, 0);
}
";

#[test]
fn calls_of_a_32_bit_program_are_left_out_and_counted() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let program = folder.path().join("narrow");
    compile_for_32_bits(&program, OF_32_BITS);
    if Command::new(&program).status().is_err() {
        eprintln!("skipped: this kernel runs no 32-bit programs");
        return;
    }
    for by in ["ptrace", "tracepoints"] {
        if by == "tracepoints" && !has_tracepoints() {
            continue;
        }
        let words = said(0, &["--by", by, "--json", "--", program.to_str().expect("UTF-8")]);
        assert!(words.contains("7 calls of 32-bit programs were left out"), "{by}: {words}");
        assert!(!words.contains("writev"), "{by}: {words}");
    }
}
