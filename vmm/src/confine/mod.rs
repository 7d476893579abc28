//! How a thread becomes its role: a descriptor table of its own, named slots, its filter, and what happens
//! when it asks for more.
//!
//! [`thread::start`] is the only door by which a thread is born. Its steps are types: [`fence::Unfenced`] takes
//! a table of its own and becomes [`fence::Slotted`], that installs the filter and becomes [`fence::Fenced`],
//! and the loops of `role` accept nothing else.

pub mod bell;
pub mod fence;
pub mod futex;
pub mod install;
pub mod panic;
pub mod program;
#[cfg(feature = "provoke")]
pub mod provoke;
pub mod record;
pub mod reserve;
pub mod root;
pub mod signals;
pub mod sigsys;
pub mod table;
pub mod thread;

pub use bell::Slot;
pub use fence::{Fenced, Role, Slotted, Unfenced};
pub use install::{Fencing, OnViolation, Tier};
pub use record::{Farewell, Phase, Record};

/// Ends the process at once, with nothing run on the way: what the standard library does at a normal exit, main's
/// policy does not allow.
pub fn end_process(code: u8) -> ! {
    // SAFETY: ends the process; takes an integer.
    unsafe { libc::_exit(i32::from(code)) }
}
