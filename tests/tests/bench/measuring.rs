//! What is measured.

use std::fs;

use ringfence_tests::run;
use serde_json::Value;

use super::{bench, said, text};

/// A profile that allows two calls: what a measuring thread makes.
const ALLOWING: &str = r#"{"defaultAction": "SCMP_ACT_ERRNO", "architectures": ["SCMP_ARCH_X86_64"],
    "syscalls": [{"names": ["ioctl", "futex"], "action": "SCMP_ACT_ALLOW"}]}"#;

fn measured(arguments: &[&str]) -> (Value, String) {
    run::require_kvm();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("found.json");
    let output = bench(&[arguments, &["--json", file.to_str().expect("UTF-8")]].concat());
    let (said, errors) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{said}{errors}");
    let found = fs::read_to_string(&file).expect("it is written");
    (serde_json::from_str(&found).expect("JSON"), said)
}

fn rows(table: &Value) -> Vec<&str> {
    let rows = table["rows"].as_array().expect("a list of rows");
    rows.iter().map(|row| row["name"].as_str().expect("a name")).collect()
}

#[test]
fn the_exit_path_has_its_control_and_its_planted_cost_and_says_what_it_comes_to() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).expect("the folder takes a file");
        path.to_str().expect("UTF-8").to_owned()
    };
    let allowing = path("allowing.json", ALLOWING);
    let refusing = path("refusing.json", &ALLOWING.replace("\"ioctl\", ", ""));
    let other = format!("somebody's={allowing}");
    // A filter as it stands: `BPF_RET | BPF_K` with SECCOMP_RET_ALLOW.
    let filter = folder.path().join("one.bpf");
    fs::write(&filter, [0x06, 0, 0, 0, 0, 0, 0xff, 0x7f]).expect("the folder takes a file");
    let filter = format!("one={}", filter.display());
    let others = ["--against", &other, "--against", &refusing, "--against", &filter];
    let (found, said) = measured(&[&["--quick", "--only", "exit/refused"], &others[..]].concat());
    assert_eq!((&found["report"], &found["schema"]), (&"bench".into(), &1.into()));
    assert_eq!(found["processes"], 8);
    let table = &found["tables"][0];
    let names = rows(table);
    for name in [
        "bitmask tier",
        "filter tier",
        "written by hand",
        "seccompiler",
        "traced (ptrace)",
        "one",
        "somebody's",
    ] {
        assert!(names.contains(&name), "{name}: {names:?}");
    }
    assert_eq!(names[..3], ["no filter", "no filter, again", "no filter, with work"]);
    assert!(said.contains("refusing allows no KVM_RUN, and is left out."), "{said}");
    let is_sound = table["verdict"]["is"] == "sound";
    for row in table["rows"].as_array().expect("a list of rows") {
        let is_subject = row["part"] == "subject";
        assert!(row["value"]["median"].as_f64().expect("a figure") > 0.0, "{row}");
        assert!(row["blocks"].as_u64().expect("a number") > 0, "{row}");
        assert_eq!(
            row["difference"].is_null(),
            row["part"] == "baseline" || is_subject && !is_sound,
            "{row}"
        );
    }
    let first = said.lines().next().expect("a sentence");
    let sentence = if is_sound { "Filtering costs " } else { "What filtering costs cannot be said here: " };
    assert!(first.starts_with(sentence), "{first}");
    let executed = |name: &str| {
        let row = table["rows"].as_array().and_then(|rows| rows.iter().find(|row| row["name"] == name));
        row.and_then(|row| row["executed"].as_f64())
    };
    let one = table["rows"].as_array().and_then(|rows| rows.iter().find(|row| row["name"] == "one"));
    assert_eq!(one.map(|row| &row["instructions"]), Some(&1.into()), "it was not compiled again");
    assert_eq!(
        [executed("no filter"), executed("bitmask tier"), executed("written by hand")],
        [None, Some(0.0), Some(9.0)]
    );
}

#[test]
fn each_group_can_be_measured_alone() {
    let only = ["history", "calls/api", "confine/threads", "run/start"];
    let (found, said) = measured(&[&["--quick", "--only"], &only[..]].concat());
    let tables: Vec<_> = found["tables"]
        .as_array()
        .expect("a list of tables")
        .iter()
        .map(|table| table["name"].as_str())
        .collect();
    let expected = ["history/loop", "history/switch", "calls/api", "confine/threads", "run/start"].map(Some);
    assert_eq!(tables, expected);
    assert!(said.starts_with("What filtering costs an exit was not measured."), "{said}");
    assert!(said.contains("bitmask (2009) can say which calls it makes."), "{said}");
    let history = rows(&found["tables"][0]);
    assert_eq!(history[3..6], ["strict mode (2005)", "bitmask (2009)", "filter engine (2010)"]);
}

#[test]
fn there_is_a_list_of_what_can_be_measured() {
    let list = said(0, &["--list"]);
    for name in ["exit/port", "exit/ioeventfd", "history/loop", "calls/io", "confine/length", "run/tour"] {
        assert!(list.lines().any(|line| line.starts_with(&format!(" {name} "))), "{name}: {list}");
    }
}

#[test]
fn what_cannot_be_done_is_said_before_anything_is_measured() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
    assert!(said(2, &["--only", "exit/prot"]).contains("there is nothing called exit/prot to measure"));
    for form in ["--json", "--html", "--svg", "--prometheus", "--markdown"] {
        let said = said(2, &[form, &path("nowhere/file")]);
        assert!(said.starts_with("ringfence: cannot write "), "{form}: {said}");
    }
    assert!(said(2, &["--compare", &path("nothing.json")]).contains("cannot read "));
    assert!(said(2, &["--against", &path("nothing.policy")]).contains("does not hold or cannot be read"));
    fs::write(path("other.json"), "{\"schema\": 1}").expect("it is ours");
    assert!(said(2, &["--show", &path("other.json")]).contains("is not what `bench --json` writes"));
    fs::write(path("later.json"), "{\"schema\": 7}").expect("it is ours");
    assert!(said(2, &["--show", &path("later.json")]).contains("has findings of version 7"));
    assert!(said(2, &["--fail-above", "10"]).contains("--compare"));
}
