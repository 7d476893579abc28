//! What main asks of a thread that serves devices: to stand still, and to change something about them.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use super::desk::Desk;
use super::{PAUSE, RUN};
use crate::confine::futex;

/// What it adds to [`PAUSE`] each time that the thread is to look at its desk meanwhile: never twice the same number, so that a thread
/// that has just looked, and goes to sleep on the number from before, finds another. (Two asked for in the time between would come to
/// the same if this were a bit.) Such a number is even, and [`RUN`] is not.
const LOOK: u32 = 2;

/// One such thread's part of the shared state.
#[derive(Debug, Default)]
pub struct IoThread {
    /// Whether it is to stand still.
    pub state: IoState,
    /// What is to change about its devices.
    pub desk: Desk,
}

impl IoThread {
    /// io: whether the thread, which main has not rung itself, is to look here.
    pub fn is_wanted(&self) -> bool {
        self.state.request.load(Ordering::SeqCst) != RUN || self.desk.has_order()
    }
}

/// Whether it stands still. Begins running: it serves what is there before any vCPU runs.
#[derive(Debug)]
pub struct IoState {
    /// [`PAUSE`], that and some [`LOOK`]s, or [`RUN`]; stored by main, and the futex word on which the thread waits.
    request: AtomicU32,
    /// [`PAUSE`] or [`RUN`]; stored by the thread, and the futex word on which main waits.
    place: AtomicU32,
}

impl Default for IoState {
    fn default() -> Self {
        Self { request: AtomicU32::new(RUN), place: AtomicU32::new(RUN) }
    }
}

impl IoState {
    /// Main: asks the thread to stand still. It is to be rung.
    pub fn ask_to_pause(&self) {
        self.request.store(PAUSE, Ordering::SeqCst);
    }

    /// Main: waits until it stands still; false when `deadline` came first.
    pub fn wait_until_paused(&self, deadline: Instant) -> bool {
        let paused = |place| place == PAUSE;
        paused(futex::wait_until(&self.place, deadline, paused))
    }

    /// Main: lets it go on.
    pub fn resume(&self) {
        self.request.store(RUN, Ordering::SeqCst);
        futex::wake_all(&self.request);
    }

    /// Main: has it look at its desk while it stands still. One that runs is to be rung.
    pub fn look_up(&self) {
        if self.request.load(Ordering::SeqCst) != RUN {
            // Only main stores here.
            self.request.fetch_add(LOOK, Ordering::SeqCst);
            futex::wake_all(&self.request);
        }
    }

    /// The thread: stands still while main wants it, and looks at its desk in between. What happens to its descriptors meanwhile,
    /// epoll tells it afterwards.
    pub fn pause_if_wanted(&self, mut look_at_desk: impl FnMut()) {
        loop {
            let request = self.request.load(Ordering::SeqCst);
            if request == RUN {
                break;
            }
            self.go_to(PAUSE);
            look_at_desk();
            futex::wait(&self.request, request);
        }
        self.go_to(RUN);
    }

    fn go_to(&self, place: u32) {
        if self.place.swap(place, Ordering::SeqCst) != place {
            futex::wake_all(&self.place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn io_stands_still_from_its_word_to_main_s() {
        let state: &'static IoState = Box::leak(Box::default());
        state.pause_if_wanted(|| panic!("it runs"));
        assert!(!state.wait_until_paused(Instant::now()));
        state.look_up();
        state.pause_if_wanted(|| panic!("it runs"));
        state.ask_to_pause();
        let (looked, looks) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || state.pause_if_wanted(|| looked.send(()).unwrap()));
        assert!(state.wait_until_paused(Instant::now() + Duration::from_mins(1)));
        assert!(!thread.is_finished());
        for _ in 0..100 {
            looks.recv().unwrap();
            state.look_up();
        }
        state.resume();
        thread.join().unwrap();
        assert!(!state.wait_until_paused(Instant::now()));
    }

    #[test]
    fn what_is_asked_for_between_a_look_and_the_sleep_after_it_is_looked_at() {
        let state: &'static IoState = Box::leak(Box::default());
        state.ask_to_pause();
        let (looked, looks) = std::sync::mpsc::channel();
        let mut first = true;
        let thread = std::thread::spawn(move || {
            state.pause_if_wanted(|| {
                looked.send(()).unwrap();
                if std::mem::take(&mut first) {
                    // Main is this quick: what it asked for was done by this look, and it asks for something else.
                    state.look_up();
                    state.look_up();
                }
            });
        });
        for _ in 0..2 {
            looks.recv_timeout(Duration::from_mins(1)).expect("another look");
        }
        state.resume();
        thread.join().unwrap();
    }
}
