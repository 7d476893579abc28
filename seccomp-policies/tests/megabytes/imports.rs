//! Other programs' policies.

use seccomp_policies::import::{Dialect, Format, Options, read_bytes};
use seccomp_policies::language::write;
use seccomp_policies::syscalls::Arch;

use super::{MAX_BYTES, Shape, allocated, assert_linear, shape};

fn imported(text: &str, form: Format) {
    let options = Options {
        arch: Some(Arch::X86_64),
        lossy: true,
        dialect: Some(Dialect::Compiler),
        ..Options::default()
    };
    for options in [Options::default(), options] {
        match read_bytes("r", text.as_bytes(), Some(form), &options) {
            Ok(imported) => {
                let _: Vec<String> = imported.policies.iter().map(write).collect();
            }
            Err(errors) => assert!(!errors.is_empty()),
        }
    }
}

/// Shapes of any JSON.
fn json_shapes() -> Vec<Shape> {
    vec![
        shape("open arrays", "", |_| "[".to_owned(), ""),
        shape("open objects", "", |_| "{\"a\":".to_owned(), ""),
        shape("numbers", "[0", |_| ",1".to_owned(), "]"),
        shape("an unclosed string", "\"", |_| "x".to_owned(), ""),
        shape("escapes", "{\"", |_| "\\u00e9".to_owned(), "\": 1}"),
        shape("digits", "", |_| "1".to_owned(), ""),
        shape("equal fields", "{\"a\": 1", |_| ",\"a\":1".to_owned(), "}"),
        shape("white space", "{", |_| "\n".to_owned(), "}"),
    ]
}

#[test]
fn filters_of_firecracker_are_read_in_proportion() {
    const THREAD: &str = r#"{"t":{"default_action":"trap","filter_action":"allow","filter":["#;
    let empty = |number| {
        format!(
            "\"t{number}\":{{\"default_action\":\"trap\",\"filter_action\":\"allow\",\"filter\":[]}},\n\n\n\n"
        )
    };
    let mut shapes = json_shapes();
    shapes.extend([
        shape("threads", "{", empty, r#""last":{}}"#),
        shape("threads with errors", "{\"a\":1", |number| format!(",\"t{number}\":{{}}"), "}"),
        shape("rules", THREAD, |_| "{\"syscall\":\"getpid\"},\n".to_owned(), "{\"syscall\":\"read\"}]}}"),
        shape("rules with errors", THREAD, |_| "{\"syscall\":1},".to_owned(), "1]}}"),
        shape(
            "a comment",
            "{\"t\":{\"filter\":[{\"syscall\":\"read\",\"comment\":\"",
            |_| "x".to_owned(),
            "\"}],\"default_action\":\"trap\",\"filter_action\":\"allow\"}}",
        ),
    ]);
    assert_linear(|text| imported(text, Format::Firecracker), &shapes);
}

#[test]
fn profiles_of_runtimes_are_read_in_proportion() {
    const PROFILE: &str = r#"{"defaultAction":"SCMP_ACT_ERRNO","syscalls":["#;
    let mut shapes = json_shapes();
    shapes.extend([
        shape(
            "entries",
            PROFILE,
            |_| "{\"names\":[\"read\"],\"action\":\"SCMP_ACT_ALLOW\"},\n".to_owned(),
            "1]}",
        ),
        shape(
            "architectures",
            "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"architectures\":[\"\"",
            |_| ",\"SCMP_ARCH_X86\"".to_owned(),
            "]}",
        ),
        shape(
            "capabilities",
            "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"syscalls\":[{\"names\":[\"read\"],\
             \"action\":\"SCMP_ACT_ALLOW\",\"includes\":{\"caps\":[\"\"",
            |_| ",\"CAP_SYS_ADMIN\"".to_owned(),
            "]}}]}",
        ),
        shape(
            "a comment",
            "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"syscalls\":[{\"names\":[\"read\"],\
             \"action\":\"SCMP_ACT_ALLOW\",\"comment\":\"",
            |_| "x".to_owned(),
            "\"}]}",
        ),
    ]);
    assert_linear(|text| imported(text, Format::Oci), &shapes);
}

#[test]
fn policies_of_minijail_are_read_in_proportion() {
    let shapes = [
        shape("rules", "", |number| format!("read: arg0 == {number}\n"), ""),
        shape("tests", "read: arg0 == 1", |number| format!(" || arg0 == {number}"), "\n"),
        shape("parentheses", "read: arg0 == ", |_| "(".to_owned(), ""),
        shape("complements", "read: arg0 == ", |_| "~".to_owned(), "1"),
        shape("bits", "read: arg0 == 1", |_| "|1".to_owned(), "\n"),
        shape("calls", "{read", |_| ",read".to_owned(), "}: allow"),
        shape("filters", "read: {arg0 == 1; log", |_| ", arg0 == 2; log".to_owned(), "}"),
        shape("architectures", "read[arch=a", |_| ",b".to_owned(), "]: 1"),
        shape("joined lines", "read:", |_| "\\\n".to_owned(), " 1"),
        shape("comments", "", |_| "#\n".to_owned(), "read: 1"),
        shape("words without meaning", "", |_| "x\n".to_owned(), ""),
        shape("characters without meaning", "", |_| "!\n".to_owned(), ""),
        shape("includes", "", |_| "@include /a\n".to_owned(), ""),
        shape("a path", "@include /", |_| "a/".to_owned(), "\n"),
    ];
    assert_linear(|text| imported(text, Format::Minijail), &shapes);
}

#[test]
fn profiles_of_lxc_are_read_in_proportion() {
    let shapes = [
        shape("rules", "2\ndenylist\n", |number| format!("read errno {}\n", number % 4096), ""),
        shape("comparisons", "2\nallowlist\nread allow ", |_| "[0,1,==]".to_owned(), "\n"),
        shape("numbers", "1\nallowlist\n", |number| format!("{number}\n"), ""),
        shape("sections", "2\nallowlist\n", |_| "[x86]\nread\n".to_owned(), ""),
        shape("lines without meaning", "2\nallowlist\n", |_| "?\n".to_owned(), ""),
        shape("comments", "2\nallowlist\n", |_| "# x\n".to_owned(), "read\n"),
        shape("blank lines", "2\n", |_| "\n".to_owned(), "allowlist\nread\n"),
        shape("words", "2\nallowlist ", |_| "x ".to_owned(), "\n"),
    ];
    assert_linear(|text| imported(text, Format::Lxc), &shapes);
}

#[test]
fn programs_are_read_in_proportion() {
    let shapes = [
        shape("digits", "", |_| "2".to_owned(), ""),
        shape("instructions", "", |_| "0x20 0 0 0\n".to_owned(), "6 0 0 0\n"),
        shape("bytes", "\0", |_| " \0\0\0\0\0\0\0".to_owned(), "\0\0\0\0\0\0\0"),
        shape("a line", "", |_| "{ 0x20, 0, 0, 0 },".to_owned(), ""),
        shape("comments", "", |_| "//\n".to_owned(), ""),
    ];
    assert_linear(|text| imported(text, Format::Raw), &shapes);
}

/// Half of a megabyte of calls and as much of what is said of each: a product of both would be a hundred gigabytes.
#[test]
fn what_a_rule_says_of_many_calls_is_counted_before_it_is_made() {
    let half = MAX_BYTES / 2 - 100;
    let calls = "read,".repeat(half / 5);
    let filters = "arg0 == 1; log,".repeat(half / 15);
    let text = format!("{{{calls}read}}: {{{filters}arg0 == 2; log}}");
    let message = read_bytes("r", text.as_bytes(), Some(Format::Minijail), &Options::default()).unwrap_err();
    assert!(
        message.to_string().contains("rules for many calls come to more than 65536 comparisons"),
        "{message}"
    );

    // Fewer than the rules that a file may come to.
    let names = "\"read\",".repeat(60_000);
    let comment = "x".repeat(half);
    let profile = format!(
        "{{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"syscalls\":[{{\"names\":[{names}\"read\"],\
         \"action\":\"SCMP_ACT_ALLOW\",\"comment\":\"{comment}\"}}]}}"
    );
    let calls = "read,".repeat(60_000);
    let policy = format!("{{{calls}read}}: arg0 == 1; log # {comment}");
    for (text, form) in [(profile, Format::Oci), (policy, Format::Minijail)] {
        assert!(text.len() < MAX_BYTES);
        let bytes = allocated(
            |text| {
                let errors = read_bytes("r", text.as_bytes(), Some(form), &Options::default()).unwrap_err();
                assert!(errors.to_string().contains("`read` has more than 512 rules"), "{errors}");
            },
            &text,
        );
        assert!(bytes < 1 << 30, "{bytes} bytes of {form}");
    }
}
