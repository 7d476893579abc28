//! `policy explain`

use ringfence_tests::policy::{policy, run};
use serde_json::Value;

use super::folder;

fn explain(arguments: &[&str]) -> (i32, String, String) {
    let folder = folder(&[("bad.policy", "role r\nread: -- x\n")]);
    run(&mut policy(folder.path(), &[&["explain"], arguments].concat()))
}

#[test]
fn the_exit_code_tells_allowed_refused_and_depends_apart() {
    for (call, code, part) in [
        ("read(3, ?, 64)", 0, "allowed\n  by read: fd == @input && count <= 64 -- input\n  at r.policy:7\n"),
        ("read(4, ?, 64)", 1, "refused (trap), since no rule matches it\n  nearest rule: read:"),
        ("read(3)", 3, "depends on its arguments"),
    ] {
        let (status, output, errors) = explain(&["r.policy", call]);
        assert_eq!((status, errors.as_str()), (code, ""), "{call}");
        assert!(output.starts_with(&format!("{call}: {part}")), "{output}");
    }
}

#[test]
fn a_question_that_is_none_has_another_exit_code_than_a_no() {
    for (arguments, part) in [
        (["r.policy", "raed(3)"], "did you mean `read`?"),
        (["none.policy", "read"], "cannot read the policy none.policy"),
        (["bad.policy", "read"], "bad.policy does not hold"),
    ] {
        let (code, output, errors) = explain(&arguments);
        assert_eq!((code, output.as_str()), (2, ""), "{errors}");
        assert!(errors.contains(part), "{errors}");
    }
    assert_eq!(explain(&["r.policy"]).0, 2, "wrong usage");
}

#[test]
fn programs_get_the_rule_its_place_and_what_fails() {
    let (code, output, _) = explain(&["--json", "r.policy", "read(fd=4, count=65)"]);
    assert_eq!(code, 1);
    let json: Value = serde_json::from_str(&output).expect("it is JSON");
    assert_eq!((&json["schema"], &json["answer"]), (&1.into(), &"refused".into()));
    assert_eq!(json["nearest"]["place"], "r.policy:7");
    assert_eq!(
        json["nearest"]["failed"],
        serde_json::json!(["fd is 4, not 3", "count is 65, not at most 64"])
    );
    assert_eq!(json["deciders"], serde_json::json!([{ "action": "trap", "rule": null }]));
}
