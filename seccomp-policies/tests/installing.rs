//! What the kernel makes of installed policies, seen from the threads under them.

use std::io::{Read, pipe};
use std::process::{Command, Output};
use std::sync::mpsc;
use std::{env, fs, io, thread};

use insta::assert_snapshot;
use seccomp_policies::bpf::{Instruction, MAX_INSTRUCTIONS};
use seccomp_policies::compile::reference;
use seccomp_policies::embed::{Embedded, OnViolation, Programs, Variants};
use seccomp_policies::install::{Error, install_program};
use seccomp_policies::language::check_sources;
use seccomp_policies::syscalls::Arch;
use seccomp_policies::{install, install_all};

#[cfg(target_arch = "x86_64")]
const ARCH: Arch = Arch::X86_64;
#[cfg(target_arch = "aarch64")]
const ARCH: Arch = Arch::Aarch64;

fn program(rules: &str) -> &'static [Instruction] {
    let text = format!("role test\ntier filter\notherwise allow\n{rules}\n");
    let checked = check_sources("test.policy", &[("test.policy", &text)], ARCH);
    let policy = checked.unwrap_or_else(|findings| panic!("{findings}")).policy;
    reference(&policy).expect("it is short").instructions().to_vec().leak()
}

/// A policy that allows all but these rules, whatever the choice on violations.
fn embedded(rules: &str) -> Embedded {
    let program = program(rules);
    let variants =
        || Variants { as_written: program, trap: program, kill: program, errno: program, log: program };
    let programs = Programs::Filter { filter: variants(), bitmask: variants() };
    Embedded { role: "test", sources: &[], programs, slots: &[], calls: &[] }
}

/// Refuses the call behind [`env::current_dir`].
fn without_getcwd() -> Embedded {
    embedded("getcwd: errno EACCES -- the call that these tests look at")
}

const STRICT: Embedded =
    Embedded { role: "console", sources: &[], programs: Programs::Strict, slots: &[], calls: &[] };

/// The program of a policy that allows all but `getcwd`, to which it answers this.
fn answering(action: &str) -> &'static [Instruction] {
    program(&format!("getcwd: {action} -- the call that these tests look at"))
}

fn getcwd() -> Result<(), Option<i32>> {
    env::current_dir().map(drop).map_err(|error| error.raw_os_error())
}

/// The calling thread's number.
fn thread_number() -> i64 {
    let link = fs::read_link("/proc/thread-self").expect("proc is mounted");
    link.file_name().and_then(|name| name.to_str()?.parse().ok()).expect("it is a number")
}

/// Runs the test of this name again in a process of its own, where it may confine every thread. `None` in there.
fn in_a_process(test: &str) -> Option<Output> {
    const INSIDE: &str = "SECCOMP_POLICIES_INSIDE";
    if env::var_os(INSIDE).is_some() {
        return None;
    }
    let program = env::current_exe().expect("the tests have a path");
    let output = Command::new(program).args([test, "--exact", "--nocapture"]).env(INSIDE, "1").output();
    Some(output.expect("the tests start again"))
}

fn assert_passed(output: &Output) {
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{}\n{text}{errors}", output.status);
}

#[test]
fn a_policy_holds_the_thread_that_installs_it_and_threads_that_it_starts() {
    let confined = thread::spawn(|| {
        install(&without_getcwd(), OnViolation::Errno).expect("the kernel takes it");
        (getcwd(), thread::spawn(getcwd).join().expect("it ends"))
    });
    let refused = Err(Some(libc::EACCES));
    assert_eq!(confined.join().expect("it ends"), (refused, refused));
    assert_eq!(getcwd(), Ok(()));
}

#[test]
fn each_choice_installs_a_program_of_its_own_and_one_is_the_policys() {
    let variants = || Variants {
        as_written: answering("errno ENOSYS"),
        trap: answering("errno EIO"),
        kill: answering("errno EAGAIN"),
        errno: answering("errno EPERM"),
        log: answering("errno ENOENT"),
    };
    let programs = Programs::Filter { filter: variants(), bitmask: variants() };
    let policy: &Embedded =
        Box::leak(Box::new(Embedded { role: "test", sources: &[], programs, slots: &[], calls: &[] }));
    for (choice, error) in
        OnViolation::ALL.into_iter().zip([libc::ENOSYS, libc::EIO, libc::EAGAIN, libc::EPERM, libc::ENOENT])
    {
        let confined = thread::spawn(move || {
            install(policy, choice).expect("the kernel takes it");
            getcwd()
        });
        assert_eq!(confined.join().expect("it ends"), Err(Some(error)), "{choice:?}");
    }
    assert_eq!(OnViolation::default(), OnViolation::AsWritten);
}

#[test]
fn installing_for_all_holds_threads_that_are_there_already() {
    if let Some(output) = in_a_process("installing_for_all_holds_threads_that_are_there_already") {
        return assert_passed(&output);
    }
    let (go, wait) = mpsc::channel::<()>();
    let (tell, told) = mpsc::channel();
    let older = thread::spawn(move || {
        tell.send(getcwd()).expect("the other thread listens");
        wait.recv().expect("the other thread sends");
        getcwd()
    });
    assert_eq!(told.recv().expect("the thread says what it got"), Ok(()));
    install_all(&without_getcwd(), OnViolation::Errno).expect("the kernel takes it");
    go.send(()).expect("the thread waits");
    let refused = Err(Some(libc::EACCES));
    assert_eq!((older.join().expect("it ends"), getcwd()), (refused, refused));
}

#[test]
fn a_thread_with_a_filter_of_its_own_is_named_and_nobody_is_confined() {
    if let Some(output) = in_a_process("a_thread_with_a_filter_of_its_own_is_named_and_nobody_is_confined") {
        return assert_passed(&output);
    }
    let (tell, told) = mpsc::channel();
    let (_go, wait) = mpsc::channel::<()>();
    thread::spawn(move || {
        install_program(program("getuid: errno EPERM -- something else")).expect("the kernel takes it");
        tell.send(thread_number()).expect("the other thread listens");
        let _ = wait.recv();
    });
    let number = told.recv().expect("the thread says its number");
    let error =
        install_all(&without_getcwd(), OnViolation::Errno).expect_err("they cannot be confined together");
    assert!(matches!(error, Error::Thread(thread) if thread == number), "{error}, and not {number}");
    assert!(error.to_string().starts_with(&format!("thread {number} is under a seccomp filter ")), "{error}");
    assert_eq!(getcwd(), Ok(()));
}

#[test]
fn a_strict_policy_puts_the_thread_into_mode_1() {
    let (mut reader, _writer) = pipe().expect("a pipe");
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        tell.send(thread_number()).expect("the other thread listens");
        install(&STRICT, OnViolation::Errno).expect("the kernel does it");
        // Blocks until the process ends: a thread in strict mode may not do what the end of a thread takes.
        let _ = reader.read(&mut [0]);
    });
    let status = format!("/proc/self/task/{}/status", told.recv().expect("the thread says its number"));
    while !fs::read_to_string(&status).expect("the thread lives").contains("Seccomp:\t1\n") {
        thread::yield_now();
    }
}

#[test]
fn strict_mode_for_all_threads_is_an_error_that_says_what_to_do() {
    let error = install_all(&STRICT, OnViolation::Kill).expect_err("strict mode holds one thread");
    assert_snapshot!(error, @"the policy of role `console` is of the strict tier, which holds only the thread that asks for it; call `install` in each thread, or write `tier bitmask` or `tier filter` in the policy");
}

#[test]
fn a_program_of_no_length_or_too_much_is_refused_before_the_kernel_sees_it() {
    for length in [0, MAX_INSTRUCTIONS + 1, 1 << 16] {
        let program = vec![Instruction { code: 6, jt: 0, jf: 0, k: 0 }; length];
        let error = install_program(&program).expect_err("its length is wrong");
        assert!(matches!(error, Error::Length(wrong) if wrong == length), "{error}");
    }
    assert_eq!(getcwd(), Ok(()));
}

#[test]
fn what_the_kernel_refuses_is_said_with_the_cause_and_a_way_out() {
    // One load, and no return.
    let error =
        install_program(&[Instruction { code: 0x20, jt: 0, jf: 0, k: 0 }]).expect_err("it has no end");
    assert_snapshot!(error, @"the kernel did not take a seccomp filter of 1 instructions: Invalid argument (os error 22); the kernel needs CONFIG_SECCOMP_FILTER, and a program without jumps past its end and with a return on every path");
    let under_another = thread::spawn(|| {
        install_program(program("seccomp: errno EPERM -- the last filter")).expect("the kernel takes it");
        install(&without_getcwd(), OnViolation::Errno).expect_err("the filter refuses another")
    });
    assert_snapshot!(under_another.join().expect("it ends"), @"the kernel did not take a seccomp filter of 14 instructions: Operation not permitted (os error 1); a filter that the thread is under already refuses seccomp(2): install this one first, or allow the call there");
    let under_many = thread::spawn(|| -> Error {
        let long = vec![Instruction { code: 6, jt: 0, jf: 0, k: libc::SECCOMP_RET_ALLOW }; MAX_INSTRUCTIONS];
        (0..).find_map(|_| install_program(&long).err()).expect("there is a limit")
    });
    assert_snapshot!(under_many.join().expect("it ends"), @"the kernel did not take a seccomp filter of 4096 instructions: Cannot allocate memory (os error 12); all filters of a thread may have 32768 instructions together, 4 more counted for each of them: install fewer");
}

#[test]
fn privileges_that_a_filter_keeps_from_being_given_up_are_an_error() {
    let refused = thread::spawn(|| {
        let rule = "prctl: errno EPERM if option == PR_SET_NO_NEW_PRIVS -- stays as it is";
        install_program(program(rule)).expect("the kernel takes it");
        install(&without_getcwd(), OnViolation::Errno).expect_err("the filter refuses it")
    });
    let error = refused.join().expect("it ends");
    assert!(
        matches!(&error, Error::NoNewPrivileges(cause) if cause.kind() == io::ErrorKind::PermissionDenied)
    );
    assert_snapshot!(error, @"cannot give up new privileges, without which the kernel takes no filter: prctl(PR_SET_NO_NEW_PRIVS) failed: Operation not permitted (os error 1); it needs Linux 3.5, and a filter that the thread is under already must allow it");
}
