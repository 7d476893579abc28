//! Calls by the tracepoints `raw_syscalls:sys_enter` and `sys_exit`, which the kernel writes to a ring buffer for each
//! processor. Nobody is stopped; what does not fit is lost, and counted.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::time::Duration;

use perf_event::data::Record;
use perf_event::events::Tracepoint;
use perf_event::{Builder, Clock, Counter, ReadFormat, SampleFlag, Sampler};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::time::{ClockId, clock_gettime};

use super::Error;
use super::event::{Event, What};
use super::only::Only;
use crate::tracepoint;

/// The size of a ring buffer: some hundred thousand calls.
const RING: usize = 32 << 20;

/// The size with which an ordinary user has to be content (`perf_event_mlock_kb`, 516 by default).
const SMALL_RING: usize = 256 << 10;

/// How full a ring is when somebody who waits is woken.
const WATERMARK: usize = SMALL_RING / 2;

/// A record is written with its time, and then becomes visible: one so old is there, or was lost.
const SETTLED: Duration = Duration::from_millis(2);

/// The tracepoints of some threads and of whatever they give birth to.
pub(super) struct Tracepoints {
    /// One for each processor, into which everything that happens there goes.
    rings: Vec<Sampler>,
    /// Events without a ring of their own.
    others: Vec<Counter>,
    numbers: Numbers,
    /// Events with their time that may not be the next.
    waiting: Vec<(u64, Event)>,
}

/// The tracepoints' numbers, by which records are told apart.
#[derive(Clone, Copy)]
struct Numbers {
    enter: u64,
    exit: u64,
}

/// When events begin.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Begin {
    Now,
    WithTheProgram,
}

impl Tracepoints {
    /// Of a child, from the moment at which it executes its program.
    ///
    /// # Errors
    /// [`Error::Tracepoint`], [`Error::Open`]
    pub(super) fn of_child(pid: i32, only: Option<&Only>) -> Result<Self, Error> {
        Self::open(&[pid], Begin::WithTheProgram, only)
    }

    /// Of threads that are there, from now on.
    ///
    /// # Errors
    /// [`Error::Tracepoint`], [`Error::Open`]
    pub(super) fn of_threads(tids: &[i32], only: Option<&Only>) -> Result<Self, Error> {
        Self::open(tids, Begin::Now, only)
    }

    fn open(tids: &[i32], begin: Begin, only: Option<&Only>) -> Result<Self, Error> {
        let names = ["raw_syscalls:sys_enter", "raw_syscalls:sys_exit"].map(str::to_owned);
        let identifiers = tracepoint::identifiers(&names)?;
        let numbers = Numbers { enter: identifiers[0], exit: identifiers[1] };
        let (mut rings, mut others): (Vec<Sampler>, Vec<Counter>) = (Vec::new(), Vec::new());
        let open_one = |tid, number, cpu| -> io::Result<Counter> {
            let counter =
                builder(number, number == numbers.enter, begin).observe_pid(tid).one_cpu(cpu).build()?;
            if let Some(only) = only {
                tracepoint::set_filter(&counter, only.filter())?;
            }
            Ok(counter)
        };
        for cpu in online().map_err(|source| Error::System { what: "read the list of processors", source })? {
            let mut ring: Option<Sampler> = None;
            for (tid, number) in tids.iter().flat_map(|tid| [(*tid, numbers.enter), (*tid, numbers.exit)]) {
                let opened = match &ring {
                    None => open_one(tid, number, cpu).and_then(|counter| {
                        let small = || open_one(tid, number, cpu)?.sampled(SMALL_RING);
                        counter.sampled(RING).or_else(|_| small()).map(|made| ring = Some(made))
                    }),
                    Some(ring) => open_one(tid, number, cpu)
                        .and_then(|counter| tracepoint::share(&counter, ring).map(|()| others.push(counter))),
                };
                match opened {
                    // It has ended meanwhile.
                    Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {}
                    opened => opened.map_err(Error::Open)?,
                }
            }
            rings.extend(ring);
        }
        let mut tracepoints = Self { rings, others, numbers, waiting: Vec::new() };
        if begin == Begin::Now {
            tracepoints.enable().map_err(Error::Open)?;
        }
        Ok(tracepoints)
    }

    fn enable(&mut self) -> io::Result<()> {
        self.rings.iter_mut().try_for_each(|ring| ring.enable())?;
        self.others.iter_mut().try_for_each(Counter::enable)
    }

    /// Waits until there is something to read, until one of `others` is readable, or for so long.
    pub(super) fn wait(&self, others: &[BorrowedFd], limit: Duration) {
        // SAFETY: the rings are open while they are borrowed.
        let borrow = |ring: &Sampler| unsafe { BorrowedFd::borrow_raw(ring.as_raw_fd()) };
        let rings: Vec<BorrowedFd> = self.rings.iter().map(borrow).collect();
        let mut polled: Vec<PollFd> =
            rings.iter().chain(others).map(|descriptor| PollFd::new(descriptor, PollFlags::IN)).collect();
        let limit = Timespec::try_from(limit).unwrap_or_default();
        // A signal wakes too, and is looked for by whoever waits.
        let _ = poll(&mut polled, Some(&limit));
    }

    /// Hands over what has happened, in order. `is_last`: nothing more will come. How many records were lost.
    pub(super) fn drain(&mut self, is_last: bool, sink: &mut dyn FnMut(Event)) -> u64 {
        let before = now();
        let mut lost = 0;
        let numbers = self.numbers;
        for ring in &mut self.rings {
            while let Some(record) = ring.next_record() {
                lost += read(&record, numbers, &mut self.waiting);
            }
        }
        self.waiting.sort_by_key(|(time, _)| *time);
        let settled = before.saturating_sub(u64::try_from(SETTLED.as_nanos()).unwrap_or(u64::MAX));
        let count = if is_last {
            self.waiting.len()
        } else {
            self.waiting.partition_point(|(time, _)| *time < settled)
        };
        self.waiting.drain(..count).for_each(|(_, event)| sink(event));
        lost
    }
}

fn builder<'a>(number: u64, tells_of_tasks: bool, begin: Begin) -> Builder<'a> {
    let mut builder = Builder::new(Tracepoint::with_id(number));
    builder
        .include_kernel()
        .inherit(true)
        .enabled(false)
        .enable_on_exec(begin == Begin::WithTheProgram)
        .sample_period(1)
        .sample(SampleFlag::TID | SampleFlag::TIME | SampleFlag::RAW)
        .sample_id_all(true)
        .comm(tells_of_tasks)
        .comm_exec(tells_of_tasks)
        .task(tells_of_tasks)
        .clockid(Clock::MONOTONIC)
        .wakeup_watermark(WATERMARK)
        .read_format(ReadFormat::empty());
    builder
}

/// The processors that run, of a text like `0-3,8`.
fn online() -> io::Result<Vec<usize>> {
    let text = fs::read_to_string("/sys/devices/system/cpu/online")?;
    let number = |text: &str| text.trim().parse::<usize>().map_err(io::Error::other);
    let mut processors = Vec::new();
    for part in text.trim().split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        processors.extend(number(first)?..=number(last)?);
    }
    Ok(processors)
}

fn now() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    let (seconds, nanoseconds) = (time.tv_sec.cast_unsigned(), time.tv_nsec.cast_unsigned());
    seconds * 1_000_000_000 + nanoseconds
}

/// Takes what a record says; how many were lost by it.
fn read(record: &perf_event::Record, numbers: Numbers, into: &mut Vec<(u64, Event)>) -> u64 {
    /// `PERF_RECORD_MISC_COMM_EXEC`, Linux `include/uapi/linux/perf_event.h`.
    const BY_EXECUTION: u16 = 1 << 13;
    // One that cannot be read would be of a kind that was not asked for.
    let Ok(parsed) = record.parse_record() else { return 0 };
    let mut push = |time: u64, pid: u32, tid: u32, what: What| {
        into.push((time, Event { pid: pid.cast_signed(), tid: tid.cast_signed(), what }));
    };
    match parsed {
        Record::Sample(sample) => {
            let (Some(pid), Some(tid), Some(raw)) = (sample.pid(), sample.tid(), sample.raw()) else {
                return 0;
            };
            if let Some(what) = call(raw, numbers) {
                push(sample.time().unwrap_or_default(), pid, tid, what);
            }
        }
        Record::Comm(named) => {
            let name = named.comm_os().to_string_lossy().into_owned();
            let executed = record.misc() & BY_EXECUTION != 0;
            push(last_word(record), named.pid, named.tid, What::Name { name, executed });
        }
        Record::Fork(born) => {
            let what = What::Birth { pid: born.pid.cast_signed(), tid: born.tid.cast_signed() };
            push(born.time, born.ppid, born.ptid, what);
        }
        Record::Exit(ended) => push(ended.time, ended.pid, ended.tid, What::End),
        Record::Lost(lost) => return lost.lost,
        _ => {}
    }
    0
}

/// The time of a record that is no sample: with `sample_id_all` it stands at its end (Linux
/// `include/uapi/linux/perf_event.h`, `struct sample_id`).
fn last_word(record: &perf_event::Record) -> u64 {
    let bytes = record.to_contiguous();
    bytes.last_chunk().copied().map(u64::from_ne_bytes).unwrap_or_default()
}

/// The fields of the two events, as their `format` files in tracefs have them: `common_type` in the first two bytes, then
/// eight bytes on the number of the call, and the six registers, or what was returned (Linux
/// `include/trace/events/syscalls.h`).
fn call(raw: &[u8], numbers: Numbers) -> Option<What> {
    let word = |index: usize| Some(u64::from_ne_bytes(raw.get(8 * index..8 * index + 8)?.try_into().ok()?));
    let kind = u64::from(u16::from_ne_bytes(raw.get(..2)?.try_into().ok()?));
    let number = word(1)?.cast_signed();
    if kind == numbers.enter {
        let mut arguments = [0; 6];
        for (index, argument) in arguments.iter_mut().enumerate() {
            *argument = word(2 + index)?;
        }
        Some(What::Enter { number, arguments })
    } else if kind == numbers.exit {
        Some(What::Exit { number: Some(number), value: word(2)?.cast_signed() })
    } else {
        None
    }
}
