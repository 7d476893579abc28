//! One line of an `strace` log or of a list of calls.

/// What a line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// A call, with or without its result.
    Call(&'a str),
    /// A call that had not returned when another thread was shown.
    Unfinished(&'a str),
    /// The rest of such a call.
    Resumed(&'a str),
    /// A signal, an exit, a comment, `strace`'s own words.
    Nothing,
}

const UNFINISHED: &str = "<unfinished ...>";

/// Divides a line into the process that it is about, 0 where none is named, and what it says.
///
/// In front of the call there may be, by `strace`'s options: `[pid 12]` or `12` (`-f`), a time (`-t`, `-tt`, `-ttt`),
/// the time since the last call (`-r`), the call's number (`-n`) and the instruction pointer (`-i`).
pub(super) fn read(line: &str) -> (u32, Line<'_>) {
    let (mut pid, mut rest) = (0, line.trim());
    while let Some((next, named)) = prefix(rest) {
        // A number in front of a time is a process; the first one is it.
        pid = if pid == 0 { named.unwrap_or(0) } else { pid };
        rest = next.trim_start();
    }
    (pid, said(rest))
}

/// The start of a call in whose middle `strace` says that it follows a new process; the rest is on the next line. It
/// does so where log and messages go to the same place, a terminal or standard error.
pub(super) fn broken(line: &str) -> Option<&str> {
    let (start, process) = line.rsplit_once("strace: Process ")?;
    let is_message = process.strip_suffix(" attached").is_some_and(|pid| pid.parse::<u32>().is_ok());
    (is_message && !start.is_empty()).then_some(start)
}

/// Takes one thing off that stands in front of the call, and the process if that names it.
fn prefix(rest: &str) -> Option<(&str, Option<u32>)> {
    if let Some(pid) = rest.strip_prefix("[pid") {
        let (pid, rest) = pid.split_once(']')?;
        return Some((rest, pid.trim().parse().ok()));
    }
    if let Some((group, rest)) = rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        let is_number = group.chars().all(|c| c.is_ascii_hexdigit() || c == ' ' || c == '?');
        return is_number.then_some((rest, None));
    }
    if let Some((_, rest)) = rest.strip_prefix("(+").and_then(|rest| rest.split_once(')')) {
        return Some((rest, None));
    }
    let (token, rest) = rest.split_once(char::is_whitespace)?;
    let is_number = token.starts_with(|c: char| c.is_ascii_digit())
        && token.chars().all(|c| c.is_ascii_digit() || c == ':' || c == '.');
    is_number.then(|| (rest, token.parse().ok()))
}

fn said(rest: &str) -> Line<'_> {
    if let Some(resumed) = rest.strip_prefix("<... ") {
        return resumed.split_once(" resumed>").map_or(Line::Nothing, |(_, rest)| Line::Resumed(rest));
    }
    let between = ["#", "+++", "---", "strace:", "[ Process", "> ", "Process "];
    if rest.is_empty() || between.iter().any(|start| rest.starts_with(start)) {
        return Line::Nothing;
    }
    match rest.strip_suffix(UNFINISHED) {
        Some(call) => Line::Unfinished(call.trim_end()),
        None => Line::Call(rest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_stands_in_front_of_a_call_is_taken_off() {
        for (line, pid) in [
            ("close(3) = 0", 0),
            ("[pid  1234] close(3) = 0", 1234),
            ("1234  close(3) = 0", 1234),
            ("1234  12:34:56.000001 close(3) = 0", 1234),
            ("[pid 7] 12:34:56 close(3) = 0", 7),
            ("12:34:56 close(3) = 0", 0),
            ("1699999999.123456 close(3) = 0", 0),
            ("     0.000123 close(3) = 0", 0),
            ("12:34:56 (+     0.000000) close(3) = 0", 0),
            ("[   3] close(3) = 0", 0),
            ("7 [00007f7d8c9e3b17] close(3) = 0", 7),
        ] {
            assert_eq!(read(line), (pid, Line::Call("close(3) = 0")), "{line}");
        }
    }

    #[test]
    fn a_list_may_give_the_calls_number() {
        assert_eq!(read("257(0xffffff9c, 0)"), (0, Line::Call("257(0xffffff9c, 0)")));
        assert_eq!(read("257"), (0, Line::Call("257")));
    }

    #[test]
    fn signals_exits_and_comments_are_no_calls() {
        for line in [
            "",
            "# a list of ours",
            "--- SIGCHLD {si_signo=SIGCHLD, si_code=CLD_EXITED} ---",
            "[pid 12] +++ exited with 0 +++",
            "strace: Process 12 attached",
            "[ Process PID=12 runs in 32 bit mode. ]",
            " > /usr/lib/libc.so.6(read+0x12) [0xfb9d2]",
        ] {
            assert_eq!(read(line).1, Line::Nothing, "{line}");
        }
    }

    #[test]
    fn a_call_in_two_parts_is_recognized_by_both() {
        assert_eq!(read("[pid 5] read(3,  <unfinished ...>"), (5, Line::Unfinished("read(3,")));
        assert_eq!(read("[pid 5] <... read resumed>\"a\", 9) = 1"), (5, Line::Resumed("\"a\", 9) = 1")));
    }
}
