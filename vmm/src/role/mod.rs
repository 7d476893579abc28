//! The thread roles: what each owns and the loop that it runs.
//!
//! A role never knows how a device works, and no device knows a role. `start` gives birth to the threads of a
//! run, `main` waits for its end.

pub mod api;
pub mod calls;
pub mod console;
pub mod devices;
pub mod disk;
mod events;
pub mod exchange;
pub mod eyes;
pub mod io;
pub mod main;
pub mod policies;
pub mod published;
pub mod serving;
pub mod shared;
pub mod start;
pub mod terminal;
pub mod vcpu;

pub use shared::Shared;
