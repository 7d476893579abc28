//! What is found of each thread. Threads that have the same programs are decided about once.
#![forbid(unsafe_code)]

use seccomp_policies::bpf::Instruction;

use super::attest::{self, Allowed, Finding, Run};
use super::process::{Mode, Process};
use super::{Expected, Seen, Sight, objects};

/// The programs of a thread, in the order in which they were installed.
type Programs = Vec<Vec<Instruction>>;

/// What is to be held against what.
pub(super) struct Judge<'a> {
    process: &'a Process,
    is_ours: bool,
    run: Run,
    expected: &'a [Expected],
    allowed: Vec<(Programs, Option<Allowed>)>,
    /// By which of the expected, and how the thread is held.
    held: Vec<(usize, Mode, Programs, Finding)>,
}

impl<'a> Judge<'a> {
    pub(super) fn new(process: &'a Process, is_ours: bool, run: Run, expected: &'a [Expected]) -> Self {
        Self { process, is_ours, run, expected, allowed: Vec::new(), held: Vec::new() }
    }

    pub(super) fn seen(&mut self, sight: Sight) -> Seen {
        let Sight { thread, programs, stopped, own_table, descriptors } = sight;
        let finding = match &programs {
            Err(_) if self.expected.is_empty() && !self.is_ours => Finding::Unexpected,
            Err(error) => Finding::Deviates(format!("its filters cannot be seen: {error}")),
            // It makes no calls.
            Ok(_) if thread.is_kernel_worker => Finding::Unexpected,
            Ok(programs) if self.is_ours => attest::by_build(&thread, programs, self.run),
            Ok(programs) => self.by_expected(&thread.name, thread.mode, programs),
        };
        let deviations = if self.is_ours {
            deviations_of_table(&finding, own_table, descriptors.as_deref(), self.process.has_null)
        } else {
            Vec::new()
        };
        let allowed = programs.as_ref().ok().and_then(|programs| self.allowed(programs));
        Seen { thread, programs, stopped, own_table, descriptors, allowed, finding, deviations }
    }

    fn by_expected(&mut self, thread: &str, mode: Mode, programs: &Programs) -> Finding {
        let Some(index) = self.expected.iter().position(|expected| expected.is_for(thread)) else {
            return if self.expected.is_empty() {
                Finding::Unexpected
            } else {
                Finding::Deviates("no policy was given for a thread of this name".into())
            };
        };
        let is_known = |known: &&(usize, Mode, Programs, Finding)| {
            (known.0, known.1) == (index, mode) && known.2 == *programs
        };
        if let Some(known) = self.held.iter().find(is_known) {
            return known.3.clone();
        }
        let finding = attest::by_policy(mode, programs, &self.expected[index].policy);
        self.held.push((index, mode, programs.clone(), finding.clone()));
        finding
    }

    fn allowed(&mut self, programs: &Programs) -> Option<Allowed> {
        if programs.is_empty() {
            return None;
        }
        if let Some((_, known)) = self.allowed.iter().find(|(known, _)| known == programs) {
            return *known;
        }
        let allowed =
            attest::together(programs).ok().map(|decided| Allowed::by(&decided, self.process.is_32_bit));
        self.allowed.push((programs.clone(), allowed));
        allowed
    }
}

fn deviations_of_table(
    finding: &Finding,
    own_table: Option<bool>,
    held: Option<&[(i32, String)]>,
    has_null: bool,
) -> Vec<String> {
    let role = match finding {
        Finding::Build { role, .. } | Finding::Strict { role } => attest::policy_of(role),
        Finding::Equal { role } => attest::policy_of(role),
        Finding::NotFencedYet | Finding::Deviates(_) | Finding::Unexpected => None,
    };
    let Some(role) = role else { return Vec::new() };
    match (own_table, held) {
        (Some(false), _) => vec!["it shares its table of descriptors with another thread".into()],
        (Some(true), Some(held)) => objects::check(held, role, has_null),
        _ => vec!["its descriptors cannot be seen: run as root".into()],
    }
}
