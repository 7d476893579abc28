//! `policy profile`

use std::fs;

use ringfence_tests::policy::{policy, run};
use serde_json::Value;

use super::folder;

const LOG: &str = "read(3, \"\", 1) = 0\nclose(3) = 0\nread(4, <unfinished ...>\n";

#[test]
fn a_log_becomes_a_profile_with_its_workload_kernel_and_date() {
    let folder = folder(&[("log", LOG)]);
    let arguments = ["profile", "log", "--workload", "two reads", "--kernel", "6.18", "--date", "2026-11-24"];
    let (code, output, errors) = run(&mut policy(folder.path(), &arguments));
    assert_eq!((code, errors.as_str()), (0, ""));
    assert_eq!(output, "workload two reads\nkernel 6.18\ndate 2026-11-24\n\nread 2\nclose 1\n");
}

#[test]
fn a_profile_is_of_today_and_of_this_kernel_unless_it_says_otherwise() {
    let folder = folder(&[("log", LOG)]);
    let arguments = ["profile", "log", "--workload", "two reads", "-o", "r.profile"];
    assert_eq!(run(&mut policy(folder.path(), &arguments)), (0, String::new(), String::new()));
    let text = fs::read_to_string(folder.path().join("r.profile")).expect("it is there");
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").expect("Linux has it");
    assert_eq!(text.lines().nth(1), Some(format!("kernel {}", release.trim()).as_str()));
    let date = text.lines().nth(2).and_then(|line| line.strip_prefix("date ")).expect("it has a date");
    assert!(date > "2026-01-01" && date < "2200-01-01", "{date}");
}

#[test]
fn what_is_no_profile_is_refused() {
    let folder = folder(&[("log", LOG), ("words", "nothing here\n")]);
    for (arguments, part) in [
        (["words", "--workload", "x", "--date", "2026-11-24"], "there is no call in it"),
        (["none", "--workload", "x", "--date", "2026-11-24"], "cannot read the trace none"),
        (["log", "--workload", "", "--date", "2026-11-24"], "write one line"),
        (["log", "--workload", "x", "--date", "yesterday"], "write it as in 2026-11-24"),
    ] {
        let (code, output, errors) = run(policy(folder.path(), &["profile"]).args(arguments));
        assert_eq!((code, output.as_str()), (2, ""), "{arguments:?}");
        assert!(errors.contains(part), "{errors}");
    }
}

#[test]
fn programs_get_the_counts_as_json() {
    let folder = folder(&[("log", LOG)]);
    let (_, output, _) = run(&mut policy(folder.path(), &["profile", "log", "--workload", "x", "--json"]));
    let json: Value = serde_json::from_str(&output).expect("it is JSON");
    assert_eq!((&json["schema"], &json["counts"]["read"]), (&1.into(), &2.into()));
}
