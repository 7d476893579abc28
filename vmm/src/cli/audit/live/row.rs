//! What is shown of a thread, in a terminal and on a page.

use crate::audit::live::Seen;
use crate::audit::live::attest::{self, Allowed, Finding};
use crate::audit::live::process::Mode;

/// A thread, in the words of a table.
pub(in crate::cli::audit) struct Row {
    pub thread: String,
    pub tid: i32,
    pub seccomp: &'static str,
    /// The instructions of each.
    pub filters: String,
    /// Let through whatever their arguments, and with some.
    pub calls: String,
    pub descriptors: String,
    /// How long it stood still at most, in microseconds; empty where it was not stopped.
    pub stopped: String,
    pub held_to: String,
}

impl Row {
    pub(in crate::cli::audit) fn new(seen: &Seen) -> Self {
        let thread = &seen.thread;
        Self {
            thread: thread.name.clone(),
            tid: thread.tid,
            seccomp: thread.mode.name(),
            filters: filters(seen),
            calls: calls(seen),
            descriptors: descriptors(seen),
            stopped: seen.stopped.map_or_else(String::new, |time| time.as_micros().to_string()),
            held_to: if thread.is_kernel_worker {
                "kernel worker: no calls".to_owned()
            } else {
                held_to(&seen.finding)
            },
        }
    }
}

fn filters(seen: &Seen) -> String {
    match &seen.programs {
        Err(_) => "not seen".into(),
        Ok(programs) if programs.is_empty() => "-".into(),
        Ok(programs) => {
            let lengths: Vec<String> = programs.iter().map(|program| program.len().to_string()).collect();
            lengths.join(", ")
        }
    }
}

fn calls(seen: &Seen) -> String {
    match (seen.thread.mode, &seen.programs) {
        _ if seen.thread.is_kernel_worker => "-".into(),
        (Mode::Off, _) => "all".into(),
        // `mode1_syscalls`, Linux kernel/seccomp.c.
        (Mode::Strict, _) => "4".into(),
        (_, Ok(programs)) if !programs.is_empty() => match seen.allowed {
            Some(Allowed { whatever_the_arguments, by_arguments: 0, .. }) => {
                whatever_the_arguments.to_string()
            }
            Some(Allowed { whatever_the_arguments, by_arguments, .. }) => {
                format!("{whatever_the_arguments} + {by_arguments}")
            }
            None => "too many to say".into(),
        },
        _ => "not seen".into(),
    }
}

fn descriptors(seen: &Seen) -> String {
    match (seen.own_table, &seen.descriptors) {
        (Some(true), Some(held)) => held.len().to_string(),
        (Some(true), None) => "its own".into(),
        (Some(false), _) => "shared".into(),
        (None, _) => "not seen".into(),
    }
}

fn held_to(finding: &Finding) -> String {
    match finding {
        Finding::Build { role, tier, on_violation } => {
            let (tier, choice) = (tier.name(), attest::choice_name(*on_violation));
            format!("{role}: {tier}, {choice}")
        }
        Finding::Strict { role } => format!("{role}: strict mode"),
        Finding::NotFencedYet => "main: not fenced yet".into(),
        Finding::Equal { role } => format!("{role}: proved equal"),
        Finding::Deviates(_) => "DEVIATES, see below".into(),
        Finding::Unexpected => String::new(),
    }
}
