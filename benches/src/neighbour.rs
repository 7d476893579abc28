//! How long a device waits for its answer while another's disk is being synchronized again and again: on the same thread, beside a thread of
//! the disk's own, or beside a ring.
//!
//! The device is an eventfd that is answered on another one, as a queue and its interrupt are.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd};
use rustix::time::Timespec;

use crate::requests::{BYTES, Disk, Page};
use crate::ring::Ring;

/// Who synchronizes the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beside {
    /// Nobody.
    Nothing,
    /// The thread that answers, between two answers.
    TheSameThread,
    /// Another thread.
    AnotherThread,
    /// A ring of the thread that answers.
    ARing,
}

/// Between two questions, so that they fall anywhere in what the disk does: not a multiple of anything.
const PAUSE: Duration = Duration::from_micros(1730);

/// The mean time from a question to its answer, over so many.
///
/// # Errors
/// The system's.
pub fn wait(disk: &Disk, beside: Beside, questions: u32) -> io::Result<Duration> {
    let bells = Bells { question: bell()?, answer: bell()? };
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let answering = scope.spawn(|| answer(disk, beside, &bells, &over));
        let other = (beside == Beside::AnotherThread).then(|| {
            scope.spawn(|| {
                while !over.load(Ordering::Acquire) {
                    synchronized_write(disk)?;
                }
                Ok(())
            })
        });
        let found = ask(&bells, questions, &over);
        over.store(true, Ordering::Release);
        ring(&bells.question)?;
        let panicked = |_| Err(io::Error::other("a thread of the benchmark panicked"));
        answering.join().unwrap_or_else(panicked)?;
        other.map_or(Ok(()), |thread| thread.join().unwrap_or_else(panicked))?;
        found
    })
}

struct Bells {
    question: OwnedFd,
    answer: OwnedFd,
}

fn bell() -> io::Result<OwnedFd> {
    Ok(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?)
}

fn ring(bell: &OwnedFd) -> io::Result<()> {
    rustix::io::write(bell, &1u64.to_ne_bytes())?;
    Ok(())
}

/// Whether it had been rung.
fn hear(bell: &OwnedFd) -> bool {
    rustix::io::read(bell, &mut [0; 8]).is_ok()
}

fn ask(bells: &Bells, questions: u32, over: &AtomicBool) -> io::Result<Duration> {
    let mut total = Duration::ZERO;
    for _ in 0..questions {
        thread::sleep(PAUSE);
        let asked = Instant::now();
        ring(&bells.question)?;
        while !hear(&bells.answer) {
            if over.load(Ordering::Acquire) {
                return Err(io::Error::other("the thread that answers has ended"));
            }
            wait_for(&[bells.answer.as_fd()], true)?;
        }
        total += asked.elapsed();
    }
    Ok(total / questions.max(1))
}

/// `idle`: there is nothing else to do meanwhile.
fn wait_for(descriptors: &[BorrowedFd<'_>], idle: bool) -> io::Result<()> {
    // A thread that ended says so by no bell.
    let time = if idle { Duration::from_secs(1) } else { Duration::ZERO };
    let time = Timespec::try_from(time).map_err(io::Error::other)?;
    let mut polled: Vec<_> =
        descriptors.iter().map(|descriptor| PollFd::new(descriptor, PollFlags::IN)).collect();
    rustix::event::poll(&mut polled, Some(&time))?;
    Ok(())
}

fn answer(disk: &Disk, beside: Beside, bells: &Bells, over: &AtomicBool) -> io::Result<()> {
    let result = answer_until_over(disk, beside, bells, over);
    // Whoever asks need not wait for an answer that does not come.
    over.store(true, Ordering::Release);
    result
}

fn answer_until_over(disk: &Disk, beside: Beside, bells: &Bells, over: &AtomicBool) -> io::Result<()> {
    let mut at_work = if beside == Beside::ARing { Some(Ring::new(disk, 2)?) } else { None };
    let mut on_their_way = 0;
    while !over.load(Ordering::Acquire) {
        if let Some(at_work) = &mut at_work {
            on_their_way -= at_work.done()?;
            if on_their_way == 0 {
                at_work.begin_synchronized_write()?;
                on_their_way = 2;
            }
        }
        // SAFETY: the ring is open as long as this value, which outlives the borrow.
        let number = at_work.as_ref().map(|ring| unsafe { BorrowedFd::borrow_raw(ring.number()) });
        let listened: Vec<_> = [bells.question.as_fd()].into_iter().chain(number).collect();
        wait_for(&listened, beside != Beside::TheSameThread)?;
        if hear(&bells.question) {
            ring(&bells.answer)?;
        }
        if beside == Beside::TheSameThread {
            synchronized_write(disk)?;
        }
    }
    at_work.map_or(Ok(()), |mut ring| ring.wait(on_their_way))
}

/// What a guest's journal does: a block, and then a flush.
fn synchronized_write(disk: &Disk) -> io::Result<()> {
    let page = Page::new();
    let written = rustix::io::pwrite(&disk.file, &page.0, 0)?;
    if written < BYTES {
        return Err(io::ErrorKind::WriteZero.into());
    }
    Ok(rustix::fs::fdatasync(&disk.file)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_question_is_answered_whoever_is_beside() {
        let disk = Disk::new(1, false).unwrap();
        for beside in [Beside::Nothing, Beside::TheSameThread, Beside::AnotherThread, Beside::ARing] {
            match wait(&disk, beside, 3) {
                Ok(time) => assert!(time > Duration::ZERO, "{beside:?}"),
                Err(error) if beside == Beside::ARing => {
                    println!("not run: there is no io_uring here: {error}");
                }
                Err(error) => panic!("{beside:?}: {error}"),
            }
        }
    }

    #[test]
    fn a_disk_that_cannot_be_written_ends_the_wait() {
        let file = std::fs::File::open("/proc/self/exe").unwrap();
        let error = wait(&Disk { file, pages: 1 }, Beside::TheSameThread, 3).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EBADF));
    }
}
