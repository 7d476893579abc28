//! What an audit leaves behind in those that it looks at: nothing.

use std::process::Stdio;
use std::thread::sleep;
use std::time::Duration;

use ringfence_tests::run;
use ringfence_tests::{procfs, wait};

use super::{can_see_filters, command, live};

#[test]
fn a_guest_goes_on_while_its_threads_are_looked_at() {
    if !can_see_filters() {
        return;
    }
    let mut run = run::guest(["spin", "--cmdline", "beat", "--vcpus", "2"]);
    run.wait_for("beat 2");
    for _ in 0..50 {
        assert_eq!(live(&[&run.pid().to_string()]).status.code(), Some(0));
    }
    let beats = run.stdout().matches("beat").count();
    wait::until("more beats", || (run.stdout().matches("beat").count() > beats + 2).then_some(()));
    run.signal(rustix::process::Signal::TERM);
    assert_eq!(run.wait().code(), 128 + libc::SIGTERM);
}

#[test]
fn an_audit_that_is_killed_leaves_no_thread_stopped() {
    if !can_see_filters() {
        return;
    }
    let mut run = run::guest(["spin", "--cmdline", "beat", "--vcpus", "4"]);
    run.wait_for("beat 2");
    let pid = run.pid().to_string();
    for step in 0..60 {
        let mut audit = command(&[&pid]);
        let mut audit = audit.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it can be started");
        sleep(Duration::from_micros(500 * step));
        audit.kill().expect("it can be killed");
        audit.wait().expect("it ends");
        let stopped = || procfs::threads(run.pid()).into_iter().filter(|thread| thread.state == 't').count();
        wait::until("every thread goes on", || (stopped() == 0).then_some(()));
    }
    let beats = run.stdout().matches("beat").count();
    wait::until("more beats", || (run.stdout().matches("beat").count() > beats + 1).then_some(()));
    assert_eq!(live(&[&pid]).status.code(), Some(0), "and it is attested");
}
