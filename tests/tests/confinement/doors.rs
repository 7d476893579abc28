//! What may stand in one place of the sources alone: the birth of threads, and code that the compiler cannot check.

use std::fs;
use std::path::{Path, PathBuf};

fn sources() -> Vec<PathBuf> {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("../vmm/src")];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("the sources are there") {
            let path = entry.expect("the folder can be read").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    assert!(files.len() > 20, "only {} files: is this the folder of the monitor?", files.len());
    files
}

/// Code without comments, and without the unit tests, which stand last in a file.
fn code_of(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let (code, _) = text.split_once("#[cfg(test)]\nmod tests {").unwrap_or((text, ""));
    let code = code.lines().map(|line| line.split("//").next().unwrap_or_default());
    code.enumerate().map(|(index, line)| (index + 1, line))
}

/// Every line of code with one of the words outside the allowed places (the starts of paths below `vmm/src`).
fn found_outside(allowed: &[&str], words: &[&str]) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../vmm/src");
    let mut found = Vec::new();
    for file in sources() {
        let place = file.strip_prefix(&root).expect("the file lies below the folder").to_string_lossy();
        if allowed.iter().any(|allowed| place.starts_with(allowed)) {
            continue;
        }
        let text = fs::read_to_string(&file).expect("a source is text");
        for (number, line) in code_of(&text) {
            if words.iter().any(|word| line.contains(word)) {
                found.push(format!("vmm/src/{place}:{number}: {}", line.trim()));
            }
        }
    }
    found
}

const BIRTHS: &[&str] =
    &["thread::spawn", "thread::Builder", "thread::scope", "scope.spawn", "fork(", "clone3("];

#[test]
fn threads_are_born_by_one_door() {
    // Looks up tracepoints in a mount namespace of its own, before any thread is fenced, and has ended by then.
    let reader = "tracepoint/";
    // Waits for a command to begin, of `audit learn`, which fences nobody.
    let starter = "audit/record/child.rs";
    // Measures: its threads run no guest of a user's, and its tracer is made before any of them.
    let bench = "bench/";
    let found = found_outside(&["confine/thread.rs", reader, starter, bench], BIRTHS);
    assert!(found.is_empty(), "threads of another birth than confine::thread:\n{}", found.join("\n"));
}

#[test]
fn what_is_for_tests_alone_does_not_hide_what_stands_behind_it() {
    let text =
        "mod one;\n#[cfg(test)]\nmod two;\nunsafe {} // why\n#[cfg(test)]\nmod tests {\nunsafe {}\n}\n";
    let code: Vec<_> = code_of(text).filter(|(_, line)| line.contains("unsafe")).collect();
    assert_eq!(code, [(4, "unsafe {} ")]);
}

#[test]
fn the_door_is_where_this_test_says() {
    let outside = found_outside(&[], BIRTHS);
    assert!(outside.iter().any(|line| line.contains("confine/thread.rs")), "{outside:?}");
}

#[test]
fn unsafe_code_stands_where_the_kernels_interface_needs_it() {
    // bench makes threads and a tracer, and puts descriptors at their slots, as a run does.
    // host/mod.rs asks for the version of Landlock, audit/live/tracee.rs for a thread's filters by ptrace, and audit/record
    // records calls, for which none of the crates has a call; tracepoint makes a mount namespace and sets events up.
    let allowed = [
        "audit/live/tracee.rs",
        "audit/record/child.rs",
        "audit/record/perf.rs",
        "audit/record/ptrace.rs",
        "bench/calls/",
        "bench/confining/",
        "bench/exit_path/",
        "bench/method/clock.rs",
        "bench/thread.rs",
        "confine/",
        "exec/",
        "machine/",
        "role/",
        "host/mod.rs",
        "tracepoint/",
    ];
    let found = found_outside(&allowed, &["unsafe {", "unsafe fn", "unsafe impl"]);
    assert!(found.is_empty(), "unsafe code in places of its own:\n{}", found.join("\n"));
}
