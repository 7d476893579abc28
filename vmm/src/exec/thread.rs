//! A thread of another process: its name, and the process that it is of.
#![forbid(unsafe_code)]

use std::fs;

/// The thread's name and number, as reports have them: `nginx[1234]`.
pub(super) fn name(tid: i32) -> String {
    match fs::read_to_string(format!("/proc/{tid}/comm")) {
        Ok(name) => format!("{}[{tid}]", name.trim_end()),
        Err(_) => format!("[{tid}]"),
    }
}

/// The process that the thread is of.
pub(super) fn process(tid: i32) -> Option<i32> {
    let status = fs::read_to_string(format!("/proc/{tid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("Tgid:"))?.trim().parse().ok()
}
