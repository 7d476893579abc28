//! Policies on disk.

use std::fs;
use std::os::unix::fs::symlink;

use seccomp_policies::language::{check_sources, load, load_under};
use seccomp_policies::syscalls::Arch;
use tempfile::TempDir;

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

const POLICY: &str =
    "role r\ntier filter\notherwise trap\ninclude \"shared/libc.policy\"\nexit_group: -- end\n";

#[test]
fn includes_are_read_relative_to_the_file_that_names_them() {
    let folder = folder(&[
        ("r.policy", POLICY),
        ("shared/libc.policy", "include \"../clock.policy\"\nsched_yield: -- spin locks\n"),
        ("clock.policy", "gettid: -- logs\n"),
    ]);
    let checked = load(&folder.path().join("r.policy"), Arch::X86_64).unwrap();
    let rules: Vec<_> =
        checked.policy.rules.iter().map(|rule| (rule.call.name, rule.file.as_str(), rule.line)).collect();
    assert_eq!(
        rules,
        [
            ("gettid", "clock.policy", 1),
            ("sched_yield", "shared/libc.policy", 2),
            ("exit_group", "r.policy", 5)
        ]
    );
}

#[test]
fn the_sources_of_a_loaded_policy_check_again_from_memory() {
    let folder = folder(&[("r.policy", POLICY), ("shared/libc.policy", "gettid: -- logs\n")]);
    let loaded = load(&folder.path().join("r.policy"), Arch::X86_64).unwrap();
    let sources: Vec<_> = loaded.sources.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    assert_eq!(check_sources(sources[0].0, &sources, Arch::X86_64).unwrap().policy, loaded.policy);
}

#[test]
fn a_message_shows_the_path_that_was_given() {
    let folder = folder(&[("r.policy", POLICY), ("shared/libc.policy", "getid: -- logs\n")]);
    let errors = load(&folder.path().join("r.policy"), Arch::X86_64).unwrap_err().to_string();
    let shown = format!("--> {}:1:1", folder.path().join("shared/libc.policy").display());
    assert!(errors.contains(&shown), "{errors}");
}

#[test]
fn a_policy_that_is_not_there_is_said_to_be_missing() {
    let folder = folder(&[]);
    let path = folder.path().join("r.policy");
    let errors = load(&path, Arch::X86_64).unwrap_err().to_string();
    let expected = format!(
        "error: cannot read the policy {}: there is no such file\n |\n = help: give the path of a .policy file\n",
        path.display()
    );
    assert_eq!(errors, expected);
}

#[test]
fn a_file_that_is_no_text_is_said_to_be_none() {
    let folder = folder(&[]);
    fs::write(folder.path().join("r.policy"), [b'r', 0xff, 0xfe]).unwrap();
    let errors = load(&folder.path().join("r.policy"), Arch::X86_64).unwrap_err().to_string();
    assert!(errors.contains("it is not UTF-8 text"), "{errors}");
}

#[test]
fn a_profile_must_be_there_and_its_path_is_kept() {
    let text = "role r\ntier filter\notherwise trap\nfrequency \"r.profile\"\nexit_group: -- end\n";
    let folder = folder(&[("r.policy", text)]);
    let path = folder.path().join("r.policy");
    let errors = load(&path, Arch::X86_64).unwrap_err().to_string();
    assert!(
        errors.starts_with("error: cannot read the profile `r.profile`: there is no such file"),
        "{errors}"
    );
    let profile = "workload w\nkernel 6.18\ndate 2026-11-24\nexit_group 1\n";
    fs::write(folder.path().join("r.profile"), profile).unwrap();
    assert_eq!(load(&path, Arch::X86_64).unwrap().frequency, Some("r.profile".into()));
}

/// A policy in a folder of its own, which includes this file, and files beside that folder.
fn with_a_neighbour(include: &str) -> TempDir {
    let policy = format!("role r\ntier filter\notherwise trap\ninclude \"{include}\"\nexit_group: -- end\n");
    let folder = folder(&[("policies/r.policy", &policy), ("shared/clock.policy", "gettid: -- logs\n")]);
    fs::create_dir(folder.path().join("policies/common")).unwrap();
    symlink("../../shared/clock.policy", folder.path().join("policies/common/link.policy")).unwrap();
    symlink("../shared", folder.path().join("policies/linked")).unwrap();
    folder
}

#[test]
fn no_file_outside_of_the_policys_folder_is_read() {
    let outside = "it lies outside of the folders that may be read";
    let link = "it is a link to a file outside of the folders that may be read";
    for (include, why) in [
        ("../shared/clock.policy", outside),
        ("common/../../shared/clock.policy", outside),
        ("../missing.policy", outside),
        ("../../../../../../../../../etc/passwd", outside),
        ("common/link.policy", link),
        ("linked/clock.policy", link),
        ("missing.policy", "there is no such file"),
    ] {
        let folder = with_a_neighbour(include);
        let path = folder.path().join("policies/r.policy");
        let errors = load(&path, Arch::X86_64).unwrap_err().to_string();
        assert!(errors.contains(&format!(": {why}\n")), "{include}: {errors}");
        assert!(errors.contains("r.policy:4:9\n"), "{include}: {errors}");
        // The same where a profile is named.
        let text = fs::read_to_string(&path).unwrap().replace("include", "frequency");
        fs::write(&path, text).unwrap();
        let errors = load(&path, Arch::X86_64).unwrap_err().to_string();
        assert!(errors.contains(&format!(": {why}\n")), "{include}: {errors}");
    }
}

#[test]
fn a_folder_given_as_a_root_may_be_read_and_no_other() {
    for include in ["../shared/clock.policy", "common/link.policy", "linked/clock.policy"] {
        let folder = with_a_neighbour(include);
        let path = folder.path().join("policies/r.policy");
        let loaded = load_under(&[folder.path().join("shared")], &path, Arch::X86_64);
        let loaded = loaded.unwrap_or_else(|errors| panic!("{errors}"));
        assert_eq!(loaded.policy.rules.len(), 2);
        let sources: Vec<_> =
            loaded.sources.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        assert_eq!(check_sources(sources[0].0, &sources, Arch::X86_64).unwrap().policy, loaded.policy);
        load_under(&[folder.path().join("policies/common")], &path, Arch::X86_64).unwrap_err();
    }
}

#[test]
fn the_policy_itself_may_be_a_link_and_includes_from_where_it_is_named() {
    let folder = with_a_neighbour("common/clock.policy");
    let path = folder.path().join("policies/r.policy");
    fs::rename(&path, folder.path().join("shared/r.policy")).unwrap();
    symlink("../shared/r.policy", &path).unwrap();
    fs::write(folder.path().join("policies/common/clock.policy"), "getpid: -- logs\n").unwrap();
    assert_eq!(load(&path, Arch::X86_64).unwrap().policy.rules[0].call.name, "getpid");
}
