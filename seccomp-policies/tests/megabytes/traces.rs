//! Profiles, traces and calls.

use seccomp_policies::language::check_sources;
use seccomp_policies::pattern::Pattern;
use seccomp_policies::profile::Profile;
use seccomp_policies::simulate::simulate;
use seccomp_policies::syscalls::Arch;
use seccomp_policies::trace::{calls, counts};

use super::{HEADER, MAX_BYTES, assert_linear, shape};

#[test]
fn profiles_are_read_in_proportion() {
    fn profile(text: &str) {
        match Profile::from_text("r.profile", text) {
            Ok(profile) => assert!(!profile.to_string().is_empty()),
            Err(errors) => assert!(!errors.is_empty()),
        }
    }
    let shapes = [
        shape("unknown calls", "", |number| format!("raed{number} 1\n"), ""),
        shape("a call again and again", "", |_| "read 1\n".to_owned(), ""),
        shape("dates", "", |_| "date x\n".to_owned(), ""),
        shape("a workload", "kernel x\ndate 2026-01-01\nworkload ", |_| "x".to_owned(), "\n"),
        shape("a name", "", |_| "x".to_owned(), " 1\n"),
        shape("comments", "", |_| "#\n".to_owned(), ""),
    ];
    assert_linear(profile, &shapes);
    let too_large = Profile::from_text("r.profile", &"#\n".repeat(MAX_BYTES)).unwrap_err();
    assert_eq!(too_large.to_string(), "error: r.profile is larger than 1 MiB, which no profile is\n");
}

#[test]
fn traces_are_read_in_proportion() {
    fn trace(text: &str) {
        let policy = check_sources("r", &[("r", &format!("{HEADER}read: fd == 3 -- x\n"))], Arch::X86_64);
        let simulated = simulate(&policy.expect("it holds").policy, calls(text, Arch::X86_64));
        let _ = (simulated, counts(text, Arch::X86_64, None), counts(text, Arch::X86_64, Some("vcpu")));
    }
    let shapes = [
        shape("calls", "", |number| format!("read({number}, \"\", 1) = 1\n"), ""),
        shape("arguments", "read(", |_| "1,".to_owned(), ")"),
        shape("named arguments", "read(", |_| "x=1,".to_owned(), ")"),
        shape("parentheses", "read", |_| "(".to_owned(), ""),
        shape("a string", "read(3, \"", |_| "\\\"".to_owned(), "\")"),
        shape("an unclosed comment", "read(3", |_| "/*".to_owned(), ")"),
        shape("decorations", "read(3", |_| "<a".to_owned(), ")"),
        shape("bits", "read(3", |_| "|O_RDONLY".to_owned(), ")"),
        shape("alternatives", "read(3", |_| " or 1".to_owned(), ")"),
        shape("factors", "read(3", |_| "*1".to_owned(), ")"),
        shape("processes", "", |number| format!("[pid {number}] read(3 <unfinished ...>\n"), ""),
        shape("prefixes", "", |_| "[1] ".to_owned(), "read(3)"),
        shape("halves of calls", "", |_| "1 read(1 <unfinished ...>\n1 <... read resumed>)\n".to_owned(), ""),
        shape(
            "rows",
            "% time seconds usecs/call calls errors syscall\n",
            |number| format!("1 1 1 {number} read\n"),
            "",
        ),
        shape(
            "threads",
            "{\"threads\":[{\"role\":\"a\"}",
            |number| format!(",{{\"role\":\"{number}\"}}"),
            "]}",
        ),
        shape("open arrays", "{\"threads\":", |_| "[".to_owned(), ""),
    ];
    assert_linear(trace, &shapes);
}

#[test]
fn calls_are_read_in_proportion() {
    fn pattern(text: &str) {
        if let Err(errors) = Pattern::parse(text, Arch::X86_64) {
            assert!(!errors.is_empty());
        }
    }
    let shapes = [
        shape("a name", "", |_| "x".to_owned(), "(1)"),
        shape("arguments", "read(1", |_| ",1".to_owned(), ")"),
        shape("braces", "read(", |_| "{".to_owned(), ""),
        shape("a constant", "read(", |_| "X".to_owned(), ")"),
        shape("what stands after it", "read(3)", |_| " = 1".to_owned(), ""),
    ];
    assert_linear(pattern, &shapes);
}
