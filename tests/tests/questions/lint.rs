//! `policy lint`

use ringfence_tests::policy::{policy, run};
use serde_json::Value;

use super::folder;

const LOOSE: &str =
    "role r\ntier filter\notherwise kill_thread\n\nptrace:  -- debug\nread: count == 8  -- input\n";

#[test]
fn findings_are_the_result_and_the_exit_code_says_that_there_are_some() {
    let folder = folder(&[("loose.policy", LOOSE)]);
    let (code, output, errors) = run(&mut policy(folder.path(), &["lint", "loose.policy", "r.policy"]));
    assert_eq!((code, errors.as_str()), (1, "4 findings in 2 policies\n"));
    for part in
        ["loose.policy:3:1", "[hidden-failure]", "loose.policy:5:1", "[dangerous-call]", "[open-descriptor]"]
    {
        assert!(output.contains(part), "{part} is missing from {output}");
    }
}

#[test]
fn a_kind_is_turned_off_by_its_name() {
    let folder = folder(&[("loose.policy", LOOSE)]);
    let allow = ["lint", "loose.policy", "--allow", "hidden-failure", "--allow", "dangerous-call"];
    let (code, output, _) = run(&mut policy(folder.path(), &allow));
    assert_eq!(code, 1);
    assert_eq!(output.matches("warning:").count(), 1, "{output}");
    assert_eq!(run(policy(folder.path(), &allow).args(["--allow", "open-descriptor"])).0, 0);
    assert_eq!(run(policy(folder.path(), &allow).args(["--allow", "everything"])).0, 2);
}

#[test]
fn a_policy_that_cannot_be_read_is_not_taken_for_one_with_findings() {
    let folder = folder(&[]);
    assert_eq!(run(&mut policy(folder.path(), &["lint", "none.policy"])).0, 2);
}

#[test]
fn programs_get_the_kind_and_the_place_of_each_finding() {
    let folder = folder(&[("loose.policy", LOOSE)]);
    let (_, output, _) = run(&mut policy(folder.path(), &["lint", "--json", "loose.policy"]));
    let json: Value = serde_json::from_str(&output).expect("it is JSON");
    let finding = &json["policies"][0]["findings"][1];
    assert_eq!((&json["schema"], &json["policies"][0]["role"]), (&1.into(), &"r".into()));
    assert_eq!((&finding["lint"], &finding["line"]), (&"dangerous-call".into(), &5.into()));
    assert_eq!(finding["severity"], "warning");
}

#[test]
fn a_rule_for_a_call_that_no_profile_has_is_unused() {
    let profile = "workload w\nkernel 6.18\ndate 2026-11-24\n\nread 9\nopenat 2\nexit_group 0\n";
    let folder = folder(&[("r.profile", profile)]);
    let arguments = ["lint", "--profile", "r.profile", "--allow", "open-descriptor", "r.policy"];
    let (code, output, _) = run(&mut policy(folder.path(), &arguments));
    assert_eq!((code, output.matches("[unused-rule]").count()), (1, 2), "{output}");
    assert!(output.contains("`close`") && output.contains("`exit_group`"), "{output}");
}
