//! The calls of a thread that a policy does not allow, seen by filters on events: nothing is refused, and nobody is stopped.
//!
//! Each call that a policy restricts has an event with a filter of its own; the kernel counts what passes, and writes it to
//! the ring buffer of the thread. `docs/event-filters.md` says what such filters can say.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd};

use perf_event::events::Tracepoint;
use perf_event::{Builder, Counter, ReadFormat, SampleFlag, Sampler};
use seccomp_policies::call::Call;
use seccomp_policies::compile::event_filter::{EventFilter, event_filter};
use seccomp_policies::language::Policy;

use super::{Error, count_of, identifiers, set_filter, share};

/// The size of a thread's ring buffer: two thousand violations until somebody looks.
const RING: usize = 256 << 10;

/// A policy as events.
#[derive(Debug)]
pub struct Eye {
    /// The policy.
    pub policy: Policy,
    /// Each with its event's number.
    filters: Vec<(EventFilter, u64)>,
}

/// A thread that is watched, as long as this lives.
pub struct Watch {
    /// The first event, with the ring buffer.
    ring: Sampler,
    others: Vec<Counter>,
    /// Violations by events whose filter is wider than the policy, of those that were read from the ring.
    judged: u64,
}

/// What has been seen of a thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Calls that the policy does not allow.
    pub violations: u64,
    /// Records that did not fit the ring: of these no more is known than their number.
    pub lost: u64,
    /// Threads and processes that it gave birth to since the last time.
    pub births: u64,
}

impl Eye {
    /// Looks up the events of each policy.
    ///
    /// # Errors
    /// [`Error`]
    pub fn of_each(policies: Vec<Policy>) -> Result<Vec<Self>, Error> {
        let filters: Vec<Vec<EventFilter>> =
            policies.iter().map(|policy| event_filter(policy).watched).collect();
        let events: Vec<String> = filters.iter().flatten().map(|filter| filter.event.clone()).collect();
        let mut numbers = identifiers(&events)?.into_iter();
        let eye = |(policy, filters): (Policy, Vec<EventFilter>)| Self {
            policy,
            filters: filters.into_iter().zip(numbers.by_ref()).collect(),
        };
        Ok(policies.into_iter().zip(filters).map(eye).collect())
    }

    /// How many events a thread needs.
    pub fn events(&self) -> usize {
        self.filters.len()
    }

    /// Where its filters let more through than violations, and why; what passes is asked about here.
    pub fn notes(&self) -> impl Iterator<Item = String> + '_ {
        self.filters.iter().flat_map(|(filter, _)| &filter.notes).map(ToString::to_string)
    }

    /// Watches a thread from now on; none where the policy allows everything.
    ///
    /// # Errors
    /// Why the kernel did not open an event, or did not take its filter.
    pub fn watch(&self, tid: i32) -> io::Result<Option<Watch>> {
        let mut watch = self.open(tid)?;
        if let Some(watch) = &mut watch {
            watch.ring.enable()?;
            watch.others.iter_mut().try_for_each(Counter::enable)?;
        }
        Ok(watch)
    }

    /// Opens the events of a thread, which count from when they are [enabled](enable_all).
    ///
    /// # Errors
    /// Why the kernel did not open an event, or did not take its filter.
    pub fn open(&self, tid: i32) -> io::Result<Option<Watch>> {
        let mut watch: Option<Watch> = None;
        for (filter, number) in &self.filters {
            let counter = Builder::new(Tracepoint::with_id(*number))
                .observe_pid(tid)
                .any_cpu()
                .include_kernel()
                .enabled(false)
                .sample_period(1)
                .sample(SampleFlag::TID | SampleFlag::RAW)
                // With any record.
                .wakeup_watermark(1)
                .task(watch.is_none())
                .read_format(ReadFormat::empty())
                .build()?;
            if let Some(predicate) = &filter.filter {
                let text = CString::new(predicate.to_string()).map_err(io::Error::other)?;
                set_filter(&counter, &text)?;
            }
            match &mut watch {
                None => watch = Some(Watch { ring: counter.sampled(RING)?, others: Vec::new(), judged: 0 }),
                Some(watch) => {
                    share(&counter, &watch.ring)?;
                    watch.others.push(counter);
                }
            }
        }
        Ok(watch)
    }

    /// Hands over the violations that were seen since the last time, in order; what is counted by now.
    pub fn look(&self, watch: &mut Watch, sink: &mut dyn FnMut(Call)) -> Count {
        let (mut lost, mut births) = (0, 0);
        while let Some(record) = watch.ring.next_record() {
            match record.parse_record() {
                Ok(perf_event::data::Record::Sample(sample)) => {
                    let Some((number, call)) = sample.raw().and_then(|raw| self.call(raw)) else { continue };
                    let mut filters =
                        self.filters.iter().filter(|(_, known)| *known == number).map(|(filter, _)| filter);
                    if let Some(filter) = filters.find(|filter| filter.is_violation(&call)) {
                        watch.judged += u64::from(filter.remainder.is_some());
                        sink(call);
                    }
                }
                Ok(perf_event::data::Record::Lost(record)) => lost += record.lost,
                Ok(perf_event::data::Record::Fork(_)) => births += 1,
                _ => {}
            }
        }
        let exact = |(filter, _): &(EventFilter, u64)| filter.remainder.is_none();
        let counters = std::iter::once(watch.ring.as_counter()).chain(&watch.others);
        let counted = self.filters.iter().zip(counters).filter(|(filter, _)| exact(filter));
        let counted: u64 = counted.map(|(_, counter)| count_of(borrowed(counter))).sum();
        Count { violations: counted + watch.judged, lost, births }
    }

    /// The number of an event, and the call that it tells of: after `common_type` and its kin (8 bytes) stands the number of
    /// the call, and from the sixteenth byte on a register in each eight (Linux `kernel/trace/trace_syscalls.c`, `struct
    /// syscall_trace_enter`, and `include/trace/events/syscalls.h`).
    fn call(&self, raw: &[u8]) -> Option<(u64, Call)> {
        let event = u16::from_ne_bytes(raw.get(..2)?.try_into().ok()?);
        let number = u32::from_ne_bytes(raw.get(8..12)?.try_into().ok()?);
        let mut arguments = [0; 6];
        for (argument, bytes) in arguments.iter_mut().zip(raw.get(16..)?.chunks_exact(8)) {
            *argument = u64::from_ne_bytes(bytes.try_into().ok()?);
        }
        let arch = self.policy.arch.audit_value();
        Some((event.into(), Call { number, arch, instruction_pointer: 0, arguments }))
    }
}

/// Enables every event that the calling thread has opened, at once: where it watches itself, no call of that is counted.
pub fn enable_all() {
    // SAFETY: takes a number. It is refused nowhere (Linux `kernel/sys.c`, `PR_TASK_PERF_EVENTS_ENABLE`).
    unsafe { libc::prctl(libc::PR_TASK_PERF_EVENTS_ENABLE) };
}

impl Watch {
    /// A descriptor that becomes readable when something was seen.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        borrowed(self.ring.as_counter())
    }
}

fn borrowed(counter: &Counter) -> BorrowedFd<'_> {
    // SAFETY: the counter is open while it is borrowed.
    unsafe { BorrowedFd::borrow_raw(counter.as_raw_fd()) }
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").field("events", &(self.others.len() + 1)).finish_non_exhaustive()
    }
}
