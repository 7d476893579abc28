//! The policy language.

use seccomp_policies::language::{Policy, check_sources, format, write};
use seccomp_policies::prove::Decisions;
use seccomp_policies::syscalls::Arch;

/// Stands between the policy and the file that it may include, on a line of its own.
const NEXT_FILE: &str = "\n%%\n";

/// A policy, and after a line `%%` the text of `a.policy`.
///
/// A text that holds can be laid out without another meaning and written as a text of the same meaning; one that does
/// not has an error. What has been laid out stays as it is.
pub fn language(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let (root, included) = text.split_once(NEXT_FILE).unwrap_or((text, ""));
    let laid_out = laid_out(root);
    let mut taken = false;
    for arch in Arch::ALL {
        let read =
            |root: &str| check_sources("r.policy", &[("r.policy", root), ("a.policy", included)], arch);
        match read(root) {
            Ok(checked) => {
                assert_eq!(checked.notes.render(true).is_empty(), checked.notes.is_empty());
                let laid_out = laid_out.as_deref().expect("a text that holds can be laid out");
                let again = read(laid_out).unwrap_or_else(|errors| panic!("laid out: {laid_out}\n{errors}"));
                assert_same(&checked.policy, &again.policy, laid_out);
                assert_written_is_read_back(&checked.policy);
                taken = true;
            }
            Err(errors) => assert!(errors.render(true).contains("error"), "{errors:?}"),
        }
    }
    taken
}

fn laid_out(text: &str) -> Option<String> {
    let once = format("r.policy", text).ok()?;
    let twice = format("r.policy", &once).unwrap_or_else(|errors| panic!("laid out: {once}\n{errors}"));
    assert_eq!(twice, once, "laid out twice");
    Some(once)
}

/// Reading what was written of a policy gives a policy of the same meaning.
pub fn assert_written_is_read_back(policy: &Policy) {
    let text = write(policy);
    let read = check_sources("r.policy", &[("r.policy", &text)], policy.arch);
    let read = read.unwrap_or_else(|errors| panic!("written: {text}\n{errors}"));
    assert_same(policy, &read.policy, &text);
}

/// Both policies decide every call in the same way; `text` is shown if not.
pub fn assert_same(one: &Policy, other: &Policy, text: &str) {
    assert_eq!(one.tier, other.tier, "{text}");
    if let Some(difference) = Decisions::of_policy(one).difference(&Decisions::of_policy(other)) {
        panic!("{difference}\n{text}");
    }
}
