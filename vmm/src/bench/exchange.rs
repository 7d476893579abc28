//! What lies between a thread that measures and who commands it: one order or one result at a time.
//!
//! Both wait by futex without a clock, which every role's policy allows.
#![forbid(unsafe_code)]

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::method::Figure;

#[derive(Debug)]
enum Desk<O, E> {
    Order(O),
    Done(Result<Figure, E>),
    /// Nothing to do, or taken by the thread.
    Empty,
}

/// Shared with the thread, which takes orders of type `O` and fails with `E`.
#[derive(Debug)]
pub struct Exchange<O, E> {
    desk: Mutex<Desk<O, E>>,
    changed: Condvar,
}

impl<O, E> Exchange<O, E> {
    /// With nothing to do.
    #[expect(clippy::new_without_default, reason = "nothing asks for a default exchange")]
    pub fn new() -> Self {
        Self { desk: Mutex::new(Desk::Empty), changed: Condvar::new() }
    }

    /// Has the thread carry out an order; gives what it took.
    ///
    /// # Errors
    /// The thread's error; it is of no further use then.
    pub fn measure(&self, order: O) -> Result<Figure, E> {
        let mut desk = self.lock();
        // A thread that failed has left its error, in place of which no order may lie.
        if !matches!(*desk, Desk::Done(Err(_))) {
            *desk = Desk::Order(order);
        }
        drop(desk);
        self.changed.notify_all();
        self.take(|desk| match desk {
            Desk::Done(result) => Ok(result),
            other => Err(other),
        })
    }

    /// The thread's side: carries out one order after the other, for ever.
    pub fn serve(&self, mut carry_out: impl FnMut(O) -> Result<Figure, E>) -> ! {
        loop {
            let order = self.take(|desk| match desk {
                Desk::Order(order) => Ok(order),
                other => Err(other),
            });
            self.put(carry_out(order));
        }
    }

    /// Leaves a result without an order: what kept the thread from taking any.
    pub fn put(&self, result: Result<Figure, E>) {
        *self.lock() = Desk::Done(result);
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Desk<O, E>> {
        // Whoever panicked has left one of the three states, each whole.
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for what `wanted` accepts and takes it; what it gives back stays.
    fn take<T>(&self, wanted: impl Fn(Desk<O, E>) -> Result<T, Desk<O, E>>) -> T {
        let mut desk = self.lock();
        loop {
            match wanted(std::mem::replace(&mut *desk, Desk::Empty)) {
                Ok(found) => return found,
                Err(other) => *desk = other,
            }
            desk = self.changed.wait(desk).unwrap_or_else(PoisonError::into_inner);
        }
    }
}
