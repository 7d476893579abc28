//! What a thread leaves in shared memory for main: how far it has come, and its last words.
//!
//! All atomics: it is written from a signal handler and from a panic hook, where no lock may be taken, and read
//! by another thread.
#![forbid(unsafe_code)]

use std::fmt;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicI32, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use seccomp_policies::call::Call;

use super::futex;

/// How far a thread has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Phase {
    /// Not under its filter yet.
    Starting = 0,
    /// In its loop, under its filter.
    Fenced = 1,
    /// Refused a call, and parked.
    Violated = 2,
    /// Panicked, and parked.
    Panicked = 3,
    /// Got a SIGSYS that no filter caused, and parked.
    Signalled = 4,
}

impl Phase {
    fn from_word(word: u32) -> Self {
        match word {
            1 => Self::Fenced,
            2 => Self::Violated,
            3 => Self::Panicked,
            4 => Self::Signalled,
            _ => Self::Starting,
        }
    }
}

/// What a thread does when it cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Farewell {
    /// Rings main's bell, at this slot of its own table, and parks.
    RingMain(RawFd),
    /// Ends itself, for main to notice: a strict-mode thread has no other way.
    EndThread,
    /// It is main: speaks for itself and ends the process.
    EndProcess,
}

/// No descriptor is negative, so these numbers are free.
const END_PROCESS: i32 = -1;
const END_THREAD: i32 = -2;

/// Bytes of a panic's message and place that are kept.
const MESSAGE_BYTES: usize = 1024;

/// One thread's record. Lives as long as the process.
#[derive(Debug)]
pub struct Record {
    /// The thread's name, as /proc shows it.
    pub name: String,
    /// The role's name.
    pub role: &'static str,
    /// The thread's kernel id; 0 until it runs.
    tid: AtomicI32,
    /// How the thread ends: [`Farewell`] as a number.
    farewell: AtomicI32,
    phase: AtomicU32,
    /// The refused call: number, architecture, instruction pointer, six arguments.
    call: [AtomicU64; 9],
    message: [AtomicU8; MESSAGE_BYTES],
    message_length: AtomicUsize,
}

impl Record {
    /// A record for a thread of this name and role.
    pub fn new(name: String, role: &'static str) -> &'static Self {
        Box::leak(Box::new(Self {
            name,
            role,
            tid: AtomicI32::new(0),
            farewell: AtomicI32::new(END_PROCESS),
            phase: AtomicU32::new(Phase::Starting as u32),
            call: [const { AtomicU64::new(0) }; 9],
            message: [const { AtomicU8::new(0) }; MESSAGE_BYTES],
            message_length: AtomicUsize::new(0),
        }))
    }

    /// The thread's kernel id.
    pub fn tid(&self) -> i32 {
        self.tid.load(Ordering::SeqCst)
    }

    pub(super) fn set_tid(&self, tid: i32) {
        self.tid.store(tid, Ordering::SeqCst);
    }

    pub(super) fn farewell(&self) -> Farewell {
        match self.farewell.load(Ordering::SeqCst) {
            END_PROCESS => Farewell::EndProcess,
            END_THREAD => Farewell::EndThread,
            slot => Farewell::RingMain(slot),
        }
    }

    pub(super) fn set_farewell(&self, farewell: Farewell) {
        let number = match farewell {
            Farewell::RingMain(slot) => slot,
            Farewell::EndThread => END_THREAD,
            Farewell::EndProcess => END_PROCESS,
        };
        self.farewell.store(number, Ordering::SeqCst);
    }

    /// How far the thread has come.
    pub fn phase(&self) -> Phase {
        Phase::from_word(self.phase.load(Ordering::SeqCst))
    }

    /// The futex word behind [`Record::phase`].
    pub(super) fn phase_word(&self) -> &AtomicU32 {
        &self.phase
    }

    /// Stores the phase without waking anybody: a strict-mode thread may not call futex.
    pub(super) fn set_phase_quietly(&self, phase: Phase) {
        self.phase.store(phase as u32, Ordering::SeqCst);
    }

    pub(super) fn set_phase(&self, phase: Phase) {
        self.set_phase_quietly(phase);
        futex::wake_all(&self.phase);
    }

    pub(super) fn store_call(&self, call: &Call) {
        let words = [u64::from(call.number), u64::from(call.arch), call.instruction_pointer];
        for (cell, word) in self.call.iter().zip(words.into_iter().chain(call.arguments)) {
            cell.store(word, Ordering::Relaxed);
        }
    }

    /// The call that was refused, when the phase is [`Phase::Violated`].
    #[expect(clippy::cast_possible_truncation, reason = "the first two words were widened from u32")]
    pub fn call(&self) -> Call {
        let word = |index: usize| self.call[index].load(Ordering::Relaxed);
        Call {
            number: word(0) as u32,
            arch: word(1) as u32,
            instruction_pointer: word(2),
            arguments: std::array::from_fn(|index| word(3 + index)),
        }
    }

    /// A writer that appends to the message, and drops what does not fit.
    pub(super) fn message_writer(&self) -> MessageWriter<'_> {
        MessageWriter(self)
    }

    /// The panic's message and place.
    pub fn message(&self) -> String {
        let mut message = String::new();
        // A string takes everything.
        let _ = self.write_message(&mut message);
        message
    }

    /// Writes the panic's message and place, without an allocation of its own.
    ///
    /// # Errors
    /// The writer's.
    pub fn write_message(&self, into: &mut impl fmt::Write) -> fmt::Result {
        let length = self.message_length.load(Ordering::SeqCst).min(MESSAGE_BYTES);
        let mut bytes = [0; MESSAGE_BYTES];
        for (byte, cell) in bytes.iter_mut().zip(&self.message[..length]) {
            *byte = cell.load(Ordering::Relaxed);
        }
        for chunk in bytes[..length].utf8_chunks() {
            into.write_str(chunk.valid())?;
        }
        Ok(())
    }
}

/// Appends text to a record's message.
pub(super) struct MessageWriter<'record>(&'record Record);

impl fmt::Write for MessageWriter<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let start = self.0.message_length.load(Ordering::SeqCst);
        for (cell, &byte) in self.0.message.iter().skip(start).zip(text.as_bytes()) {
            cell.store(byte, Ordering::Relaxed);
        }
        self.0.message_length.store((start + text.len()).min(MESSAGE_BYTES), Ordering::SeqCst);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write as _;

    #[test]
    fn a_stored_call_comes_back_whole() {
        let call = Call {
            number: 0x4000_0101,
            arch: 0xc000_003e,
            instruction_pointer: u64::MAX - 1,
            arguments: [1, u64::MAX, 3, 4, 5, 6],
        };
        let record = Record::new("rf-test".into(), "test");
        record.store_call(&call);
        assert_eq!(record.call(), call);
    }

    #[test]
    fn a_message_too_long_is_cut_and_not_lost() {
        let record = Record::new("rf-test".into(), "test");
        for _ in 0..300 {
            record.message_writer().write_str("five5").unwrap();
        }
        assert_eq!(record.message().len(), MESSAGE_BYTES);
        assert!(record.message().starts_with("five5five5"));
    }
}
