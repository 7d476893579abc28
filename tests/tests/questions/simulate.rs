//! `policy simulate`

use std::fs::File;

use ringfence_tests::policy::{policy, run};
use serde_json::Value;

use super::folder;

const LOG: &str = r#"7 openat(AT_FDCWD, "/etc/hosts", O_RDONLY|O_CLOEXEC) = 3
7 read(3,  <unfinished ...>
8 close(9) = -1 EBADF (Bad file descriptor)
7 <... read resumed>"127.0.0.1", 64) = 9
7 read(3, "", 4096) = 0
7 read(3, "", 4096) = 0
7 openat(AT_FDCWD, "/tmp/x", O_WRONLY|O_CREAT, 0644) = 4
7 +++ exited with 0 +++
"#;

#[test]
fn a_log_is_counted_by_call_and_every_kind_of_refusal_shown_once() {
    let folder = folder(&[("log", LOG)]);
    let (code, output, errors) = run(&mut policy(folder.path(), &["simulate", "r.policy", "log"]));
    assert_eq!((code, errors.as_str()), (1, ""));
    assert_eq!(
        output,
        " call    allowed  depends  refused
 close         1        0        0
 openat        1        0        1
 read          1        0        2
 all           3        0        3

line 5, 2 times: read(3, \"\", 4096)
  refused (trap); nearest rule: read: fd == @input && count <= 64 -- input
  at r.policy:7; here count is 4096, not at most 64

line 7: openat(AT_FDCWD, \"/tmp/x\", O_WRONLY|O_CREAT, 0644)
  refused (trap); nearest rule: openat: dfd == AT_FDCWD && (flags & O_ACCMODE) == O_RDONLY -- files
  at r.policy:8; here flags is O_WRONLY|O_CREAT, not O_RDONLY in the bits O_ACCMODE
"
    );
}

#[test]
fn the_exit_code_is_that_of_the_worst_call() {
    for (trace, expected) in [
        ("close(3)\n", 0),
        ("close(3)\nread(3)\n", 3),
        ("close(3)\nread(3)\ngetpid\n", 1),
        ("--- SIGCHLD ---\n", 2),
    ] {
        let folder = folder(&[("trace", trace)]);
        let (code, _, errors) = run(&mut policy(folder.path(), &["simulate", "r.policy", "trace"]));
        assert_eq!(code, expected, "{trace}{errors}");
    }
}

#[test]
fn what_of_a_trace_was_not_used_is_said() {
    let folder = folder(&[("trace", "close(3)\nsome words\nclose(FROB)\n")]);
    let input = File::open(folder.path().join("trace")).expect("it is there");
    let mut command = policy(folder.path(), &["simulate", "r.policy", "-"]);
    let (code, _, errors) = run(command.stdin(input));
    assert_eq!(code, 0);
    assert_eq!(
        errors,
        "lines that are no calls: 1, the first at line 2: this is no call\ntaken as open: FROB\n"
    );
}

#[test]
fn programs_get_everything_in_one_object() {
    let folder = folder(&[("log", LOG)]);
    let (_, output, _) = run(&mut policy(folder.path(), &["simulate", "--json", "r.policy", "log"]));
    let json: Value = serde_json::from_str(&output).expect("it is JSON");
    assert_eq!((&json["schema"], &json["answer"]), (&1.into(), &"refused".into()));
    assert_eq!(json["total"], serde_json::json!({ "allowed": 3, "depends": 0, "refused": 3 }));
    assert_eq!((&json["findings"][0]["line"], &json["findings"][0]["count"]), (&5.into(), &2.into()));
}
