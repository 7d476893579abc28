//! Policies.

use seccomp_policies::language::{check_sources, format, write};
use seccomp_policies::profile::Profile;
use seccomp_policies::syscalls::Arch;

use super::{HEADER, MAX_BYTES, assert_linear, shape};

fn language(text: &str) {
    match check_sources("r.policy", &[("r.policy", text)], Arch::X86_64) {
        Ok(checked) => {
            let _ = write(&checked.policy);
        }
        Err(errors) => assert!(!errors.is_empty()),
    }
    if let Err(errors) = format("r.policy", text) {
        assert!(!errors.is_empty());
    }
}

#[test]
fn the_language_reads_a_megabyte_in_proportion() {
    assert_linear(
        language,
        &[
            shape("lines without meaning", HEADER, |_| "?\n".to_owned(), ""),
            shape("a line without meaning", HEADER, |_| "? ".to_owned(), ""),
            shape("an indented line after a long name", "", |_| "x".to_owned(), ": -- a\n b\n c\n"),
            shape("parentheses", "role r\nread: ", |_| "(".to_owned(), ""),
            shape("negations", "role r\nread: ", |_| "!".to_owned(), ""),
            shape("operators", "role r\nread: fd == 1", |_| " | 1".to_owned(), " -- many"),
            shape("members", "role r\nread: fd in {", |number| format!("{number},"), "1} -- many"),
            shape(
                "tests of a line",
                "role r\nread: fd == 1",
                |number| format!(" || fd == {number}"),
                " -- x",
            ),
            shape("comments", HEADER, |_| "#\n".to_owned(), "getpid: -- x\n"),
            shape(
                "a reason",
                "role r\ntier filter\notherwise trap\ngetpid: -- a",
                |_| "\n  b".to_owned(),
                "\n",
            ),
            shape("blank lines", HEADER, |_| "\n".to_owned(), "getpid: -- x\n"),
            shape("roles", "", |_| "role r\n".to_owned(), ""),
            shape("includes of nothing", HEADER, |number| format!("include \"{number}\"\n"), ""),
            shape("includes of itself", HEADER, |_| "include \"r.policy\"\n".to_owned(), ""),
            shape("a path", "role r\ninclude \"", |_| "a/../".to_owned(), "b\"\n"),
            shape("slots", HEADER, |number| format!("fd s{number} = {number} -- x\n"), ""),
            shape("equal rules", HEADER, |_| "getpid: -- again\n".to_owned(), ""),
            shape("digits", "role r\nread: fd == 1", |_| "1".to_owned(), " -- x\n"),
            shape("dashes", HEADER, |_| "-".to_owned(), ""),
            shape("zeros", HEADER, |_| "\0".to_owned(), ""),
            shape("carriage returns", HEADER, |_| "\r".to_owned(), ""),
        ],
    );
}

/// Twenty findings are shown at most, each with its line as far as a terminal is wide.
#[test]
fn findings_in_a_megabyte_are_shown_in_few_words() {
    for line in ["? ", "?\n"] {
        let text = format!("{HEADER}{}", line.repeat(MAX_BYTES / 2 - 100));
        let errors = check_sources("r.policy", &[("r.policy", &text)], Arch::X86_64).unwrap_err();
        let profile = Profile::from_text("r.profile", &text).unwrap_err();
        let layout = format("r.policy", &text).unwrap_err();
        for findings in [errors, profile, layout] {
            assert!(findings.len() <= 21, "{} findings", findings.len());
            let shown = findings.render(true).len();
            assert!(shown < 50_000, "{shown} bytes");
        }
    }
}

/// A reason of many lines after a word as long as the text: white space before each line would be the square of it.
#[test]
fn a_layout_is_no_longer_than_its_text_allows() {
    let half = MAX_BYTES / 2 - 100;
    let text = format!("{}: -- a\n{}", "x".repeat(half), " b\n".repeat(half / 3));
    let laid_out = format("r.policy", &text).expect("a rule of an unknown call has a layout");
    assert!(laid_out.len() < 50 * text.len(), "{} bytes", laid_out.len());
    assert_eq!(
        format("r.policy", &format!("x: -- {}\n", "y".repeat(MAX_BYTES))).unwrap_err().to_string(),
        "error: r.policy is larger than 1 MiB, which no policy is\n"
    );
}
