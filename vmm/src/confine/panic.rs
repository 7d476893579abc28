//! A panic in a fenced thread: its message and place go to main, which reports them. No symbols, no backtrace:
//! reading them would need calls that no role may make.

use std::fmt::Write as _;
use std::panic::{self, PanicHookInfo};

use super::record::{Phase, Record};
use super::sigsys;

/// Installs the hook for the whole process; threads that are not fenced keep the standard one.
pub fn hook() {
    let standard = panic::take_hook();
    panic::set_hook(Box::new(move |info| match sigsys::record() {
        Some(record) => panicked(record, info),
        None => standard(info),
    }));
}

fn panicked(record: &'static Record, info: &PanicHookInfo<'_>) -> ! {
    let mut message = record.message_writer();
    let _ = message.write_str(info.payload_as_str().unwrap_or("a value that is no text"));
    if let Some(place) = info.location() {
        let _ = write!(message, ", at {place}");
    }
    sigsys::end(record, Phase::Panicked)
}
