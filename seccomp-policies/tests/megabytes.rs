//! A megabyte of anything: every reader takes it or refuses it, and what it allocates for it grows no faster than the
//! input.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use seccomp_policies::import::{Dialect, Format, Options, read_bytes};
use seccomp_policies::language::{check_sources, format, write};
use seccomp_policies::pattern::Pattern;
use seccomp_policies::profile::Profile;
use seccomp_policies::simulate::simulate;
use seccomp_policies::syscalls::Arch;
use seccomp_policies::trace::{calls, counts};

/// The largest text that is read.
const MAX_BYTES: usize = 1 << 20;

/// Counts what each thread allocates, in bytes. Freed bytes are not taken off: they count as work.
struct Counting;

thread_local! {
    static ALLOCATED: Cell<u64> = const { Cell::new(0) };
}

fn count(bytes: usize) {
    ALLOCATED.set(ALLOCATED.get() + bytes as u64);
}

// SAFETY: every call is the system's own with the same arguments; counting touches a number without a destructor, of this
// thread alone, and allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller keeps the rules of this very function.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: `memory` is from `alloc` or `realloc` above, which are the system's.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size);
        // SAFETY: as above.
        unsafe { System.realloc(memory, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What a reader allocates for an input.
fn allocated(read: fn(&str), input: &str) -> u64 {
    let before = ALLOCATED.get();
    read(input);
    ALLOCATED.get() - before
}

/// An input that repeats a part, as long as is asked for.
struct Shape {
    name: &'static str,
    before: &'static str,
    part: fn(usize) -> String,
    after: &'static str,
}

impl Shape {
    /// The input, of at most so many bytes.
    fn of(&self, bytes: usize) -> String {
        let mut text = self.before.to_owned();
        for number in 0.. {
            let part = (self.part)(number);
            if text.len() + part.len() + self.after.len() > bytes {
                break;
            }
            text.push_str(&part);
        }
        text + self.after
    }
}

/// Reads each shape at a quarter of a megabyte and at a whole one. Four times the input may cost four times as much and
/// some, and a square of it sixteen times.
fn assert_linear(read: fn(&str), shapes: &[Shape]) {
    for shape in shapes {
        let (quarter, whole) = (shape.of(MAX_BYTES / 4), shape.of(MAX_BYTES));
        let (few, many) = (allocated(read, &quarter), allocated(read, &whole));
        let most = few * 8 + (64 << 20);
        assert!(
            many <= most,
            "{}: {few} bytes for {}, {many} for {}",
            shape.name,
            quarter.len(),
            whole.len()
        );
    }
}

fn shape(name: &'static str, before: &'static str, part: fn(usize) -> String, after: &'static str) -> Shape {
    Shape { name, before, part, after }
}

const HEADER: &str = "role r\ntier filter\notherwise trap\n";

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
        let before = ALLOCATED.get();
        let message =
            read_bytes("r", text.as_bytes(), Some(form), &Options::default()).unwrap_err().to_string();
        assert!(message.contains("`read` has more than 512 rules"), "{message}");
        let allocated = ALLOCATED.get() - before;
        assert!(allocated < 1 << 30, "{allocated} bytes of {form}");
    }
}
