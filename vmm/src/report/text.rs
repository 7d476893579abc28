//! The report for a person: a sentence or two on why the run ended, then the confinement table.

use std::fmt::Write as _;
use std::io;

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

use super::{Cause, Ended, Kind, Kinds, Observed, QuirkNote, ThreadLine, Used, Violation};
use crate::confine::signals;
use crate::machine::exit::End;

/// Why the run ended, in one or more lines without a newline at the end.
pub fn ending(ended: &Ended) -> String {
    let mut text = cause(&ended.cause);
    if let Cause::Output { .. } = ended.cause {
        let _ = write!(text, "; {} of the guest's output lost", bytes(ended.unwritten));
    } else if ended.unwritten > 0 {
        let _ = write!(text, "\n{} of the guest's output not written", bytes(ended.unwritten));
        if let Some(errno) = ended.output_error {
            let _ = write!(text, ": {}", io::Error::from_raw_os_error(errno));
        }
    }
    text
}

fn bytes(count: u64) -> String {
    format!("{count} byte{}", if count == 1 { "" } else { "s" })
}

/// What ended a run, in words.
pub fn cause(cause: &Cause) -> String {
    match cause {
        Cause::Reset { panic_shown: false } => "the guest reset the machine".into(),
        Cause::Reset { panic_shown: true } => {
            "the guest reset the machine, after its console had shown a kernel panic".into()
        }
        Cause::PowerOff => "the guest powered off".into(),
        Cause::GuestPanic => "the guest's kernel panicked".into(),
        Cause::ExitPort(value) => format!("the guest wrote {value} to the exit port"),
        Cause::Guest { vcpu, end, registers } => {
            let mut text = format!("vCPU {vcpu}: {end}");
            if let Some(position) = registers {
                let _ = write!(text, "\n  at {position}");
                if *end == End::Shutdown && position.is_reset_vector() {
                    text.push_str(
                        "\n  where a reset puts it: KVM on AMD hosts does not keep the place of a shutdown",
                    );
                }
            }
            if matches!(end, End::EmulationFailed { .. }) {
                text.push_str("\n  this host's KVM cannot emulate the instruction; see ringfence doctor");
            }
            text
        }
        Cause::Violation(violation) => self::violation(violation),
        Cause::Panic { thread, role, message } => {
            format!(
                "{thread} ({role}) panicked: {message}\n  this is a defect of ringfence; please report it"
            )
        }
        Cause::Sigsys { thread, role } => format!("{thread} ({role}) got a SIGSYS that no filter caused"),
        Cause::ConsoleEnded { thread } => format!(
            "{thread} (console) was ended by the kernel: in strict mode it may call read, write, exit and \
             rt_sigreturn, and it called something else"
        ),
        Cause::Output { errno } => {
            let reason = io::Error::from_raw_os_error(*errno);
            format!("standard output takes no more ({reason}), so the run was ended")
        }
        Cause::Signal(signal) => format!("ended by {}", signals::name(*signal)),
        Cause::Left => "left from the terminal (Ctrl-A x)".into(),
    }
}

/// A refused call, in one or three lines without a newline at the end.
pub fn violation(violation: &Violation) -> String {
    told(violation, "was refused")
}

/// A call that was carried out and would be refused, likewise.
pub fn would_be_violation(violation: &Violation) -> String {
    told(violation, "would be refused")
}

fn told(violation: &Violation, what: &str) -> String {
    let Violation { thread, role, text, nearest, .. } = violation;
    let mut said = format!("{thread} ({role}) {what} {text}: {}", violation.because());
    if let Some(nearest) = nearest {
        let _ = write!(said, "\n  nearest rule: {} -- {}", nearest.rule, nearest.reason);
        let _ = write!(said, "\n  at {}; here {}", nearest.place, nearest.failed);
    }
    said
}

/// The confinement table, in lines of at most `width` columns.
pub fn table(ended: &Ended, width: u16) -> String {
    let mut table = Table::new();
    // One more: the space behind the last column, which is cut off below.
    let width = width.saturating_add(1);
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    table.set_header(["thread", "role", "tier", "BPF instr.", "fds", "calls used of allowed", "violations"]);
    for line in &ended.threads {
        table.add_row(row(line));
    }
    for column in [3, 4, 6] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let mut text = String::new();
    for line in table.lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    if let Some(reason) = &ended.not_counted {
        let _ = writeln!(text, "calls not counted: {reason}");
    }
    if ended.threads.iter().any(|line| line.violations.is_none()) {
        text.push_str("violations are not counted under --tier none, --on-violation errno and log\n");
    }
    if let Some(Observed { kinds, untold }) = &ended.observed {
        text.push_str(&observed(kinds, *untold));
    }
    if let Some(QuirkNote { name, added: Some(added) }) = &ended.quirk {
        let _ = writeln!(text, "for this host's KVM ({name}) the kernel was also told: {added}");
    }
    text
}

/// Calls that would be refused, each kind in a few lines.
pub fn observed(kinds: &Kinds, untold: u64) -> String {
    let mut text = String::new();
    for Kind { first, count } in kinds.iter() {
        let times = if *count == 1 { "once".to_owned() } else { format!("{count} times") };
        let _ = writeln!(text, "\n{times}: {}", would_be_violation(first));
    }
    if untold > 0 {
        let _ = writeln!(text, "\n{untold} more were counted, and came too fast to be told");
    }
    text
}

fn row(line: &ThreadLine) -> [String; 7] {
    let number = |number: Option<usize>| number.map_or("-".into(), |number| number.to_string());
    let violations = line.violations.map_or("-".into(), |count| count.to_string());
    let used = match &line.used {
        Used::Counted(calls) => format!("{} of {}", calls.len(), line.allowed),
        Used::NotCounted => format!("not counted of {}", line.allowed),
    };
    [
        line.thread.clone(),
        line.role.to_owned(),
        line.tier.to_owned(),
        number(line.instructions),
        number(line.descriptors),
        used,
        violations,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::registers::{Mode, Position};

    fn shutdown_at(registers: Position) -> String {
        cause(&Cause::Guest { vcpu: 0, end: End::Shutdown, registers: Some(registers) })
    }

    const RESET: Position = Position { rip: 0xfff0, cs_base: 0xffff_0000, cpl: 0, mode: Mode::Real };

    #[test]
    fn a_shutdown_whose_place_kvm_did_not_keep_is_not_said_to_have_been_at_the_reset_vector() {
        assert_eq!(
            shutdown_at(RESET),
            "vCPU 0: the processor shut down (triple fault)\n  at RIP 0xfff0 in the segment at 0xffff0000, ring 0, real \
             mode\n  where a reset puts it: KVM on AMD hosts does not keep the place of a shutdown"
        );
    }

    #[test]
    fn a_shutdown_whose_place_is_known_is_said_to_have_been_there() {
        assert_eq!(
            shutdown_at(Position { rip: 0x10_0000, cs_base: 0, cpl: 0, mode: Mode::Protected32 }),
            "vCPU 0: the processor shut down (triple fault)\n  at RIP 0x100000, ring 0, 32-bit protected mode"
        );
    }
}
