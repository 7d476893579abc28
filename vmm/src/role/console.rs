//! The console thread: takes the guest's output from the ring to standard output, in seccomp's strict mode. All it
//! can ask of the kernel is read, write and exit.

use std::convert::Infallible;
use std::os::fd::RawFd;

use rustix::io::Errno;
use seccomp_policies::embed::Embedded;

use super::policies::console::{POLICY, slot};
use super::shared::Shared;
use crate::confine::table::Placement;
use crate::confine::thread::{self, Failure, Started};
use crate::confine::{Farewell, Fenced, Fencing, Role, Slot, Unfenced};
use crate::devices::output::Output;

/// The role.
#[derive(Debug)]
pub struct Console;

impl Role for Console {
    const POLICY: &'static Embedded = &POLICY;
}

/// What the thread takes with it: numbers in its parent's table.
#[derive(Clone, Copy, Debug)]
pub struct Descriptors {
    /// Standard output.
    pub stdout: RawFd,
    /// The console's own bell; reading it blocks.
    pub bell: RawFd,
    /// io's eventfd `room`.
    pub room: RawFd,
}

/// Starts the thread.
///
/// # Errors
/// [`thread::Error::Spawn`]
pub fn start(
    fencing: Fencing,
    descriptors: Descriptors,
    shared: &'static Shared,
) -> Result<Started, thread::Error> {
    let body = move |unfenced| become_console(unfenced, descriptors, shared.output);
    thread::start::<Console>("rf-console".into(), fencing, body)
}

fn become_console(
    unfenced: Unfenced<Console>,
    descriptors: Descriptors,
    output: &'static Output,
) -> Result<Infallible, Failure> {
    let placements = [
        Placement { from: descriptors.stdout, slot: slot::STDOUT },
        Placement { from: descriptors.bell, slot: slot::BELL },
        Placement { from: descriptors.room, slot: slot::ROOM },
    ];
    // SAFETY: this thread has brought numbers alone.
    let slotted = unsafe { unfenced.own_table(&placements, Farewell::EndThread) }?;
    let fenced = slotted.fence()?;
    run(&fenced, output)
}

fn run(fenced: &Fenced<Console>, output: &Output) -> ! {
    let (bell, room, stdout) = (fenced.slot(slot::BELL), fenced.slot(slot::ROOM), fenced.slot(slot::STDOUT));
    let mut chunk = [0; 4096];
    loop {
        bell.hear();
        loop {
            let count = output.peek(&mut chunk);
            if count == 0 {
                break;
            }
            if output.take(write(stdout, &chunk[..count], output)) {
                room.ring();
            }
            if output.failure().is_some() {
                // io hears of it in any case, and tells main.
                room.ring();
            }
        }
    }
}

/// Writes some of the bytes and says how many are done with. After a failure they are dropped, and main ends the
/// run with words about it.
fn write(stdout: Slot, bytes: &[u8], output: &Output) -> usize {
    if output.failure().is_some() {
        return output.drop_unwritten(bytes.len());
    }
    match rustix::io::write(stdout, bytes) {
        Ok(written) => written,
        // Main made the descriptor a blocking one. When another process makes it non-blocking again, all that
        // strict mode leaves is to try again.
        Err(Errno::INTR | Errno::AGAIN) => 0,
        Err(errno) => {
            output.fail(errno.raw_os_error());
            output.drop_unwritten(bytes.len())
        }
    }
}
