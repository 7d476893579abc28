//! `policy stats`

use ringfence_tests::policy::{policy, run};
use serde_json::Value;

use super::folder;

#[test]
fn each_backend_has_a_line_and_the_table_fits_100_columns() {
    let (code, output, errors) = run(&mut policy(folder(&[]).path(), &["stats", "r.policy"]));
    assert_eq!((code, errors.as_str()), (0, ""));
    for part in ["optimizing", "reference", "bitmask", "event filters", "2 of 4", "4 of 4", "2 need none"] {
        assert!(output.contains(part), "{part} is missing from {output}");
    }
    assert!(output.lines().all(|line| line.chars().count() <= 100), "{output}");
}

#[test]
fn each_allowed_call_is_answered_by_the_cache_or_executes_something() {
    let text = "role c\ntier filter\notherwise trap\nioctl: fd == 3 && cmd == KVM_RUN -- r\ngetpid: -- r\n\
        openat: errno ENOENT -- r\n";
    let folder = folder(&[("c.policy", text)]);
    let (code, output, errors) = run(&mut policy(folder.path(), &["stats", "--calls", "c.policy"]));
    assert_eq!((code, errors.as_str()), (0, ""));
    let rows: Vec<Vec<&str>> = output.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["role", "call", "optimizing", "reference", "bitmask"]);
    assert_eq!(rows[1], ["c", "getpid", "cached", "cached", "cached"]);
    let [role, call, optimizing, reference, bitmask] = rows[2][..] else { panic!("{output}") };
    assert_eq!((role, call, bitmask), ("c", "ioctl", "cached"));
    let executed = |text: &str| text.parse::<f64>().unwrap_or_else(|_| panic!("{output}"));
    assert!(executed(optimizing) <= executed(reference), "{output}");
    assert_eq!(rows.len(), 3, "a refused call is none of them: {output}");
}

#[test]
fn a_policy_without_a_program_says_why() {
    let strict = "role s\ntier strict\notherwise kill\nread:  -- input\n";
    let folder = folder(&[("strict.policy", strict)]);
    let (code, output, _) = run(&mut policy(folder.path(), &["stats", "strict.policy"]));
    assert_eq!(code, 0);
    assert!(output.contains("\ns: role `s` has no program"), "{output}");
    assert_eq!(output.matches("has no program").count(), 1, "{output}");
}

#[test]
fn the_counts_that_a_policy_names_are_those_that_count() {
    let profile = "workload w\nkernel 6.18\ndate 2026-11-24\n\nioctl 900000\n";
    let text = "role t\ntier filter\notherwise trap\nfrequency \"t.profile\"\n";
    let calls = ["read", "write", "pread64", "pwrite64", "lseek", "recvfrom", "sendto", "fstat", "ioctl"];
    let rules: String = calls.map(|call| format!("{call}: fd == 5  -- r\n")).concat();
    let text = format!("{text}{rules}");
    let unnamed = text.replace("frequency \"t.profile\"\n", "");
    let folder = folder(&[("t.profile", profile), ("t.policy", &text), ("u.policy", &unnamed)]);
    let json = |arguments: &[&str]| -> Value {
        serde_json::from_str(&run(&mut policy(folder.path(), arguments)).1).expect("it is JSON")
    };
    let optimizing = |stats: &Value| stats["policies"][0]["backends"][0]["program"].clone();
    let named = optimizing(&json(&["stats", "--json", "t.policy"]));
    assert_eq!(named, optimizing(&json(&["stats", "--json", "--profile", "t.profile", "t.policy"])));
    assert_eq!(
        named["instructions"],
        json(&["check", "--json", "t.policy"])["policies"][0]["instructions"]["optimizing"]
    );
}

#[test]
fn programs_get_the_numbers_by_backend() {
    let folder = folder(&[("r.profile", "workload w\nkernel 6.18\ndate 2026-11-24\n\nread 9\n")]);
    let (code, output, errors) =
        run(&mut policy(folder.path(), &["stats", "--json", "--profile", "r.profile", "r.policy"]));
    assert_eq!((code, errors.as_str()), (0, ""));
    let json: Value = serde_json::from_str(&output).expect("it is JSON");
    let policy = &json["policies"][0];
    assert_eq!((&json["schema"], &policy["calls"], &policy["rules"]), (&1.into(), &4.into(), &4.into()));
    assert_eq!(policy["backends"][0]["name"], "optimizing");
    assert_eq!(policy["backends"][0]["program"]["cached"], 2);
}
