//! `ringfence audit policies`: the roles side by side.

use std::fs;
use std::process::{Command, Stdio};

use ringfence::role::policies::ALL;
use ringfence_tests::binary;
use serde_json::Value;

use super::text;

fn policies(arguments: &[&str], columns: &str) -> (i32, String) {
    let output = Command::new(binary::ringfence())
        .args(["audit", "policies"])
        .args(arguments)
        .env("COLUMNS", columns)
        .stdin(Stdio::null())
        .output()
        .expect("the binary can be started");
    (output.status.code().expect("it ends by itself"), text(&output.stdout) + &text(&output.stderr))
}

fn report(arguments: &[&str]) -> Value {
    let (code, said) = policies(&[arguments, &["--json"]].concat(), "100");
    assert_eq!(code, 0, "{said}");
    serde_json::from_str(&said).expect("JSON")
}

/// What stands in a row, in the columns of this name.
fn cell<'a>(said: &'a str, row: &str, column: &str) -> &'a str {
    let mut lines = said.lines().skip_while(|line| !line.starts_with(" call ") && !line.starts_with(" can "));
    let mut at = None;
    lines
        .find_map(|line| {
            if line.starts_with(" call ") || line.starts_with(" can ") {
                at = line.split("  ").filter(|name| !name.is_empty()).position(|name| name.trim() == column);
            }
            let named = line.strip_prefix(' ').and_then(|line| line.strip_prefix(row))?.strip_prefix("  ")?;
            named.split("  ").filter(|cell| !cell.is_empty()).nth(at? - 1).map(str::trim)
        })
        .unwrap_or_else(|| panic!("no row {row} with {column} in\n{said}"))
}

#[test]
fn roles_stand_side_by_side_within_the_width_that_there_is() {
    for (columns, width) in [("100", 100), ("80", 80), ("300", 100)] {
        for arguments in [&[][..], &["--reasons"]] {
            let (code, said) = policies(arguments, columns);
            assert_eq!(code, 0, "{said}");
            let wide: Vec<_> = said.lines().filter(|line| line.chars().count() > width).collect();
            assert!(wide.is_empty(), "{wide:#?}");
        }
    }
    let (_, said) = policies(&[], "100");
    for (row, column, expected) in [
        ("ioctl", "vcpu", "some"),
        ("read", "console", "all"),
        ("read", "vcpu", "-"),
        ("read", "any of them", "all"),
        ("openat", "main_api", "some"),
        ("openat", "main", "-"),
        ("open a file", "main_api", "yes"),
        ("open a file", "any of them", "yes"),
        ("open a file", "io", "-"),
        ("make memory executable", "any of them", "-"),
        ("start a process", "any of them", "-"),
        ("reach the network", "any of them", "-"),
    ] {
        assert_eq!(cell(&said, row, column), expected, "{row}, {column}:\n{said}");
    }
    let condition = "fd == @vcpu && cmd == KVM_RUN";
    assert!(said.lines().any(|line| line.contains(" vcpu ") && line.ends_with(condition)), "{said}");
    assert!(!said.contains("enter the guest"), "reasons are told when they are asked for");
}

#[test]
fn the_report_has_every_role_with_its_slots_and_the_rules_behind_each_cell() {
    let report = report(&[]);
    assert_eq!(report["schema"], 1);
    let roles: Vec<_> =
        report["roles"].as_array().expect("a list").iter().map(|role| &role["role"]).collect();
    assert_eq!(roles, ALL.iter().map(|policy| policy.role).collect::<Vec<_>>());
    let index = roles.iter().position(|role| **role == "vcpu").expect("it is a role");
    assert_eq!(report["roles"][index]["slots"][0]["name"], "vcpu");
    for (policy, index) in ALL.iter().zip(0..) {
        let may = |row: &&Value| row["cells"][index]["verdict"] != "refused";
        let names = report["calls"].as_array().expect("a list").iter().filter(may).map(|row| &row["call"]);
        let mut expected: Vec<&str> = policy.calls.iter().map(|call| call.1).collect();
        if policy.role == "console" {
            // Strict mode is the kernel's own, and has these besides.
            expected.extend(["exit", "rt_sigreturn"]);
        }
        expected.sort_unstable();
        assert_eq!(names.collect::<Vec<_>>(), expected, "{}", policy.role);
    }
    let ioctl = report["calls"].as_array().and_then(|rows| rows.iter().find(|row| row["call"] == "ioctl"));
    let cell = &ioctl.expect("vCPUs make it")["cells"][index];
    assert_eq!(cell["verdict"], "conditional");
    assert_eq!(cell["rules"][0]["rule"], "ioctl: fd == @vcpu && cmd == KVM_RUN");
    assert_eq!(cell["rules"][0]["reason"], "enter the guest");
}

#[test]
fn single_roles_are_shown_with_their_reasons_and_examples_when_asked() {
    let (code, said) = policies(&["--role", "vcpu", "--role", "console", "--reasons"], "100");
    assert_eq!(code, 0, "{said}");
    assert!(said.starts_with(" call          console  vcpu  any of them\n"), "{said}");
    assert!(said.contains("-- enter the guest (vcpu.policy:"), "{said}");
    assert!(
        said.contains("read(fd=0)"),
        "by what strict mode can use a descriptor that it was not given: {said}"
    );
    let (code, said) = policies(&["--role", "nobody"], "100");
    assert_eq!(code, 2);
    assert!(said.starts_with("ringfence: there is no role nobody: there are api, console, "), "{said}");
}

#[test]
fn another_program_s_policy_stands_beside_what_ringfence_s_roles_may_do_together() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("tool.policy");
    let policy = "role tool\ntier filter\notherwise errno EPERM\nexecve: -- other tools\nread: -- input\n";
    fs::write(&file, policy).expect("the folder takes a file");
    let file = file.to_str().expect("its name is text");
    let (code, said) = policies(&["--against", file], "100");
    assert_eq!(code, 0, "{said}");
    for (row, column, expected) in [
        ("execve", "tool", "all"),
        ("execve", "ringfence", "-"),
        ("read", "ringfence", "all"),
        ("start a process", "tool", "yes"),
        ("start a process", "ringfence", "-"),
    ] {
        assert_eq!(cell(&said, row, column), expected, "{row}, {column}:\n{said}");
    }
    let (code, said) = policies(&["--against", "/no/policy"], "100");
    assert_eq!(code, 2);
    assert!(said.contains("/no/policy"), "{said}");
}

#[test]
fn how_a_file_of_another_program_is_read_can_be_said_to_every_audit() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("profile");
    let profile = r#"{"defaultAction": "SCMP_ACT_ERRNO", "architectures": ["SCMP_ARCH_X86_64"], "syscalls": [
        {"names": ["read"], "action": "SCMP_ACT_ALLOW"},
        {"names": ["reboot"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_BOOT"]}}]}"#;
    fs::write(&file, profile).expect("the folder takes a file");
    let file = file.to_str().expect("UTF-8");
    let rows = |reading: &[&str]| {
        let report = report(&[&["--against", file], reading].concat());
        let rows = report["calls"].as_array().expect("a list of calls");
        rows.iter().map(|row| row["call"].as_str().expect("a name").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(rows(&["--from", "oci"]), ["read"]);
    assert_eq!(rows(&["--cap", "sys_boot"]), ["read", "reboot"]);
    let pid = std::process::id().to_string();
    for command in [
        &["audit", "policies", "--against", file][..],
        &["audit", "live", &pid, "--expect", file],
        &["audit", "learn", "--against", file, "--", "true"],
        &["audit", "observe", &pid, "--policy", file, "--for", "1"],
    ] {
        let output = Command::new(binary::ringfence())
            .args(&command[..2])
            .args(["--from", "minijail"])
            .args(&command[2..])
            .stdin(Stdio::null())
            .output()
            .expect("the binary can be started");
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{command:?}: {said}");
        assert!(said.contains("does not hold or cannot be read"), "{command:?}: {said}");
    }
}
