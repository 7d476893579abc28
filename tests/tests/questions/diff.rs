//! `policy diff`

use ringfence_tests::policy::{policy, run};
use serde_json::Value;

use super::folder;

/// The policy of this test's folder with `read` widened and `close` gone, and another answer to the rest.
const OTHER: &str = "\
role r
tier filter
otherwise kill

read: fd in {3, 4} && count <= 64  -- input
openat: dfd == AT_FDCWD && (flags & O_ACCMODE) == O_RDONLY  -- files
exit_group:  -- end
";

fn diff(arguments: &[&str]) -> (i32, String, String) {
    let folder = folder(&[("other.policy", OTHER)]);
    run(&mut policy(folder.path(), &[&["diff"], arguments].concat()))
}

#[test]
fn each_side_is_told_what_it_alone_allows() {
    let (code, output, errors) = diff(&["r.policy", "other.policy"]);
    assert_eq!((code, errors.as_str()), (1, ""));
    assert_eq!(
        output,
        "allowed by r.policy alone:\n  close: whatever the arguments\n\
         allowed by other.policy alone:\n  read: fd == 4 && count <= 64\n\
         they answer some calls differently that both allow or both refuse: --actions\n"
    );
}

#[test]
fn equal_policies_have_the_exit_code_0_and_what_cannot_be_read_2() {
    assert_eq!(diff(&["r.policy", "r.policy"]), (0, "both allow the same calls\n".to_owned(), String::new()));
    assert_eq!(diff(&["r.policy", "none.policy"]).0, 2);
}

#[test]
fn at_most_asks_about_one_side_alone() {
    let (code, output, _) = diff(&["--at-most", "other.policy", "r.policy"]);
    assert_eq!(
        (code, output.as_str()),
        (1, "allowed by other.policy alone:\n  read: fd == 4 && count <= 64\n")
    );
    let folder = folder(&[("less.policy", "role r\ntier filter\notherwise kill\nexit_group:  -- end\n")]);
    assert_eq!(run(&mut policy(folder.path(), &["diff", "--at-most", "less.policy", "r.policy"])).0, 0);
}

#[test]
fn with_actions_other_answers_are_differences() {
    let folder = folder(&[("kill.policy", &super::POLICY.replace("otherwise trap", "otherwise kill"))]);
    let mut command = policy(folder.path(), &["diff", "--actions", "r.policy", "kill.policy"]);
    let (code, output, _) = run(&mut command);
    assert_eq!(code, 1);
    assert!(output.contains("both allow the same calls\ntrap in A, kill in B:\n"), "{output}");
    assert_eq!(run(&mut policy(folder.path(), &["diff", "r.policy", "kill.policy"])).0, 0);
}

#[test]
fn programs_get_the_rules_of_both_sides() {
    let (_, output, _) = diff(&["--json", "r.policy", "other.policy"]);
    let json: Value = serde_json::from_str(&output).expect("it is JSON");
    assert_eq!(json["schema"], 1);
    assert_eq!(json["left_alone"]["calls"][0]["call"], "close");
    assert_eq!(json["right_alone"]["calls"][0]["expression"], "fd == 4 && count <= 64");
}
