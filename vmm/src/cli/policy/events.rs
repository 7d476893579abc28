//! `ringfence policy compile --backend event-filter`: a policy as filters on tracing events.

use std::fmt::Write as _;

use seccomp_policies::compile::event_filter;
use seccomp_policies::compile::event_filter::EventFilter;
use seccomp_policies::language::Policy;
use serde::Serialize;

/// Version of the shape as JSON; it changes when a member changes its meaning or goes away.
const SCHEMA: u32 = 1;

/// A policy's events.
#[derive(Serialize)]
pub(super) struct EventListing {
    report: &'static str,
    schema: u32,
    role: String,
    arch: &'static str,
    backend: &'static str,
    otherwise: String,
    events: Vec<Watched>,
    /// Calls without an event, since the policy allows them whatever their arguments.
    unwatched: Vec<&'static str>,
}

/// An event whose occurrences, as far as they pass the filter and what is left to ask, are violations.
#[derive(Serialize)]
struct Watched {
    event: String,
    /// The call; none for those that the policy does not name.
    call: Option<&'static str>,
    filter: Option<String>,
    /// What the kernel cannot be asked.
    remainder: Option<String>,
    notes: Vec<String>,
}

impl EventListing {
    pub(super) fn new(policy: &Policy) -> Self {
        let filters = event_filter(policy);
        Self {
            report: "events",
            schema: SCHEMA,
            role: policy.role.clone(),
            arch: policy.arch.name(),
            backend: "event-filter",
            otherwise: policy.otherwise.to_string(),
            events: filters.watched.iter().map(Watched::new).collect(),
            unwatched: filters.unwatched.iter().map(|call| call.name).collect(),
        }
    }

    /// A line for each event, and what a reader should know of them in comments.
    pub(super) fn text(&self) -> String {
        let Self { role, arch, backend, otherwise, events, unwatched, .. } = self;
        let count = events.len();
        let s = if count == 1 { "" } else { "s" };
        let mut text =
            format!("# role {role} on {arch}, {backend} backend, otherwise {otherwise}: {count} event{s}\n");
        let width = events.iter().map(|event| event.event.len()).max().unwrap_or(0);
        for event in events {
            text.push_str(&event.text(width));
        }
        for call in unwatched {
            writeln!(text, "# {call}: allowed whatever its arguments, no event")
                .expect("a string takes everything");
        }
        text
    }

    pub(super) fn json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("plain data");
        text.push('\n');
        text
    }
}

impl Watched {
    fn new(filter: &EventFilter) -> Self {
        Self {
            event: filter.event.clone(),
            call: filter.call.map(|call| call.name),
            filter: filter.filter.as_ref().map(ToString::to_string),
            remainder: filter.remainder.as_ref().map(ToString::to_string),
            notes: filter.notes.iter().map(ToString::to_string).collect(),
        }
    }

    fn text(&self, width: usize) -> String {
        let mut text = match &self.filter {
            Some(filter) => format!("{:width$}  {filter}\n", self.event),
            None => format!("{}\n", self.event),
        };
        if let Some(remainder) = &self.remainder {
            let notes = self.notes.join("; ");
            writeln!(text, "#   {notes}: of these events, a violation is {remainder}")
                .expect("a string takes everything");
        }
        text
    }
}
