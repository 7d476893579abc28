//! Main's own violation or panic: the one thread that cannot leave its report to another.
//!
//! After a violation this runs in the SIGSYS handler, between any two instructions of main: it takes no lock,
//! allocates nothing, and makes calls that main's policy allows. So the arguments are numbers here, and no rule is
//! looked for.
#![forbid(unsafe_code)]

use std::fmt::{self, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use rustix::event::Timespec;
use seccomp_policies::syscalls::{self, Arch};

use super::settle::{LAST_OUTPUT_LIMIT, LOOK_AT_OUTPUT};
use crate::confine::{self, Phase, Record};
use crate::report::{exit_code, json};
use crate::role::shared::OUTPUT;
use crate::role::terminal;

/// Whether the words are a JSON object.
static AS_JSON: AtomicBool = AtomicBool::new(false);

/// Chooses the format, before main is fenced.
pub(super) fn set_format(as_json: bool) {
    AS_JSON.store(as_json, Ordering::Relaxed);
}

/// Says why main cannot go on, and ends the process.
pub(super) fn speak(record: &'static Record, phase: Phase) -> ! {
    let mut words = Words::default();
    // Writing to a fixed buffer never fails.
    let _ = if AS_JSON.load(Ordering::Relaxed) {
        write_json(&mut words, record, phase)
    } else {
        write_text(&mut words, record, phase)
    };
    if phase != Phase::Violated {
        wait_for_output();
    }
    terminal::restore();
    let _ = rustix::io::write(rustix::stdio::stderr(), words.bytes());
    terminal::restore_stdout();
    confine::end_process(code(phase))
}

fn code(phase: Phase) -> u8 {
    if phase == Phase::Violated { exit_code::VIOLATION } else { exit_code::ERROR }
}

/// The console thread goes on, so what the guest has said can be written.
fn wait_for_output() {
    let limit = Instant::now() + LAST_OUTPUT_LIMIT;
    let step = Timespec::try_from(LOOK_AT_OUTPUT).ok();
    while OUTPUT.waiting() > 0 && Instant::now() < limit {
        let _ = rustix::event::poll(&mut [], step.as_ref());
    }
}

fn write_text(words: &mut Words, record: &Record, phase: Phase) -> fmt::Result {
    write!(words, "ringfence: {} ({}) ", record.name, record.role)?;
    match phase {
        Phase::Violated => {
            let call = record.call();
            let name = syscalls::name_of(Arch::X86_64, call.number).unwrap_or("a call");
            write!(words, "was refused {name} [number {}, arguments", call.number)?;
            for argument in call.arguments {
                write!(words, " {argument:#x}")?;
            }
            writeln!(words, "], called from {:#x}", call.instruction_pointer)
        }
        Phase::Panicked => {
            words.write_str("panicked: ")?;
            record.write_message(words)?;
            words.write_str("\n  this is a defect of ringfence; please report it\n")
        }
        _ => words.write_str("got a SIGSYS that no filter caused\n"),
    }
}

/// The members of the whole report that can be told here.
fn write_json(words: &mut Words, record: &Record, phase: Phase) -> fmt::Result {
    write!(words, "{{\"report\":\"run\",\"schema\":{},\"exit_code\":{},", json::SCHEMA, code(phase))?;
    let (thread, role) = (&record.name, record.role);
    match phase {
        Phase::Violated => {
            let call = record.call();
            write!(
                words,
                "\"cause\":\"violation\",\"violation\":{{\"thread\":\"{thread}\",\"role\":\"{role}\","
            )?;
            write!(words, "\"call\":{{\"number\":{},\"name\":", call.number)?;
            match syscalls::name_of(Arch::X86_64, call.number) {
                Some(name) => write!(words, "\"{name}\"")?,
                None => words.write_str("null")?,
            }
            let [a0, a1, a2, a3, a4, a5] = call.arguments;
            write!(words, ",\"arguments\":[{a0},{a1},{a2},{a3},{a4},{a5}]}},")?;
            writeln!(words, "\"instruction_pointer\":{}}}}}", call.instruction_pointer)
        }
        Phase::Panicked => {
            write!(words, "\"cause\":\"panic\",\"message\":\"{thread} ({role}) panicked: ")?;
            record.write_message(&mut Escaped(words))?;
            words.write_str("\"}\n")
        }
        _ => writeln!(words, "\"cause\":\"sigsys\",\"message\":\"{thread} ({role}) got a SIGSYS\"}}"),
    }
}

/// Text in a fixed buffer; what does not fit is dropped.
struct Words {
    bytes: [u8; Self::SIZE],
    length: usize,
}

impl Words {
    const SIZE: usize = 2048;

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl Default for Words {
    fn default() -> Self {
        Self { bytes: [0; Self::SIZE], length: 0 }
    }
}

impl fmt::Write for Words {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for (cell, &byte) in self.bytes.iter_mut().skip(self.length).zip(text.as_bytes()) {
            *cell = byte;
            self.length += 1;
        }
        Ok(())
    }
}

/// Text within a JSON string.
struct Escaped<'words>(&'words mut Words);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            match character {
                '"' | '\\' => write!(self.0, "\\{character}")?,
                control if u32::from(control) < 0x20 => write!(self.0, "\\u{:04x}", u32::from(control))?,
                other => self.0.write_char(other)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_text_is_a_json_string_again() {
        let mut words = Words::default();
        let text = "say \"no\" \\ to\nline ends\u{1}";
        words.write_str("\"").unwrap();
        Escaped(&mut words).write_str(text).unwrap();
        words.write_str("\"").unwrap();
        assert_eq!(serde_json::from_slice::<String>(words.bytes()).unwrap(), text);
    }

    #[test]
    fn words_too_long_are_cut() {
        let mut words = Words::default();
        for _ in 0..Words::SIZE {
            words.write_str("ab").unwrap();
        }
        assert_eq!(words.bytes().len(), Words::SIZE);
    }
}
