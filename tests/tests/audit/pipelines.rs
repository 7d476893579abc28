//! What other programs take: JSON as it is documented, SARIF, and the comparison of two reports.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use ringfence_tests::schema::{assert_documented, with_names};
use ringfence_tests::{binary, run};
use serde_json::{Value, json};

use super::{can_see_filters, live, text};

fn ringfence(arguments: &[&str]) -> (i32, String) {
    let output = Command::new(binary::ringfence())
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("the binary can be started");
    (output.status.code().expect("it ends by itself"), text(&output.stdout) + &text(&output.stderr))
}

fn report(code: i32, arguments: &[&str]) -> Value {
    let (ended, said) = ringfence(arguments);
    assert_eq!(ended, code, "{arguments:?}: {said}");
    serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"))
}

#[test]
fn reports_have_the_members_that_are_documented_and_no_other() {
    let policies = report(0, &["audit", "policies", "--json"]);
    assert_documented("audit policies", &[&policies]);
    if !can_see_filters() {
        return;
    }
    let of_run = |code: i32, tier: &str| {
        let mut run = run::guest(["spin", "--cmdline", "beat", "--tier", tier]);
        run.wait_for("beat 1");
        report(code, &["audit", "live", &run.pid().to_string(), "--json"])
    };
    let (held, free) = (of_run(0, "filter"), of_run(1, "none"));
    assert_documented("audit live", &[&held, &free]);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let write = |name: &str, report: &Value| {
        let path = folder.path().join(name);
        fs::write(&path, report.to_string()).expect("the folder takes a file");
        path.to_str().expect("its name is text").to_owned()
    };
    let (held, free) = (write("held", &held), write("free", &free));
    let changes = report(1, &["audit", "diff", &held, &free, "--json"]);
    assert_documented("audit diff", &[&changes]);
    let (code, said) = ringfence(&["audit", "diff", &held, &free]);
    assert_eq!(code, 1);
    let expected = "thread rf-vcpu0 of rf-main: seccomp: was filter, is off\n";
    assert!(said.contains(expected), "{said}");
    assert_eq!(ringfence(&["audit", "diff", &held, &held]), (0, "the reports say the same\n".to_owned()));
    let policies = write("policies", &policies);
    let (code, said) = ringfence(&["audit", "diff", &held, &policies]);
    assert_eq!(code, 2);
    assert!(said.contains("compare two of one kind"), "{said}");
}

#[test]
fn what_has_changed_between_two_policies_is_told_role_by_role() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let report = |name: &str, policy: &str| {
        let file = folder.path().join("tool.policy");
        fs::write(&file, policy).expect("the folder takes a file");
        let (code, said) = ringfence(&[
            "audit",
            "policies",
            "--json",
            "--against",
            file.to_str().expect("its name is text"),
        ]);
        assert_eq!(code, 0, "{said}");
        let path = folder.path().join(name);
        fs::write(&path, said).expect("the folder takes a file");
        path.to_str().expect("its name is text").to_owned()
    };
    let head = "role tool\ntier filter\notherwise trap\nfd log = 4 -- a log\n";
    let old = report("old", &format!("{head}write: fd == @log -- tell\ngetpid: -- who\n"));
    let new = report("new", &format!("{head}write: fd == @log && count <= 80 -- tell\nexecve: -- tools\n"));
    let (code, said) = ringfence(&["audit", "diff", &old, &new]);
    assert_eq!(code, 1, "{said}");
    assert_eq!(
        said,
        "role tool: call execve: new: whatever its arguments\n\
         role tool: call getpid: gone: whatever its arguments\n\
         role tool: call write: was fd == @log, is fd == @log && count <= 80\n\
         role tool: can start a process: new: yes\n"
    );
    let (code, said) = ringfence(&["audit", "diff", &old, "/no/report"]);
    assert_eq!(code, 2);
    assert!(said.starts_with("ringfence: cannot read the report /no/report: "), "{said}");
    let (code, said) =
        ringfence(&["audit", "diff", &old, folder.path().join("tool.policy").to_str().expect("text")]);
    assert_eq!(code, 2);
    assert!(said.contains("is no JSON"), "{said}");
}

#[test]
fn findings_about_a_policy_are_told_to_code_hosts_at_their_lines() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("tool.policy");
    let policy = "role tool\ntier filter\notherwise trap\n\nptrace: -- debug\n";
    fs::write(&file, policy).expect("the folder takes a file");
    let file = file.to_str().expect("its name is text");
    let log = report(1, &["policy", "lint", file, "--sarif"]);
    assert_eq!(log["version"], "2.1.0");
    let driver = &log["runs"][0]["tool"]["driver"];
    assert_eq!(driver["name"], "ringfence");
    let rules = driver["rules"].as_array().expect("the kinds of findings");
    let results = log["runs"][0]["results"].as_array().expect("a list");
    for result in results {
        assert!(rules.iter().any(|rule| rule["id"] == result["ruleId"]), "{result:#}");
        let place = &result["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], format!("file://{file}"));
    }
    let dangerous = results.iter().find(|result| result["ruleId"] == "dangerous-call").expect("ptrace is");
    let region = json!({ "startLine": 5, "startColumn": 1, "endLine": 5, "endColumn": 8 });
    assert_eq!(dangerous["locations"][0]["physicalLocation"]["region"], region);
    assert_eq!(dangerous["level"], "warning");
}

#[test]
fn deviations_are_told_to_code_hosts_with_the_thread() {
    if !can_see_filters() {
        return;
    }
    let mut run = run::guest(["spin", "--cmdline", "beat", "--tier", "none"]);
    run.wait_for("beat 1");
    let log = report(1, &["audit", "live", &run.pid().to_string(), "--sarif"]);
    let results = log["runs"][0]["results"].as_array().expect("a list");
    let of_vcpu = results
        .iter()
        .find(|result| result["message"]["text"].as_str().is_some_and(|text| text.starts_with("rf-vcpu0 (")));
    let of_vcpu = of_vcpu.expect("nothing holds it");
    assert_eq!((&of_vcpu["ruleId"], &of_vcpu["level"]), (&json!("not-attested"), &json!("error")));
    let name = of_vcpu["locations"][0]["logicalLocations"][0]["fullyQualifiedName"].as_str();
    assert!(name.is_some_and(|name| name.starts_with(&format!("rf-main ({})/rf-vcpu0 (", run.pid()))));
    let output = live(&[&run.pid().to_string(), "--sarif", "--json"]);
    assert_eq!(output.status.code(), Some(2), "one of the two");
}

/// What a command prints, whatever its exit code.
fn printed(folder: &Path, arguments: &[&str]) -> Value {
    let output = Command::new(binary::ringfence())
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .expect("the binary can be started");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!("{arguments:?}: {error}: {}{}", text(&output.stdout), text(&output.stderr))
    })
}

/// Two policies that differ in all that can be told of, one that does not hold, and what tools of others wrote.
const FILES: [(&str, &str); 6] = [
    (
        "one.policy",
        "role one\ntier filter\notherwise trap\nread: fd == 3 && count <= 8 -- hear\nwrite: -- say\n\
         readlink: path != 0 -- an address that events compare with text alone\ngetuid: errno EPERM -- no\n",
    ),
    (
        "other.policy",
        "role other\ntier filter\notherwise allow\nread: trap if fd != 3 -- hear\ngetuid: errno ENOSYS -- no\n\
         mprotect: -- anything\n",
    ),
    ("wrong.policy", "role wrong\ntier filter\notherwise trap\nraed: -- hear\n"),
    (
        "strace",
        "read(3, \"\", 9) = 0\nopenat(AT_FDCWD, \"/\", O_RDONLY) = 3\nnonsense\nread(QUUX, \"\", 1) = 0\n",
    ),
    (
        "seccomp.json",
        r#"{"api": {"default_action": "trap", "filter_action": "allow", "filter": [{"syscall": "read"}]}}"#,
    ),
    ("open.policy", "role open\ntier filter\notherwise trap\nioctl: -- whatever\nopenat: -- whatever\n"),
];

#[test]
fn every_other_command_prints_what_is_documented() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, words) in FILES {
        fs::write(folder.path().join(name), words).expect("it is ours");
    }
    let print = |arguments: &[&str]| printed(folder.path(), arguments);
    let document = |section: &str, report: &str, values: &[Value], names: &[&[&str]]| {
        let values: Vec<Value> = values
            .iter()
            .map(|value| {
                assert_eq!((&value["report"], &value["schema"]), (&report.into(), &1.into()), "{section}");
                names.iter().fold(value.clone(), |value, path| with_names(&value, path))
            })
            .collect();
        assert_documented(section, &values.iter().collect::<Vec<_>>());
    };
    document("doctor", "doctor", &[print(&["doctor", "--json"])], &[]);
    let empty = folder.path().join("none");
    fs::create_dir(&empty).expect("it is ours");
    document("guest list", "guests", &[print(&["guest", "list", "--json", "--dir", "none"])], &[]);
    let check = print(&["policy", "check", "--json", "one.policy", "wrong.policy"]);
    document("policy check", "check", &[check], &[&["policies", "instructions"]]);
    document(
        "policy compile",
        "program",
        &[print(&["policy", "compile", "--format", "json", "one.policy"])],
        &[],
    );
    let events = ["policy", "compile", "--backend", "event-filter", "--format", "json", "one.policy"];
    document("policy compile --backend event-filter", "events", &[print(&events)], &[]);
    let imports = [
        print(&["policy", "import", "--json", "seccomp.json"]),
        print(&["policy", "import", "--json", "wrong.policy"]),
    ];
    document("policy import", "import", &imports, &[]);
    let explain = |call: &str| print(&["policy", "explain", "--json", "one.policy", call]);
    document("policy explain", "explanation", &[explain("read(3, ?, 9)"), explain("write")], &[]);
    let simulation = print(&["policy", "simulate", "--json", "one.policy", "strace"]);
    document("policy simulate", "simulation", &[simulation], &[&["by_call"]]);
    let differences = [
        print(&["policy", "diff", "--json", "one.policy", "other.policy"]),
        print(&["policy", "diff", "--json", "other.policy", "one.policy"]),
    ];
    document("policy diff", "difference", &differences, &[]);
    document("policy lint", "lint", &[print(&["policy", "lint", "--json", "open.policy"])], &[]);
    document("policy stats", "stats", &[print(&["policy", "stats", "--json", "one.policy"])], &[]);
    let profile = print(&["policy", "profile", "--json", "--workload", "w", "strace"]);
    document("policy profile", "profile", &[profile], &[&["counts"]]);
    let exec = folder.path().join("exec.json");
    print(&["policy", "profile", "--json", "--workload", "w", "strace"]);
    let report = exec.to_str().expect("UTF-8");
    ringfence(&["policy", "exec", "--report", report, "/dev/null", "--", "true"]);
    let allowing = folder.path().join("all.policy");
    fs::write(&allowing, "role all\ntier filter\notherwise allow\nsync: errno EPERM -- slow\n")
        .expect("it is ours");
    ringfence(&["policy", "exec", "--report", report, allowing.to_str().expect("UTF-8"), "--", "true"]);
    let written: Value =
        serde_json::from_str(&fs::read_to_string(&exec).expect("it is written")).expect("JSON");
    document("policy exec", "exec", &[written], &[]);
}

#[test]
fn a_run_reports_what_is_documented() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let report = |name: &str, run: run::Run| -> Value {
        run.wait();
        let words = fs::read_to_string(folder.path().join(name)).expect("it is written");
        with_names(&serde_json::from_str(&words).expect("JSON"), &["threads", "calls_used"])
    };
    let path = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
    let counted = report("counted", run::guest(["--count-calls", "--report", &path("counted")]));
    let deed = "rf-vcpu0:write:9,0,8@5";
    let refused = report("refused", run::provoked(deed, ["--report", &path("refused")]));
    assert_eq!((&refused["report"], &refused["violation"]["role"]), (&"run".into(), &"vcpu".into()));
    if can_see_filters() {
        assert_documented("run", &[&counted, &refused]);
    }
}
