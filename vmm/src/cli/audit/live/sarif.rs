//! What is not as it should be, for code hosts.

use crate::audit::live::{Audit, Expected};
use crate::cli::sarif::{Level, Log, Problem, Rule};

/// The one kind of finding.
const NOT_ATTESTED: Rule =
    Rule { id: "not-attested", text: "a thread is not held to what was meant, or holds what it should not" };

/// Every deviation: at the policy that the thread should be held to, else at the process's program.
pub(super) fn log(audits: &[Audit], expected: &[Expected]) -> Log {
    let problems = audits.iter().flat_map(|audit| {
        let process = &audit.process;
        audit.threads.iter().flat_map(move |seen| {
            let thread = &seen.thread;
            let policy = expected.iter().find(|expected| expected.is_for(&thread.name));
            let file = policy.map(|expected| &expected.file).or(process.executable.as_ref());
            seen.all_deviations().map(move |deviation| Problem {
                rule: NOT_ATTESTED.id,
                level: Level::Error,
                message: format!("{} ({}): {deviation}", thread.name, thread.tid),
                file: file.map(|path| path.display().to_string()),
                region: None,
                subject: Some(format!("{} ({})/{} ({})", process.name, process.pid, thread.name, thread.tid)),
            })
        })
    });
    Log::new(&[NOT_ATTESTED], problems.collect())
}
