//! A process that runs, against policies that do not hold it: the calls that they would refuse are counted and told, while
//! nothing is refused and no thread is stopped.
#![forbid(unsafe_code)]

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Resource, getrlimit, pidfd_open, setrlimit};
use seccomp_policies::language::Policy;

use super::live::Expected;
use super::live::attest::{self, Run};
use super::live::process::{self, Mode, Process, Thread};
use super::record::policies_of;
use crate::exec::Signals;
use crate::report::{Kinds, Violation};
use crate::tracepoint::violations::{Count, Eye, Watch};
use crate::tracepoint::{self, Unopened};

/// How often threads are looked for that nobody told of.
pub const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Why nothing can be observed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The process cannot be seen.
    #[error(transparent)]
    Process(#[from] process::Error),
    /// No policy is for it.
    #[error(
        "process {pid} is no run of ringfence: name the policy that its threads are to be held against with --policy"
    )]
    NoPolicy {
        /// The process.
        pid: i32,
    },
    /// A 32-bit program.
    #[error("process {pid} runs a 32-bit program, whose calls have other numbers: it cannot be observed")]
    Is32Bit {
        /// The process.
        pid: i32,
    },
    /// No tracepoints.
    #[error(transparent)]
    Tracepoint(#[from] tracepoint::Error),
    /// The kernel did not open one.
    #[error(transparent)]
    Open(#[from] Unopened),
    /// Something that every Linux has failed.
    #[error("cannot {what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// The system's reason.
        source: io::Error,
    },
}

/// What was seen of a thread.
#[derive(Debug)]
pub struct Observed {
    /// The thread as it was when it was first seen.
    pub thread: Thread,
    /// The role of the policy that it was held against; none where no policy is for it.
    pub role: Option<String>,
    /// How many events were open for it.
    pub events: usize,
    /// What was counted.
    pub count: Count,
    /// Whether it has ended.
    pub has_ended: bool,
}

/// What is told while it happens.
pub enum News<'a> {
    /// So many threads are observed from now on.
    Begun(usize),
    /// A call of a kind that was not seen before.
    Violation(&'a Violation),
}

/// What came of it.
#[derive(Debug)]
pub struct Observation {
    /// The process.
    pub process: Process,
    /// How long it lasted.
    pub lasted: Duration,
    /// Its threads, by number.
    pub threads: Vec<Observed>,
    /// The kinds of violations, in the order in which they came.
    pub kinds: Kinds,
    /// What could not be seen, in words.
    pub unseen: Vec<String>,
}

/// A thread that is there.
struct Watched {
    thread: Thread,
    /// The place of its policy, and its events.
    watch: Option<(usize, Watch)>,
    count: Count,
    has_ended: bool,
}

struct Observer<'a> {
    process: Process,
    given: &'a [Expected],
    eyes: Vec<Eye>,
    threads: BTreeMap<i32, Watched>,
    kinds: Kinds,
    tell: &'a mut dyn FnMut(News),
}

/// Observes a process until it ends, for so long, or until a signal says that it is enough. `given`: the policies of its
/// threads; of a run of ours those of the build if there are none.
///
/// # Errors
/// See [`Error`].
pub fn observe(
    pid: i32,
    given: &[Expected],
    limit: Option<Duration>,
    tell: &mut dyn FnMut(News),
) -> Result<Observation, Error> {
    let process = Process::read(pid)?;
    if process.is_32_bit {
        return Err(Error::Is32Bit { pid });
    }
    if given.is_empty() && !attest::is_ours(&process.name) {
        return Err(Error::NoPolicy { pid });
    }
    let system = |what| move |source: io::Error| Error::System { what, source };
    let signals = Signals::take().map_err(system("take signals"))?;
    let number = Pid::from_raw(pid).ok_or(process::Error::NoSuchProcess { pid })?;
    let handle = pidfd_open(number, PidfdFlags::empty())
        .map_err(|source| system("get a handle of the process (pidfd_open)")(source.into()))?;
    raise_limit();
    let policies: Vec<Policy> = if given.is_empty() {
        policies_of().to_vec()
    } else {
        given.iter().map(|expected| expected.policy.clone()).collect()
    };
    let eyes = Eye::of_each(policies)?;
    let mut observer =
        Observer { process, given, eyes, threads: BTreeMap::new(), kinds: Kinds::default(), tell };
    let began = Instant::now();
    observer.look_for_threads()?;
    let count = observer.threads.values().filter(|watched| watched.watch.is_some()).count();
    (observer.tell)(News::Begun(count));
    let deadline = limit.map(|limit| began + limit);
    let mut looked = began;
    loop {
        let has_ended = observer.wait(&signals, &handle, deadline);
        let births = observer.look();
        let is_late = deadline.is_some_and(|deadline| Instant::now() >= deadline);
        if has_ended || is_late || signals.has_come() {
            break;
        }
        if births > 0 || looked.elapsed() >= LOOK_AGAIN {
            observer.look_for_threads()?;
            looked = Instant::now();
        }
    }
    Ok(observer.finish(began.elapsed()))
}

/// As many descriptors as may be: each event is one.
fn raise_limit() {
    let limit = getrlimit(Resource::Nofile);
    // Where it is refused, opening says so.
    let _ = setrlimit(Resource::Nofile, rustix::process::Rlimit { current: limit.maximum, ..limit });
}

impl Observer<'_> {
    /// Waits for something to look at; whether the process has ended.
    fn wait(&self, signals: &Signals, handle: &OwnedFd, deadline: Option<Instant>) -> bool {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let limit = Timespec::try_from(left.unwrap_or(LOOK_AGAIN).min(LOOK_AGAIN)).unwrap_or_default();
        let rings = self.threads.values().filter_map(|watched| Some(watched.watch.as_ref()?.1.descriptor()));
        let descriptors: Vec<BorrowedFd> =
            [handle.as_fd(), signals.as_fd()].into_iter().chain(rings).collect();
        let mut polled: Vec<PollFd> =
            descriptors.iter().map(|descriptor| PollFd::new(descriptor, PollFlags::IN)).collect();
        // A signal wakes too, and is looked for by whoever waits.
        let _ = poll(&mut polled, Some(&limit));
        polled[0].revents().contains(PollFlags::IN)
    }

    /// Opens the events of threads that are new, and notes which are gone.
    fn look_for_threads(&mut self) -> Result<(), Error> {
        let threads = match self.process.threads() {
            Ok(threads) => threads,
            Err(process::Error::NoSuchProcess { .. }) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let alive: BTreeSet<i32> =
            threads.iter().filter(|thread| !thread.has_ended).map(|thread| thread.tid).collect();
        for (tid, watched) in &mut self.threads {
            watched.has_ended |= !alive.contains(tid);
        }
        let run = Run::of(threads.iter().map(|thread| thread.name.as_str()));
        for thread in threads {
            let is_known = self.threads.get(&thread.tid).is_some_and(|known| {
                // One that had no policy may have one by another name.
                known.watch.is_some() || known.thread.name == thread.name
            });
            if thread.has_ended || is_known {
                continue;
            }
            let watch = match self.policy_of(&thread, run) {
                Some(place) => match self.eyes[place].watch(thread.tid) {
                    Ok(watch) => watch.map(|watch| (place, watch)),
                    Err(error) if error.raw_os_error() == Some(libc::ESRCH) => continue,
                    Err(source) => return Err(Unopened { thread: thread.name, source }.into()),
                },
                None => None,
            };
            let watched = Watched { thread, watch, count: Count::default(), has_ended: false };
            self.threads.insert(watched.thread.tid, watched);
        }
        Ok(())
    }

    /// The place of the policy that a thread is held against.
    fn policy_of(&self, thread: &Thread, run: Run) -> Option<usize> {
        if thread.is_kernel_worker {
            return None;
        }
        if !self.given.is_empty() {
            return self.given.iter().position(|expected| expected.is_for(&thread.name));
        }
        let roles = attest::roles(&thread.name, run);
        let role = match roles.as_slice() {
            [] => return None,
            [only] => only,
            // Which of them it has is seen by what lies at the slots that the last one alone has.
            [first, .., last] => {
                let of_first =
                    |number: u32| first.slots.iter().any(|slot| (slot.first..=slot.last).contains(&number));
                let held = thread.descriptors(&self.process).unwrap_or_default();
                let has_more = held.iter().any(|(number, object)| {
                    let number = u32::try_from(*number).unwrap_or_default();
                    let of_last = last.slots.iter().any(|slot| (slot.first..=slot.last).contains(&number));
                    of_last && !of_first(number) && object != "/dev/null" && !object.starts_with("pipe:")
                });
                if has_more { last } else { first }
            }
        };
        self.eyes.iter().position(|eye| eye.policy.role == role.role)
    }

    /// Takes what was seen; how many threads and processes were born.
    fn look(&mut self) -> u64 {
        let mut births = 0;
        for watched in self.threads.values_mut() {
            let Some((place, watch)) = &mut watched.watch else { continue };
            let eye = &self.eyes[*place];
            let thread = &watched.thread.name;
            let (kinds, tell) = (&mut self.kinds, &mut self.tell);
            let count = eye.look(watch, &mut |call| {
                if let Some(first) = kinds.add(Violation::of_policy(thread.clone(), &eye.policy, call)) {
                    tell(News::Violation(first));
                }
            });
            watched.count.violations = count.violations;
            watched.count.lost += count.lost;
            births += count.births;
        }
        births
    }

    fn finish(self, lasted: Duration) -> Observation {
        let unseen = self.unseen();
        let observed = |watched: Watched| {
            let eye = watched.watch.as_ref().map(|(place, _)| &self.eyes[*place]);
            Observed {
                role: eye.map(|eye| eye.policy.role.clone()),
                events: eye.map_or(0, Eye::events),
                thread: watched.thread,
                count: watched.count,
                has_ended: watched.has_ended,
            }
        };
        let threads = self.threads.into_values().map(observed).collect();
        Observation { process: self.process, lasted, threads, kinds: self.kinds, unseen }
    }

    /// What could not be seen, in words.
    fn unseen(&self) -> Vec<String> {
        let mut unseen = vec![
            "calls by another ABI (32-bit, x32): their numbers are taken for those of 64-bit calls"
                .to_owned(),
            format!(
                "what a thread does before its events are open: at once when it begins, or within {} ms where the thread \
                 that began it has no policy",
                LOOK_AGAIN.as_millis()
            ),
            "processes that it starts".to_owned(),
        ];
        let held: Vec<&str> = self
            .threads
            .values()
            .filter(|watched| {
                watched.watch.is_some() && matches!(watched.thread.mode, Mode::Filter | Mode::Strict)
            })
            .map(|watched| watched.thread.name.as_str())
            .collect();
        if !held.is_empty() {
            unseen.push(format!(
                "calls that are refused already: {} {} held by seccomp, which is asked before events are",
                held.join(", "),
                if held.len() == 1 { "is" } else { "are" }
            ));
        }
        let used: BTreeSet<usize> =
            self.threads.values().filter_map(|watched| Some(watched.watch.as_ref()?.0)).collect();
        for place in used {
            let eye = &self.eyes[place];
            unseen.extend(
                eye.notes()
                    .map(|note| format!("{}: {note}: its events were asked about here", eye.policy.role)),
            );
        }
        unseen
    }
}
