//! Processes that change while they are looked at.

use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use ringfence_tests::{child, procfs, wait};

use super::sleeper::{NO_DEBUGGER, Sleeper, compile, program};
use super::{can_see_filters, command, report, text};

/// Has 500 threads that wait.
const MANY: &str = "
#include <pthread.h>
#include <unistd.h>

static void *wait_for_ever(void *nothing) {
    for (;;)
        pause();
    return nothing;
}

int main(void) {
    pthread_t thread;
    for (int i = 0; i < 499; i++)
        pthread_create(&thread, 0, wait_for_ever, 0);
    wait_for_ever(0);
}
";

/// Has a new thread every millisecond, which lives for ten.
const BUSY: &str = "
#include <pthread.h>
#include <unistd.h>

static void *live(void *nothing) {
    usleep(10000);
    return nothing;
}

int main(void) {
    pthread_attr_t detached;
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    for (;;) {
        pthread_t thread;
        pthread_create(&thread, &detached, live, 0);
        usleep(1000);
    }
}
";

/// Ends when it has slept for so many microseconds.
const SHORT: &str = "
#include <stdlib.h>
#include <unistd.h>

int main(int count, char **words) {
    return usleep(atoi(words[1]));
}
";

fn start(text: &str, argument: &str) -> Sleeper {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("moving");
    compile(&path, text);
    let mut command = Command::new(&path);
    command.arg(argument);
    child::confine(&mut command, vec![program(NO_DEBUGGER)]);
    Sleeper(command.spawn().expect("it can be started"))
}

#[test]
fn every_one_of_many_threads_is_seen() {
    if !can_see_filters() {
        return;
    }
    let many = start(MANY, "");
    wait::until("all threads are there", || (procfs::threads(many.pid()).len() == 500).then_some(()));
    let report = report(0, &[&many.pid().to_string()]);
    let threads = report["threads"].as_array().expect("a list");
    assert_eq!(threads.len(), 500);
    for thread in threads {
        assert_eq!(thread["filters"].as_array().map(Vec::len), Some(1), "{thread:#}");
        assert_eq!(thread["own_descriptors"], false);
    }
    assert!(procfs::threads(many.pid()).iter().all(|thread| thread.state == 'S'), "nobody is left stopped");
}

#[test]
fn threads_that_begin_and_end_meanwhile_are_seen_or_gone() {
    if !can_see_filters() {
        return;
    }
    let busy = start(BUSY, "");
    wait::until("threads", || (procfs::threads(busy.pid()).len() > 4).then_some(()));
    for _ in 0..20 {
        let report = report(0, &[&busy.pid().to_string()]);
        let threads = report["threads"].as_array().expect("a list");
        assert!(threads.len() > 1);
        let unseen: Vec<_> = threads.iter().filter(|thread| !thread["unseen"].is_null()).collect();
        assert!(unseen.is_empty(), "{unseen:#?}");
    }
}

#[test]
fn a_process_that_ends_meanwhile_is_told_of_as_far_as_it_was_seen() {
    if !can_see_filters() {
        return;
    }
    for step in 0..40 {
        let mut short = start(SHORT, "20000");
        let pid = short.pid();
        let waiter = std::thread::spawn(move || short.0.wait().expect("it ends"));
        sleep(Duration::from_micros(500 * step));
        let output = command(&[&pid.to_string()]).output().expect("the binary can be started");
        waiter.join().expect("it has ended");
        let (said, errors) = (text(&output.stdout), text(&output.stderr));
        match output.status.code() {
            Some(0) => assert!(said.starts_with(&format!("process {pid} ")), "{said}"),
            Some(2) => {
                assert!(errors.starts_with(&format!("ringfence: there is no process {pid}")), "{errors}");
            }
            code => panic!("{code:?}: {said}{errors}"),
        }
    }
}
