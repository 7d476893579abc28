//! `ringfence audit observe` and `ringfence run --observe`: what policies would refuse is counted, and nothing is refused.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use ringfence_tests::schema::assert_documented;
use ringfence_tests::{binary, child, procfs, run, wait};
use seccomp_policies::bpf::interpret;
use seccomp_policies::call::Call;
use seccomp_policies::compile::{Weights, optimize};
use seccomp_policies::language::check_sources;
use seccomp_policies::syscalls::{Arch, by_name};
use serde_json::Value;
use tempfile::TempDir;

use super::sleeper::compile;
use super::{has_tracepoints, text};

/// Waits for a byte; then its threads do what some policy allows and some does not, the same each time.
const WORKLOAD: &str = r#"
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static pthread_barrier_t begun;

static void *work(void *nothing) {
    pthread_barrier_wait(&begun);
    for (int i = 0; i < 50; i++)
        syscall(SYS_write, 1, "words", i % 2 ? 5 : 3);
    for (int i = 0; i < 9; i++)
        syscall(SYS_getppid);
    return nothing;
}

int main(void) {
    char byte;
    pthread_t threads[2];
    pthread_barrier_init(&begun, 0, 3);
    for (int i = 0; i < 2; i++) {
        pthread_create(&threads[i], 0, work, 0);
        pthread_setname_np(threads[i], "worker");
    }
    if (syscall(SYS_read, 0, &byte, 1) != 1)
        return 1;
    pthread_barrier_wait(&begun);
    for (int i = 0; i < 11; i++) {
        mmap(0, 4096, i % 3 ? PROT_READ : PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        syscall(SYS_openat, AT_FDCWD, "/nothing", i % 4 ? O_RDONLY : O_WRONLY);
        syscall(SYS_readlink, i % 2 ? "/nothing" : 0, &byte, 1);
    }
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], 0);
    return 0;
}
"#;

const FIRST: &str = "role first\ntier filter\notherwise trap\n\
    read: fd == 0 -- a\nmmap: (prot & PROT_EXEC) == 0 -- b\nopenat: dfd == AT_FDCWD && (flags & O_ACCMODE) == O_RDONLY -- c\n\
    readlink: path != 0 -- the kernel compares this address with text alone\nexit_group: -- d\nmunmap: -- e\nfutex: -- f\n";
const WORKER: &str = "role worker\ntier filter\notherwise trap\n\
    write: fd == 1 && count == 5 -- a\nfutex: -- b\nexit: -- c\nmadvise: -- d\nrt_sigprocmask: -- e\n";

struct Workload {
    folder: TempDir,
    program: PathBuf,
}

fn workload() -> Workload {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let program = folder.path().join("first");
    compile(&program, WORKLOAD);
    fs::write(folder.path().join("first.policy"), FIRST).expect("it is ours");
    fs::write(folder.path().join("worker.policy"), WORKER).expect("it is ours");
    Workload { folder, program }
}

impl Workload {
    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().expect("UTF-8").to_owned()
    }

    /// Starts it; it waits for its byte with all threads there.
    fn start(&self) -> Child {
        let mut command = Command::new(&self.program);
        let child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("it can be started");
        let pid = child.id().cast_signed();
        wait::until("its threads are there and wait", || {
            let threads = procfs::threads(pid);
            let wait = |name: &str, call| {
                threads
                    .iter()
                    .filter(|thread| thread.name == name && thread.sleeps_in() == Some(call))
                    .count()
            };
            (wait("worker", libc::SYS_futex) == 2 && wait("first", libc::SYS_read) == 1).then_some(())
        });
        child
    }

    fn policies(&self) -> [String; 4] {
        let of = |name: &str| format!("{name}={}", self.path(&format!("{name}.policy")));
        ["--policy".into(), of("first"), "--policy".into(), of("worker")]
    }
}

/// Begins to watch, lets the workload go, and gives what was said in the end.
fn watched(mut child: Child, arguments: &[String]) -> (i32, String) {
    let mut command = Command::new(binary::ringfence());
    command
        .args(["audit"])
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut watcher = command.spawn().expect("the binary can be started");
    let mut said = BufReader::new(watcher.stderr.take().expect("a pipe"));
    let mut line = String::new();
    said.read_line(&mut line).expect("it can be read");
    assert!(line.contains("observed") || line.contains("recorded"), "{line}");
    child.stdin.take().expect("a pipe").write_all(b"x").expect("it waits");
    assert!(child.wait().expect("it ends").success());
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut said, &mut rest).expect("it can be read");
    let output = watcher.wait_with_output().expect("it ends");
    (output.status.code().expect("it ends by itself"), text(&output.stdout))
}

/// How many of the calls of a recording the program of a policy does not allow, by the interpreter.
fn refused_by_interpreter(recording: &Value, thread: &str, policy: &str) -> u64 {
    let checked = check_sources("p", &[("p", policy)], Arch::X86_64).expect("it holds");
    let program = optimize(&checked.policy, &Weights::CacheAware(None)).expect("it compiles");
    let threads = recording["threads"].as_array().expect("threads");
    let thread =
        threads.iter().find(|known| known["name"] == thread).unwrap_or_else(|| panic!("{recording:#}"));
    let mut refused = 0;
    for (name, called) in thread["calls"]["called"].as_object().expect("calls") {
        let number = by_name(Arch::X86_64, name).expect("a call").number;
        for seen in called["seen"].as_array().expect("a list") {
            let mut arguments = [0; 6];
            for (argument, value) in arguments.iter_mut().zip(seen["arguments"].as_array().expect("six")) {
                *argument = value.as_u64().expect("a register");
            }
            let call = Call { number, arch: Arch::X86_64.audit_value(), instruction_pointer: 0, arguments };
            let answer = interpret(program.instructions(), &call).expect("a valid program").value;
            if answer != 0x7fff_0000 {
                refused += seen["count"].as_u64().expect("a count");
            }
        }
    }
    refused
}

#[test]
fn the_kernel_counts_what_the_interpreter_refuses_of_the_same_workload_under_ptrace() {
    if !has_tracepoints() {
        return;
    }
    let workload = workload();
    let child = workload.start();
    let mut arguments = vec!["observe".to_owned(), child.id().to_string(), "--json".to_owned()];
    arguments.extend(workload.policies());
    let (code, words) = watched(child, &arguments);
    assert_eq!(code, 1, "{words}");
    let observed: Value = serde_json::from_str(&words).unwrap_or_else(|error| panic!("{error}: {words}"));
    assert_documented("audit observe", &[&observed]);

    let child = workload.start();
    let record = workload.path("seen.json");
    let arguments = ["learn", "--pid", &child.id().to_string(), "--by", "ptrace", "--record", &record];
    watched(child, &arguments.map(str::to_owned));
    let recording: Value =
        serde_json::from_str(&fs::read_to_string(&record).expect("it is written")).expect("JSON");
    for (name, policy) in [("first", FIRST), ("worker", WORKER)] {
        let threads =
            observed["threads"].as_array().expect("threads").iter().filter(|thread| thread["name"] == name);
        let counted: u64 = threads.map(|thread| thread["violations"].as_u64().expect("a count")).sum();
        assert_eq!(counted, refused_by_interpreter(&recording, name, policy), "{name}: {observed:#}");
    }
    let kinds = observed["kinds"].as_array().expect("kinds");
    let count = |text: &str| -> u64 {
        let of_text =
            kinds.iter().filter(|kind| kind["call"]["text"].as_str().is_some_and(|call| call.contains(text)));
        of_text.map(|kind| kind["count"].as_u64().expect("a count")).sum()
    };
    // Two workers, each of whose second writes has another length.
    assert_eq!((count("write(1, "), count("getppid()")), (50, 18), "{observed:#}");
    assert_eq!(
        (count("PROT_READ|PROT_EXEC"), count("O_WRONLY"), count("readlink(0x0")),
        (4, 3, 6),
        "{observed:#}"
    );
    let write = kinds.iter().find(|kind| kind["call"]["name"] == "write").expect("it wrote");
    assert_eq!(write["nearest_rule"]["rule"], "write: fd == 1 && count == 5");
    assert_eq!(write["nearest_rule"]["failed"], "count is 3, not 5");
    let unseen = observed["unseen"].to_string();
    assert!(unseen.contains("the kernel compares `path` with text alone"), "{unseen}");
    assert!(!unseen.contains("refused already"), "nothing holds it: {unseen}");
}

#[test]
fn a_run_that_is_held_is_observed_without_being_disturbed_and_what_cannot_be_seen_is_said() {
    if !has_tracepoints() {
        return;
    }
    let mut guest = run::guest(["spin", "--cmdline", "beat"]);
    guest.wait_for("beat 1");
    let output = Command::new(binary::ringfence())
        .args(["audit", "observe", &guest.pid().to_string(), "--for", "1"])
        .output()
        .expect("the binary can be started");
    let words = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{words}{}", text(&output.stderr));
    for role in ["main", "io", "console", "vcpu"] {
        let row = words.lines().find(|line| line.split_whitespace().nth(2) == Some(role));
        assert!(row.is_some_and(|row| row.ends_with(" 0")), "{role}: {words}");
    }
    assert!(words.contains("calls that are refused already: rf-"), "{words}");
    assert!(guest.is_running());
}

#[test]
fn a_run_with_observe_is_held_by_nothing_and_says_what_would_have_been_refused() {
    if !has_tracepoints() {
        return;
    }
    let clean = run::guest(["--observe", "--vcpus", "2", "--json"]).wait();
    assert_eq!(clean.status.code(), Some(0), "{}", clean.stderr);
    let report = clean.report();
    for thread in report["threads"].as_array().expect("threads") {
        assert_eq!((&thread["tier"], &thread["violations"]), (&"none".into(), &0.into()), "{report:#}");
    }
    assert_eq!(report["would_be_refused"], serde_json::json!([]));
    // A vCPU that asks for what it may not have gets it, and is told of.
    let ended = run::provoked("rf-vcpu0:getppid@5", ["--observe"]).wait();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    let told = "once: rf-vcpu0 (vcpu) would be refused getppid(): no rule allows getppid for role vcpu";
    assert!(ended.stderr.contains(told), "{}", ended.stderr);
    let row = ended.stderr.lines().find(|line| line.starts_with(" rf-vcpu0")).expect("a row").to_owned();
    assert!(row.ends_with(" 1"), "{row}");
    let refused = run::guest(["--observe", "--tier", "bitmask"]).wait();
    assert_eq!(refused.status.code(), Some(2), "{}", refused.stderr);
}

#[test]
fn threads_that_begin_meanwhile_are_observed_too() {
    if !has_tracepoints() {
        return;
    }
    let workload = workload();
    let program = workload.folder.path().join("later");
    let later = WORKLOAD
        .replace(
            "for (int i = 0; i < 2; i++) {\n        pthread_create",
            "read(0, &byte, 1); for (int i = 0; i < 2; i++) {\n        pthread_create",
        )
        .replace("if (syscall(SYS_read, 0, &byte, 1) != 1)", "if (usleep(300000))")
        .replace(
            "pthread_barrier_wait(&begun);\n    for (int i = 0; i < 50",
            "pthread_barrier_wait(&begun); usleep(100000);\n    for (int i = 0; i < 50",
        );
    compile(&program, &later);
    let child = Command::new(&program)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("it can be started");
    let pid = child.id().cast_signed();
    wait::until("it waits", || {
        procfs::find(pid, "later").filter(|thread| thread.sleeps_in() == Some(libc::SYS_read)).map(drop)
    });
    let policy = workload.path("worker.policy");
    let arguments = ["observe", &pid.to_string(), "--json", "--policy", &policy].map(str::to_owned);
    let (_, words) = watched(child, &arguments);
    let observed: Value = serde_json::from_str(&words).unwrap_or_else(|error| panic!("{error}: {words}"));
    let kinds = observed["kinds"].as_array().expect("kinds");
    let getppid: u64 = kinds
        .iter()
        .filter(|kind| kind["call"]["name"] == "getppid")
        .map(|kind| kind["count"].as_u64().expect("a count"))
        .sum();
    assert_eq!(getppid, 18, "{observed:#}");
}

#[test]
fn what_cannot_be_observed_says_why_and_exits_with_2() {
    let said = |arguments: &[&str]| {
        let output = Command::new(binary::ringfence())
            .args(["audit", "observe"])
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .expect("the binary can be started");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        text(&output.stderr)
    };
    assert!(said(&["4194303"]).contains("there is no process 4194303"));
    let own = std::process::id().to_string();
    assert!(said(&[&own]).contains("is no run of ringfence: name the policy"));
    assert!(said(&[&own, "--policy", "/no/such.policy"]).contains("/no/such.policy"));
    assert!(!Path::new("/no/such.policy").exists());
    if !has_tracepoints() {
        return;
    }
    let workload = workload();
    child::open_to_everyone(workload.folder.path());
    let mut command = Command::new(binary::ringfence());
    command.args(["audit", "observe", &own, "--policy", &workload.path("first.policy")]);
    child::become_nobody(&mut command);
    let output = command.stdin(Stdio::null()).output().expect("the binary can be started");
    let words = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{words}");
    assert!(words.contains("run as root"), "{words}");
}
