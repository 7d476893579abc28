//! Whatever the text, there is an answer.

use proptest::prelude::*;
use seccomp_policies::language::{check_sources, format};
use seccomp_policies::syscalls::Arch;

/// Words of the language, separators, and what does not belong.
fn word() -> impl Strategy<Value = String> {
    let words = [
        "role",
        "tier",
        "filter",
        "strict",
        "bitmask",
        "otherwise",
        "trap",
        "errno",
        "EPERM",
        "fd",
        "include",
        "if",
        "on",
        "x86_64",
        "aarch64",
        "in",
        "read",
        "ioctl",
        "sys_write",
        "open",
        "cmd",
        "count",
        "KVM_RUN",
        "AT_FDCWD",
        "O_CREAT",
        "3",
        "0x",
        "0x80",
        "08",
        "18446744073709551616",
        "-1",
        "--",
        "-",
        "#",
        ":",
        "=",
        "==",
        "!=",
        "<",
        "<=",
        ">",
        ">=",
        "&",
        "&&",
        "|",
        "||",
        "!",
        "~",
        "(",
        ")",
        "{",
        "}",
        ",",
        "@",
        "..",
        "\"",
        "\"r.policy\"",
        "\"a.policy\"",
        "\n",
        "\n",
        "\n  ",
        "\r\n",
        " ",
        "\t",
        "é",
        "\u{a0}",
        "\u{feff}",
        "漢",
        "\u{1f980}",
        "\0",
    ];
    prop_oneof![12 => prop::sample::select(words.to_vec()).prop_map(str::to_owned), 1 => any::<char>().prop_map(String::from)]
}

/// Text that mostly looks like a policy.
fn text() -> impl Strategy<Value = String> {
    let header = prop_oneof![Just(""), Just("role r\ntier filter\notherwise trap\nfd bell = 4 -- bell\n")];
    let words = prop::collection::vec((word(), prop_oneof![Just(" "), Just("")]), 0..40);
    (header, words).prop_map(|(header, words)| {
        let words: String = words.into_iter().flat_map(|(word, gap)| [word, gap.to_owned()]).collect();
        format!("{header}{words}")
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn any_text_is_a_policy_or_has_errors_with_their_places(root in text(), included in text()) {
        let sources = [("r.policy", root.as_str()), ("a.policy", included.as_str())];
        for arch in [Arch::X86_64, Arch::Aarch64] {
            match check_sources("r.policy", &sources, arch) {
                Ok(checked) => prop_assert_eq!(checked.notes.render(false).is_empty(), checked.notes.is_empty()),
                Err(errors) => prop_assert!(errors.render(true).contains("error")),
            }
        }
    }

    #[test]
    fn text_that_can_be_formatted_is_stable_from_then_on(text in text()) {
        if let Ok(once) = format("r.policy", &text) {
            let twice = format("r.policy", &once);
            prop_assert_eq!(twice.map_err(|errors| errors.to_string()), Ok(once));
        }
    }
}
