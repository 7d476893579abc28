//! The report for programs: one object. `schema` changes when a member changes its meaning or goes away.

use serde_json::{Value, json};

use super::{Cause, Ended, Kind, ThreadLine, Used, Violation, exit_code, text};

/// Version of the object's shape.
pub const SCHEMA: u32 = 1;

/// The whole report.
pub fn report(ended: &Ended) -> Value {
    json!({
        "report": "run",
        "schema": SCHEMA,
        "exit_code": exit_code::of(&ended.cause),
        "cause": kind(&ended.cause),
        "message": text::ending(ended),
        "violation": match &ended.cause {
            Cause::Violation(refused) => violation(refused),
            _ => Value::Null,
        },
        "would_be_refused": ended.observed.as_ref().map(|observed| {
            observed.kinds.iter().map(of_kind).collect::<Vec<_>>()
        }),
        "unwritten_bytes": ended.unwritten,
        "output_error": ended.output_error,
        "quirk": ended.quirk.as_ref().map(|quirk| json!({ "name": quirk.name, "added": quirk.added })),
        "vcpu_exits": ended.exits,
        "allocations_in_sealed_threads": ended.reserve_allocations,
        "calls_not_counted_because": ended.not_counted,
        "threads": ended.threads.iter().map(thread).collect::<Vec<_>>(),
    })
}

fn kind(cause: &Cause) -> &'static str {
    match cause {
        Cause::Reset { .. } => "reset",
        Cause::PowerOff => "power-off",
        Cause::GuestPanic => "guest-panic",
        Cause::ExitPort(_) => "exit-port",
        Cause::Guest { .. } => "guest",
        Cause::Violation(_) => "violation",
        Cause::Panic { .. } => "panic",
        Cause::Sigsys { .. } => "sigsys",
        Cause::ConsoleEnded { .. } => "console-ended",
        Cause::Output { .. } => "output",
        Cause::Signal(_) => "signal",
        Cause::Left => "left",
    }
}

/// A refused call.
pub fn violation(violation: &Violation) -> Value {
    let Violation { thread, role, call, name, text, nearest } = violation;
    json!({
        "thread": thread,
        "role": role,
        "call": { "number": call.number, "name": name, "arguments": call.arguments, "text": text },
        "instruction_pointer": call.instruction_pointer,
        "because": violation.because(),
        "nearest_rule": nearest.as_ref().map(|nearest| json!({
            "place": nearest.place, "rule": nearest.rule, "reason": nearest.reason,
            "failed": nearest.failed,
        })),
    })
}

/// Calls of a kind that would be refused.
pub fn of_kind(kind: &Kind) -> Value {
    let mut value = violation(&kind.first);
    value["count"] = kind.count.into();
    value
}

fn thread(line: &ThreadLine) -> Value {
    let used = match &line.used {
        Used::Counted(calls) => calls
            .iter()
            .map(|&(name, count)| (name.to_owned(), json!(count)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Used::NotCounted => Value::Null,
    };
    json!({
        "thread": line.thread,
        "role": line.role,
        "tier": line.tier,
        "bpf_instructions": line.instructions,
        "descriptors": line.descriptors,
        "calls_used": used,
        "calls_allowed": line.allowed,
        "violations": line.violations,
    })
}
