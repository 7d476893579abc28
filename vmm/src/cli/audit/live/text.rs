//! What was seen, for a person.

use std::fmt::Write as _;
use std::time::Duration;

use rustix::thread::CapabilitySet;
use seccomp_policies::language;

use super::row::Row;
use crate::audit::live::attest::{self, Finding};
use crate::audit::live::{Audit, Seen};
use crate::cli::table::{self, Cell};

/// Everything, process by process.
pub(super) fn text(audits: &[Audit], filters: bool, timing: bool) -> String {
    let parts: Vec<String> = audits.iter().map(|audit| of_process(audit, filters, timing)).collect();
    if parts.is_empty() {
        return "no process is held by seccomp\n".to_owned();
    }
    parts.join("\n")
}

fn of_process(audit: &Audit, filters: bool, timing: bool) -> String {
    let mut text = heading(audit);
    let mut header = vec!["thread", "tid", "seccomp", "filters", "calls", "fds", "held to"];
    if timing {
        header.insert(6, "stopped us");
    }
    let rows = audit.threads.iter().map(|seen| row(seen, timing)).collect();
    text.push_str(&table::text(&header, rows));
    text.push_str(LEGEND);
    text.push_str(&privileges(audit));
    text.push_str(&other_entries(audit));
    if timing {
        text.push_str(&stops(audit));
    }
    if filters {
        text.push_str(&policies(audit));
    }
    text.push_str(&verdict(audit));
    text
}

const LEGEND: &str = "\
filters: instructions of each; calls: let through whatever their arguments,
and with some; fds: of a table of its own
";

fn heading(audit: &Audit) -> String {
    let process = &audit.process;
    let bits = if process.is_32_bit { ", a 32-bit program, whose own calls are counted" } else { "" };
    let threads = counted(audit.threads.len(), "thread");
    let mut text = format!("process {} {}, {threads}{bits}\n", process.pid, process.name);
    if let Some(path) = &process.executable {
        let this = if process.is_this_program { ", this program" } else { "" };
        let _ = writeln!(text, "{}{this}", path.display());
    }
    text
}

/// A number and what it counts.
fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

fn row(seen: &Seen, timing: bool) -> Vec<Cell> {
    let Row { thread, tid, seccomp, filters, calls, descriptors, stopped, held_to } = Row::new(seen);
    let mut cells = vec![
        Cell::from(thread),
        Cell::Number(tid.to_string()),
        Cell::from(seccomp),
        Cell::from(filters),
        Cell::from(calls),
        Cell::from(descriptors),
    ];
    if timing {
        cells.push(Cell::Number(stopped));
    }
    cells.push(Cell::from(held_to));
    cells
}

/// Names of threads, each once, with how many have it.
fn names<'a>(threads: impl Iterator<Item = &'a Seen>) -> String {
    let mut counted: Vec<(&str, usize)> = Vec::new();
    for Seen { thread, .. } in threads {
        match counted.iter_mut().find(|(name, _)| *name == thread.name) {
            Some((_, count)) => *count += 1,
            None => counted.push((&thread.name, 1)),
        }
    }
    let words = counted.iter().map(|(name, count)| match count {
        1 => (*name).to_owned(),
        count => format!("{count} of {name}"),
    });
    words.collect::<Vec<_>>().join(", ")
}

/// Of all threads in a line where all are alike, else in a line for each kind.
fn privileges(audit: &Audit) -> String {
    let mut kinds: Vec<(String, Vec<&Seen>)> = Vec::new();
    for seen in &audit.threads {
        let thread = &seen.thread;
        let words = format!(
            "no_new_privs {}, capabilities: {}",
            if thread.no_new_privileges { "set" } else { "not set" },
            capabilities(thread.capabilities)
        );
        match kinds.iter_mut().find(|(known, _)| *known == words) {
            Some((_, threads)) => threads.push(seen),
            None => kinds.push((words, vec![seen])),
        }
    }
    match kinds.as_slice() {
        [(words, _)] => format!("every thread: {words}\n"),
        kinds => kinds.iter().fold(String::new(), |mut text, (words, threads)| {
            let _ = writeln!(text, "{}: {words}", names(threads.iter().copied()));
            text
        }),
    }
}

/// By their names, or by those that are missing where that is shorter; what this program does not know, as a number.
fn capabilities(bits: u64) -> String {
    let (held, all) = (CapabilitySet::from_bits_truncate(bits), CapabilitySet::all());
    let names = |set: CapabilitySet| set.iter_names().map(|(name, _)| name.to_owned()).collect::<Vec<_>>();
    let missing = names(all - held);
    if missing.is_empty() {
        return "all".into();
    }
    let mut held = names(held);
    if missing.len() < held.len() {
        return format!("all but {}", missing.join(" "));
    }
    let unknown = bits & !all.bits();
    held.extend((unknown != 0).then(|| format!("{unknown:#x}")));
    if held.is_empty() { "none".into() } else { held.join(" ") }
}

/// Threads whose filters leave the other way into the kernel open.
fn other_entries(audit: &Audit) -> String {
    let is_open = |seen: &&Seen| seen.allowed.is_some_and(|allowed| allowed.of_32_bits > 0);
    let open = names(audit.threads.iter().filter(is_open));
    if open.is_empty() || audit.process.is_32_bit {
        return String::new();
    }
    format!("{open}: 32-bit calls (int 0x80) are let through, too\n")
}

fn stops(audit: &Audit) -> String {
    let mut times: Vec<Duration> = audit.threads.iter().filter_map(|seen| seen.stopped).collect();
    times.sort_unstable();
    match times.get(times.len() / 2) {
        None => "no thread was stopped\n".into(),
        Some(median) => format!(
            "{} stopped, each once: median {} us, longest {} us\n",
            counted(times.len(), "thread"),
            median.as_micros(),
            times.last().copied().unwrap_or_default().as_micros()
        ),
    }
}

/// The policies of all filters, each once.
fn policies(audit: &Audit) -> String {
    let mut text = String::new();
    if audit.process.is_32_bit {
        return "# filters of a 32-bit program are not shown: the text of a policy is about 64-bit calls; --json has the programs\n"
            .to_owned();
    }
    let mut shown: Vec<&Seen> = Vec::new();
    for seen in &audit.threads {
        let Ok(programs) = &seen.programs else { continue };
        if programs.is_empty() || shown.iter().any(|other| other.programs.as_ref() == Ok(programs)) {
            continue;
        }
        shown.push(seen);
        let alike = audit.threads.iter().filter(|other| other.programs.as_ref() == Ok(programs));
        let _ = writeln!(text, "\n# of {}{}", names(alike), origin(&seen.finding));
        text.push_str(&policy(seen));
    }
    text.push('\n');
    text
}

fn origin(finding: &Finding) -> &'static str {
    match finding {
        Finding::Build { .. } => ", whose filter is the program that the build made of this text",
        _ => ", from the kernel's programs",
    }
}

fn policy(seen: &Seen) -> String {
    if let Finding::Build { role, .. } = &seen.finding
        && let Some(policy) = attest::policy_of(role).and_then(crate::cli::audit::of_build)
    {
        return language::write(&policy);
    }
    let programs = seen.programs.as_deref().unwrap_or_default();
    match super::by_programs(&seen.thread.name, programs) {
        Ok(policies) => policies.iter().map(language::write).collect(),
        Err(findings) => findings.render(false),
    }
}

fn verdict(audit: &Audit) -> String {
    let mut text = String::new();
    for seen in &audit.threads {
        for deviation in seen.all_deviations() {
            let _ = writeln!(text, "{} ({}): {deviation}", seen.thread.name, seen.thread.tid);
        }
        if let (Finding::Unexpected, Err(error)) = (&seen.finding, &seen.programs) {
            let _ = writeln!(
                text,
                "{} ({}): its filters cannot be seen: {error}",
                seen.thread.name, seen.thread.tid
            );
        }
    }
    if audit.ended {
        text.push_str("it came to its end while it was looked at: not every thread of it was seen\n");
    }
    if let Some(sentence) = sentence(audit) {
        let _ = writeln!(text, "{sentence}");
    }
    text
}

/// Whether every thread is as it should be; `None` where nobody has said how.
pub(in crate::cli::audit) fn sentence(audit: &Audit) -> Option<String> {
    let deviations: usize = audit.threads.iter().map(|seen| seen.all_deviations().count()).sum();
    let expected = audit.threads.iter().any(|seen| seen.finding != Finding::Unexpected);
    match (expected, deviations) {
        (false, _) => None,
        (true, 0) if audit.is_ours => Some(
            "attested: every thread is held to what this build proved, and holds what its policy names"
                .to_owned(),
        ),
        (true, 0) => Some("attested: every thread is held to its policy".to_owned()),
        (true, count) => Some(format!("not attested: {}", counted(count, "deviation"))),
    }
}
