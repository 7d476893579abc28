//! What was seen, for programs: `docs/audit-schema.md`.

use std::path::Path;

use serde::Serialize;

use crate::audit::live::attest::{self, Finding};
use crate::audit::live::{Audit, Seen};

/// Version of the shape; it changes when a member changes its meaning or goes away.
const SCHEMA: u32 = 1;

/// The whole.
#[derive(Serialize)]
pub(super) struct Report<'a> {
    #[serde(rename = "report")]
    kind: &'static str,
    schema: u32,
    attested: bool,
    processes: Vec<Process<'a>>,
}

#[derive(Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a member of the report")]
struct Process<'a> {
    pid: i32,
    name: &'a str,
    executable: Option<&'a Path>,
    is_this_program: bool,
    is_32_bit: bool,
    /// Held against the build of this program.
    is_ours: bool,
    ended: bool,
    threads: Vec<Thread<'a>>,
}

#[derive(Serialize)]
struct Thread<'a> {
    tid: i32,
    name: &'a str,
    seccomp: &'static str,
    kernel_worker: bool,
    no_new_privs: bool,
    capabilities: u64,
    /// Null where they cannot be seen.
    filters: Option<Vec<Filter>>,
    /// Null where there are none to be seen.
    calls_allowed: Option<Allowed>,
    own_descriptors: Option<bool>,
    descriptors: Option<Vec<Descriptor<'a>>>,
    stopped_us: Option<u64>,
    finding: &'static str,
    role: Option<&'a str>,
    tier: Option<&'static str>,
    on_violation: Option<&'static str>,
    deviations: Vec<&'a str>,
    /// Why the filters cannot be seen.
    unseen: Option<String>,
}

#[derive(Serialize)]
struct Filter {
    instructions: usize,
    /// `struct sock_filter`, as the kernel keeps them: code, jt, jf, k.
    program: Vec<(u16, u8, u8, u32)>,
}

#[derive(Serialize)]
struct Allowed {
    whatever_the_arguments: usize,
    by_arguments: usize,
    of_32_bits: usize,
}

#[derive(Serialize)]
struct Descriptor<'a> {
    number: i32,
    object: &'a str,
}

impl<'a> Report<'a> {
    pub(super) fn new(audits: &'a [Audit]) -> Self {
        Self {
            kind: "live",
            schema: SCHEMA,
            attested: audits.iter().all(Audit::is_attested),
            processes: audits.iter().map(Process::new).collect(),
        }
    }
}

impl<'a> Process<'a> {
    fn new(audit: &'a Audit) -> Self {
        let process = &audit.process;
        Self {
            pid: process.pid,
            name: &process.name,
            executable: process.executable.as_deref(),
            is_this_program: process.is_this_program,
            is_32_bit: process.is_32_bit,
            is_ours: audit.is_ours,
            ended: audit.ended,
            threads: audit.threads.iter().map(Thread::new).collect(),
        }
    }
}

impl<'a> Thread<'a> {
    fn new(seen: &'a Seen) -> Self {
        let thread = &seen.thread;
        let (tier, on_violation) = match &seen.finding {
            Finding::Build { tier, on_violation, .. } => {
                (Some(tier.name()), Some(attest::choice_name(*on_violation)))
            }
            _ => (None, None),
        };
        Self {
            tid: thread.tid,
            name: &thread.name,
            seccomp: thread.mode.name(),
            kernel_worker: thread.is_kernel_worker,
            no_new_privs: thread.no_new_privileges,
            capabilities: thread.capabilities,
            filters: seen
                .programs
                .as_ref()
                .ok()
                .map(|programs| programs.iter().map(|program| Filter::new(program)).collect()),
            calls_allowed: seen.allowed.map(|allowed| Allowed {
                whatever_the_arguments: allowed.whatever_the_arguments,
                by_arguments: allowed.by_arguments,
                of_32_bits: allowed.of_32_bits,
            }),
            own_descriptors: seen.own_table,
            descriptors: seen.descriptors.as_ref().map(|held| {
                held.iter().map(|(number, object)| Descriptor { number: *number, object }).collect()
            }),
            stopped_us: seen.stopped.and_then(|time| u64::try_from(time.as_micros()).ok()),
            finding: finding(&seen.finding),
            role: role(&seen.finding),
            tier,
            on_violation,
            deviations: seen.all_deviations().collect(),
            unseen: seen.programs.as_ref().err().map(ToString::to_string),
        }
    }
}

impl Filter {
    fn new(program: &[seccomp_policies::bpf::Instruction]) -> Self {
        Self {
            instructions: program.len(),
            program: program.iter().map(|one| (one.code, one.jt, one.jf, one.k)).collect(),
        }
    }
}

fn finding(finding: &Finding) -> &'static str {
    match finding {
        Finding::Build { .. } => "build",
        Finding::Strict { .. } => "strict",
        Finding::NotFencedYet => "not yet fenced",
        Finding::Equal { .. } => "equal",
        Finding::Deviates(_) => "deviates",
        Finding::Unexpected => "nothing expected",
    }
}

fn role(finding: &Finding) -> Option<&str> {
    match finding {
        Finding::Build { role, .. } | Finding::Strict { role } => Some(role),
        Finding::Equal { role } => Some(role),
        Finding::NotFencedYet => Some("main"),
        Finding::Deviates(_) | Finding::Unexpected => None,
    }
}
