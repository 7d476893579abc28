//! A thread that measures on command, held as it was when it began: a filter cannot be taken off a thread, so each variant has
//! one of its own. It never ends, since ending is no call of most policies.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::thread;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use super::Error;
use super::exchange::Exchange;
use super::method::Figure;

/// The measuring thread, as its commander sees it. `O`: what it can be told to do.
#[derive(Debug)]
pub struct Measured<O> {
    exchange: Arc<Exchange<O, Error>>,
    tid: Arc<AtomicI32>,
}

impl<O: Send + 'static> Measured<O> {
    /// Starts a thread. `prepare` runs in it, confines it, and gives what carries out an order.
    ///
    /// # Errors
    /// [`Error::Spawn`]. What goes wrong in the thread is the first order's error.
    pub fn start<W>(prepare: impl FnOnce() -> Result<W, Error> + Send + 'static) -> Result<Self, Error>
    where
        W: FnMut(O) -> Result<Figure, Error>,
    {
        let exchange = Arc::new(Exchange::new());
        let tid = Arc::new(AtomicI32::new(0));
        let (own, own_tid) = (exchange.clone(), tid.clone());
        let body = move || {
            own_tid.store(rustix::thread::gettid().as_raw_nonzero().get(), Ordering::Relaxed);
            match prepare() {
                Ok(carry_out) => own.serve(carry_out),
                Err(error) => own.put(Err(error)),
            }
        };
        thread::Builder::new().name("measured".into()).spawn(body).map_err(Error::Spawn)?;
        Ok(Self { exchange, tid })
    }

    /// Has it carry out an order.
    ///
    /// # Errors
    /// The thread's own; it is of no further use then.
    pub fn order(&self, order: O) -> Result<Figure, Error> {
        self.exchange.measure(order)
    }

    /// Its number; 0 before the first order was carried out.
    pub fn tid(&self) -> i32 {
        self.tid.load(Ordering::Relaxed)
    }
}

/// One block after the other by threads that are alike, in turn: where one thread's stack lies is chance.
pub fn in_turn<O: Copy + Send + 'static>(
    alike: Rc<[Measured<O>]>,
    order: O,
) -> impl FnMut() -> Result<Figure, Error> {
    let mut turn = 0;
    move || {
        turn = (turn + 1) % alike.len();
        alike[turn].order(order)
    }
}

/// So many threads are alike of a variant that has nobody in its company.
pub const ALIKE: usize = 3;

/// The processors that this process may use, ascending.
///
/// # Errors
/// [`Error::Processor`]
pub fn processors() -> Result<Vec<usize>, Error> {
    let set = sched_getaffinity(None).map_err(|errno| Error::Processor(errno.into()))?;
    Ok((0..CpuSet::MAX_CPU).filter(|number| set.is_set(*number)).collect())
}

/// Keeps the calling thread, and those that it starts from now on, on these processors.
///
/// # Errors
/// [`Error::Processor`]
pub fn stay_on(processors: &[usize]) -> Result<(), Error> {
    let mut set = CpuSet::new();
    for number in processors {
        set.set(*number);
    }
    sched_setaffinity(None, &set).map_err(|errno| Error::Processor(errno.into()))
}

/// The processor that the calling thread is on, which the C library knows without a system call where the kernel tells it
/// (rseq(2), or the vDSO).
pub fn processor() -> i32 {
    // SAFETY: takes nothing and touches no memory of ours.
    unsafe { libc::sched_getcpu() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_carried_out_one_after_the_other_by_one_thread() {
        let measured = Measured::start(|| {
            let mut sum = 0;
            Ok(move |order: i32| {
                sum += order;
                Ok(Figure { value: f64::from(sum), migrated: false })
            })
        });
        let measured = measured.unwrap();
        let sum = |nanoseconds| Figure { value: nanoseconds, migrated: false };
        assert_eq!(measured.order(2).unwrap(), sum(2.0));
        assert_eq!(measured.order(3).unwrap(), sum(5.0));
        assert!(measured.tid() > 0 && measured.tid() != rustix::thread::gettid().as_raw_nonzero().get());
    }

    #[test]
    fn a_thread_that_could_not_prepare_says_why_to_whoever_asks() {
        let measured =
            Measured::<()>::start(|| Err::<fn(()) -> Result<Figure, Error>, _>(Error::Guest("its end")));
        let measured = measured.unwrap();
        assert!(matches!(measured.order(()), Err(Error::Guest("its end"))));
    }
}
