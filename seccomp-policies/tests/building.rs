//! A folder of policies as a build script has it.

use std::fs;

use insta::assert_snapshot;
use seccomp_policies::build::{Build, Error};
use seccomp_policies::language::check_sources;
use seccomp_policies::syscalls::Arch;
use tempfile::TempDir;

const WORKER: &str = "role worker\ntier filter\notherwise errno EPERM\ninclude \"common/log.policy\"\n";
const LOG: &str = "fd log = 2 -- messages\nwrite: fd == @log -- say what went wrong\n";

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = TempDir::new().expect("there is a temporary folder");
    fs::create_dir(folder.path().join("common")).expect("it is empty");
    for (name, text) in files {
        fs::write(folder.path().join(name), text).expect("it can be written");
    }
    folder
}

/// What the build says, with the folder's own name taken out.
fn failure(files: &[(&str, &str)]) -> String {
    let folder = folder(files);
    let error = Build::new(folder.path()).also(Arch::Aarch64).source(Arch::X86_64);
    let message = error.expect_err("the build fails").to_string();
    message.replace(folder.path().to_str().expect("its path is text"), "policies")
}

#[test]
fn every_policy_of_the_folder_becomes_a_module_and_what_they_include_does_not() {
    let other = "role acceptor_2\ntier bitmask\notherwise kill\naccept4: -- connections\n";
    let folder = folder(&[
        ("worker.policy", WORKER),
        ("acceptor_2.policy", other),
        ("common/log.policy", LOG),
        ("README.md", "not a policy"),
    ]);
    let source = Build::new(folder.path()).also(Arch::Aarch64).source(Arch::X86_64).expect("they hold");
    let modules: Vec<_> = source.lines().filter(|line| line.starts_with("pub ")).collect();
    assert_eq!(
        modules,
        [
            "pub mod acceptor_2 {",
            "pub mod worker {",
            "pub static ALL: &[&::seccomp_policies::embed::Embedded] = &[&acceptor_2::POLICY, &worker::POLICY];",
        ]
    );
    assert!(source.contains("pub const LOG: ::std::os::fd::RawFd = 2;"), "{source}");
    assert!(
        !source.contains(folder.path().to_str().expect("its path is text")),
        "the machine's paths stay out of it"
    );
}

#[test]
fn programs_are_the_target_s() {
    let folder = folder(&[("worker.policy", WORKER), ("common/log.policy", LOG)]);
    let source = |arch| Build::new(folder.path()).source(arch).expect("it holds");
    let load = |arch: Arch| format!("k: {:#x} }}", arch.audit_value());
    for (arch, other) in [(Arch::X86_64, Arch::Aarch64), (Arch::Aarch64, Arch::X86_64)] {
        assert!(source(arch).contains(&load(arch)));
        assert!(!source(arch).contains(&load(other)));
    }
}

#[test]
fn a_policy_that_does_not_hold_fails_with_the_words_of_the_checker() {
    let wrong = "role worker\ntier filter\notherwise errno EPERM\nwrit: -- messages\n";
    assert_snapshot!(failure(&[("worker.policy", wrong)]), @r"
    error: unknown call `writ`
     --> policies/worker.policy:4:1
      |
    4 | writ: -- messages
      | ^^^^ not a system call of x86_64
      |
      = help: did you mean `write`?

    policies/worker.policy does not hold for x86_64
    ");
}

#[test]
fn a_policy_must_hold_for_every_architecture_that_is_asked_for() {
    let old = "role worker\ntier filter\notherwise errno EPERM\nopen: -- files\n";
    assert_snapshot!(failure(&[("worker.policy", old)]), @r"
    error: `open` does not exist on aarch64
     --> policies/worker.policy:4:1
      |
    4 | open: -- files
      | ^^^^ a call of x86_64
      |
      = help: if the rule is for x86_64 alone, say so: `open on x86_64: ...`

    policies/worker.policy does not hold for aarch64
    ");
}

#[test]
fn a_policy_in_a_file_of_another_name_fails() {
    assert_snapshot!(failure(&[("other.policy", WORKER), ("common/log.policy", LOG)]), @"policies/other.policy is the policy of role `worker`; name the file worker.policy, so that each role has one policy and is found by its name");
}

#[test]
fn a_role_that_rust_has_no_name_for_fails_and_a_keyword_does_not() {
    let role =
        |name: &str| format!("role {name}\ntier filter\notherwise errno EPERM\nread: fd == 0 -- input\n");
    assert_snapshot!(failure(&[("self.policy", &role("self"))]), @"in policies, no module of Rust can have the name of role `self`; give the role, and its file, a name of letters, digits and `_` that is not `self`, `Self`, `super` or `crate`");
    let folder = folder(&[("loop.policy", &role("loop"))]);
    let source = Build::new(folder.path()).source(Arch::X86_64).expect("it has a name");
    assert!(source.contains("pub mod r#loop {"), "{source}");
}

#[test]
fn a_folder_without_policies_fails_and_so_does_none() {
    assert_snapshot!(failure(&[("common/log.policy", LOG)]), @"there is no policy in policies; a thread role's policy is a file ROLE.policy in it");
    let missing = Build::new("no/such/folder").source(Arch::X86_64).expect_err("it is not there");
    assert_snapshot!(missing, @"cannot list the policies in no/such/folder: No such file or directory (os error 2)");
}

#[test]
fn outside_of_a_build_script_the_message_says_so() {
    let error = Build::new("policies").write().expect_err("tests are no build scripts");
    assert!(matches!(error, Error::NotABuildScript("OUT_DIR")), "{error}");
    assert_snapshot!(error, @"OUT_DIR is not set; cargo sets it for build scripts, so call this from `build.rs`");
}

#[test]
fn the_policy_of_the_crate_s_own_guide_holds_without_a_note() {
    let guide = include_str!("../src/lib.rs").lines().map_while(|line| line.strip_prefix("//!"));
    let text: Vec<_> = guide.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect();
    let text = text.join("\n");
    let (_, block) = text.split_once("```text\n").expect("it shows one");
    let (policy, _) = block.split_once("```").expect("the block ends");
    let checked = check_sources("worker.policy", &[("worker.policy", policy)], Arch::X86_64);
    let checked = checked.unwrap_or_else(|findings| panic!("{findings}"));
    assert_eq!((checked.policy.role.as_str(), checked.policy.rules.len()), ("worker", 5));
    assert!(checked.notes.is_empty(), "{}", checked.notes);
}
