//! The examples of the help texts.

use std::path::Path;
use std::process::Command;

use ringfence_tests::binary::ringfence;
use ringfence_tests::policy::{policy, run};

use super::folder;

/// The questions that have a help text with examples.
const QUESTIONS: &[&str] = &["diff", "exec", "explain", "lint", "profile", "simulate", "stats"];

#[test]
fn every_example_is_answered_with_yes() {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../seccomp-policies/policies");
    let text = |name: &str| std::fs::read_to_string(shipped.join(name)).expect("it is there");
    let vcpu = text("vcpu.policy").replace("common/", "");
    let profile = "workload w\nkernel 6.18\ndate 2026-11-24\n\nread 9\nopenat 2\nclose 2\nexit_group 1\n";
    let folder = folder(&[
        ("vcpu.policy", vcpu.as_str()),
        ("vcpu.profile", text("vcpu.profile").as_str()),
        ("web.policy", super::POLICY),
        ("web.profile", profile),
        ("waiting.policy", text("common/waiting.policy").as_str()),
        ("server.policy", super::POLICY),
        ("base.policy", "role base\ntier filter\notherwise allow\nptrace: trap -- no\n"),
        ("server.strace", "read(3, \"\", 64) = 0\nexit_group(0) = ?\n"),
        ("server.profile", profile),
        ("calls.txt", "read(3, ?, 64)\nclose\n"),
    ]);
    let binaries = ringfence().parent().expect("it is in a folder").display().to_string();
    for question in QUESTIONS {
        let (code, help, _) = run(&mut policy(folder.path(), &[question, "--help"]));
        assert_eq!(code, 0);
        let examples: Vec<_> = help.lines().filter_map(|line| line.strip_prefix("  ringfence ")).collect();
        assert!(examples.len() > 1, "{question} has no examples:\n{help}");
        for example in examples {
            let mut shell = Command::new("sh");
            shell.args(["-c", &format!("{binaries}/ringfence {example}")]).current_dir(folder.path());
            let (code, _, errors) = run(&mut shell);
            assert_eq!(code, 0, "{example}: {errors}");
        }
    }
}

/// Every command of `policy`.
const COMMANDS: &[&str] =
    &["check", "fmt", "compile", "diff", "import", "explain", "simulate", "stats", "lint", "profile", "exec"];

#[test]
fn no_example_and_no_list_is_broken_on_80_columns() {
    for command in COMMANDS {
        let indented = |columns: &str| -> Vec<String> {
            let mut help = policy(Path::new("."), &[command, "--help"]);
            let (code, help, _) = run(help.env("COLUMNS", columns));
            assert_eq!(code, 0, "{command}");
            let widest = help.lines().map(|line| line.chars().count()).max();
            assert!(widest <= columns.parse().ok(), "{command}: {widest:?} columns of {columns}");
            // What comes behind the options is laid out as it is written.
            let behind = help.rsplit_once("\n\nExit codes:").expect("it has exit codes").1;
            let lists = help.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
            let examples = behind.lines().filter(|line| line.starts_with("  "));
            let kinds = lists.filter(|line| !line.trim_start().starts_with('-') && !line.contains('<'));
            kinds.chain(examples).map(str::to_owned).collect()
        };
        assert_eq!(indented("80"), indented("100"), "{command}");
    }
}
