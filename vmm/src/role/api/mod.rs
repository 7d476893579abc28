//! The API's thread: connections of a Unix socket, and the requests that come by them. It reads what clients send, checks
//! its form, and hands it to main, which has the machine.
//!
//! Its loop is event-manager's.

mod client;
mod server;
mod socket;

use std::convert::Infallible;
use std::hash::RandomState;
use std::os::fd::RawFd;

use event_manager::{EventManager, SubscriberOps};
use seccomp_policies::embed::Embedded;

use self::server::Server;
pub use self::socket::{Socket, SocketError, SocketOptions};
use super::events;
use super::exchange::Exchange;
use super::policies::api::{POLICY, slot};
use crate::api::http::Limits;
use crate::confine::table::Placement;
use crate::confine::thread::{self, Failure, Started};
use crate::confine::{Farewell, Fencing, Role, Unfenced};

/// The role.
#[derive(Debug)]
pub struct Api;

impl Role for Api {
    const POLICY: &'static Embedded = &POLICY;
    const ALLOCATES: bool = true;
}

/// What the thread takes with it: numbers in its parent's table.
#[derive(Clone, Copy, Debug)]
pub struct Descriptors {
    /// The bell by which main says that it has answered.
    pub bell: RawFd,
    /// Main's bell.
    pub main_bell: RawFd,
    /// The bound socket. Main lets it listen when this thread is fenced.
    pub listener: RawFd,
    /// A timerfd that does not run.
    pub timer: RawFd,
}

/// Starts the thread.
///
/// # Errors
/// [`thread::Error::Spawn`]
pub fn start(
    fencing: Fencing,
    descriptors: Descriptors,
    limits: Limits,
    exchange: &'static Exchange,
) -> Result<Started, thread::Error> {
    let body = move |unfenced| become_api(unfenced, descriptors, limits, exchange);
    thread::start::<Api>("rf-api".into(), fencing, body)
}

fn become_api(
    unfenced: Unfenced<Api>,
    descriptors: Descriptors,
    limits: Limits,
    exchange: &'static Exchange,
) -> Result<Infallible, Failure> {
    let placements = [
        Placement { from: descriptors.bell, slot: slot::BELL },
        Placement { from: descriptors.main_bell, slot: slot::MAIN_BELL },
        Placement { from: descriptors.listener, slot: slot::LISTENER },
        Placement { from: descriptors.timer, slot: slot::TIMER },
    ];
    // SAFETY: this thread has brought numbers alone.
    let slotted = unsafe { unfenced.own_table(&placements, Farewell::RingMain(slot::MAIN_BELL)) }?;
    let mut events = EventManager::new()?;
    // The event manager made its epoll descriptor at the lowest free number.
    slotted.assert_open(slot::EPOLL)?;
    // The first hash table of a thread asks the kernel for random numbers.
    let _ = RandomState::new();
    events.add_subscriber(Server::new(limits, exchange, |number| slotted.slot(number)));
    let fenced = slotted.fence()?;
    events::run(&fenced, events)
}
