//! What can be measured, by name: a table each.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::Error;
use super::calls::history;
use super::confining::memory;
use super::exit_path::hold;
use super::method::clock::work;
use super::method::{Contest, Contestant};
use super::variant::{Part, Variant};

/// What a figure is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Time.
    Nanoseconds,
    /// Memory.
    Bytes,
}

/// A table of findings, before there are any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Experiment {
    /// What people choose it by: `GROUP/NAME`.
    pub name: &'static str,
    /// The head of its table.
    pub title: &'static str,
    /// What one call of it is.
    pub call: &'static str,
    /// What its figures are in.
    pub unit: Unit,
    /// Its part of the time that there is.
    pub share: u32,
    /// It is measured in every process of so many; 1 of all. For what takes seconds.
    pub every: u32,
    /// It is part of a quick run.
    pub quick: bool,
    /// Rounds that it has in a process at least.
    pub least: usize,
    /// Variants, by name, of which one is held beside the other.
    pub pairs: &'static [(&'static str, &'static str)],
}

impl Experiment {
    /// Whether it needs a machine.
    pub fn needs_kvm(&self) -> bool {
        matches!(self.group(), "exit" | "run")
    }

    /// What stands before the slash of its name.
    pub fn group(&self) -> &'static str {
        self.name.split_once('/').map_or(self.name, |(group, _)| group)
    }
}

/// The vCPU's filter beside what else does the same.
const OF_A_FILTER: &[(&str, &str)] = &[
    (hold::FILTER, hold::BY_HAND),
    (hold::FILTER, hold::REFERENCE),
    // Where somebody gives its policy by this name.
    (hold::FILTER, "Firecracker"),
];

/// What most have: a part of every process, not of a quick run, and no pairs.
const ORDINARY: Experiment = Experiment {
    name: "",
    title: "",
    call: "",
    unit: Unit::Nanoseconds,
    share: 0,
    every: 1,
    quick: false,
    least: 3,
    pairs: &[],
};

/// The table whose calls find the caches cold.
pub const COLD: &str = "exit/cold";

/// Everything, in the order in which it is shown.
pub const EXPERIMENTS: &[Experiment] = &[
    Experiment {
        name: "exit/refused",
        title: "KVM_RUN refused, caches warm",
        call: "KVM_RUN with an argument that is not zero, which KVM refuses before it enters the guest: for a filter the \
               same call, without the guest around it",
        share: 12,
        quick: true,
        pairs: OF_A_FILTER,
        ..ORDINARY
    },
    Experiment {
        name: COLD,
        title: "KVM_RUN refused, caches cold",
        call: "the same call after 2 MiB of other memory and as many branches as nobody can foretell: a vCPU comes back \
               from its guest like that",
        share: 18,
        pairs: OF_A_FILTER,
        ..ORDINARY
    },
    Experiment {
        name: "exit/port",
        title: "port exit",
        call: "the guest writes to a port that nobody listens on; the thread comes back from KVM_RUN and enters again",
        share: 24,
        quick: true,
        pairs: OF_A_FILTER,
        ..ORDINARY
    },
    Experiment {
        name: "exit/mmio",
        title: "MMIO exit",
        call: "the guest reads memory that is not there; the thread comes back from KVM_RUN and enters again",
        share: 14,
        pairs: OF_A_FILTER,
        ..ORDINARY
    },
    Experiment {
        name: "exit/ioeventfd",
        title: "exit that an ioeventfd answers",
        call: "the guest writes to a port that KVM answers itself; the thread sees one exit in ten of these",
        share: 16,
        pairs: OF_A_FILTER,
        ..ORDINARY
    },
    Experiment {
        name: history::NAME,
        title: "a loop of reads and writes",
        call: "one of the two calls of a loop that hears a bell and rings another, as the console's thread does; timed from \
               outside, since strict mode takes the clock away",
        share: 10,
        quick: true,
        ..ORDINARY
    },
    Experiment {
        name: history::SWITCH,
        title: "a loop that waits for another thread",
        call: "that loop is told to begin, does nothing, and says so: two calls, and a switch to its thread and one back from \
               it, on one processor",
        share: 6,
        ..ORDINARY
    },
    Experiment {
        name: "calls/io",
        title: "the io thread's calls",
        call: "a call of the io thread, in the proportion of its profile: a disk's page read or written, its bell heard, its \
               interrupt rung, and the wait between",
        share: 8,
        quick: true,
        ..ORDINARY
    },
    Experiment {
        name: "calls/api",
        title: "the API thread's calls",
        call: "a call of the API's thread, as one request has them: heard, read, told to main, its answer heard and written",
        share: 8,
        ..ORDINARY
    },
    Experiment {
        name: "confine/steps",
        title: "becoming confined",
        call: "a fresh thread does it once",
        share: 8,
        quick: true,
        ..ORDINARY
    },
    Experiment {
        name: "confine/length",
        title: "installing, by length",
        call: "a fresh thread installs a filter of so many instructions",
        share: 6,
        ..ORDINARY
    },
    Experiment {
        name: "confine/threads",
        title: "installing, by threads",
        call: "a fresh thread installs a vCPU's filter while so many others wait",
        share: 6,
        ..ORDINARY
    },
    Experiment {
        name: "confine/descriptors",
        title: "a table, by descriptors",
        call: "a fresh thread takes a table of its own with 5 slots, of one that has so many more",
        share: 6,
        ..ORDINARY
    },
    Experiment {
        name: memory::NAME,
        title: "memory of a filter",
        call: "one of 32 filters that a fresh thread installs and keeps: what the kernel holds for it, but for its machine code",
        unit: Unit::Bytes,
        share: 4,
        ..ORDINARY
    },
    Experiment {
        name: "run/start",
        title: "start to the first byte",
        call: "from before the process is made until the guest's first byte is here",
        share: 30,
        ..ORDINARY
    },
    Experiment {
        name: "run/exits",
        title: "a run that leaves",
        call: "one of 100 exits that a line of input has a running guest do, all threads of it confined and on one processor, \
               less what the answer takes alone: what the exit path says, checked",
        share: 20,
        least: 2,
        ..ORDINARY
    },
    Experiment {
        name: "run/compute",
        title: "a run that computes",
        call: "a whole run of the guest `compute`, which leaves the guest a few hundred times, until its output ends",
        share: 26,
        least: 2,
        ..ORDINARY
    },
    Experiment {
        name: "run/tour",
        title: "the tour, time of processors",
        call: "what a whole run of the guest `tour` has of the processors; for a second it mostly waits for its timers; the mean of \
               eight at once",
        share: 16,
        every: 2,
        least: 1,
        ..ORDINARY
    },
];

/// The experiment of this name.
pub fn find(name: &str) -> Option<&'static Experiment> {
    EXPERIMENTS.iter().find(|experiment| experiment.name == name)
}

/// The name of a baseline that does nothing at all.
pub const NOTHING: &str = "nothing";

/// An experiment that can begin.
pub struct Prepared {
    /// What is compared, the baseline first.
    pub variants: Vec<Variant>,
    /// How, in the same order.
    pub contestants: Vec<Contestant<'static, Error>>,
    /// What is not measured, and why.
    pub notes: Vec<String>,
}

impl Prepared {
    /// As a contest.
    pub fn contest(self, seed: u64) -> Contest<'static, Error> {
        Contest::new(self.contestants, seed)
    }
}

/// How long the planted work takes on this processor, roughly; how long exactly is measured in each table.
#[derive(Clone, Copy, Debug)]
pub struct Work {
    steps_per_microsecond: f64,
}

/// Steps that are timed to know.
const STEPS: u32 = 2_000_000;

impl Work {
    /// Times it.
    pub fn calibrate() -> Self {
        let start = Instant::now();
        std::hint::black_box(work(STEPS, 1));
        Self { steps_per_microsecond: f64::from(STEPS) / (start.elapsed().as_secs_f64() * 1e6) }
    }

    /// The steps of a variant's part: those that take about so long, or none.
    pub fn steps_of(self, part: Part, time: Duration) -> u32 {
        if part.has_work() { self.steps(time) } else { 0 }
    }

    /// How many steps take about so long.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a number of steps above zero, and far below 2^32"
    )]
    pub fn steps(self, time: Duration) -> u32 {
        (time.as_secs_f64() * 1e6 * self.steps_per_microsecond).ceil() as u32
    }
}
