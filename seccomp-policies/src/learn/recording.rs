//! What was seen, as it is kept: a file that later runs are merged with.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::kind::{Kind, is_read};
use crate::call::Call;
use crate::syscalls::{Arch, Syscall, by_name};

/// Version of the shape of [`Recording`] as JSON; it changes when a member changes its meaning or goes away.
pub const SCHEMA: u32 = 1;

/// Kept of an address that is not null: where it points to differs from run to run.
const SOME_ADDRESS: u64 = 1;

/// Kept of an address where a number could be.
pub(super) const ADDRESS_IN_WORD: u64 = 1 << 32;

/// Of a call so many different ones are kept as they are. After that numbers are kept as the next power of two.
const MOST_EXACT: usize = 512;

/// And so many in all. After that of a number nothing is kept.
const MOST_ROUNDED: usize = 4096;

/// How many names of the objects behind a descriptor are kept.
const MOST_NAMES: usize = 4;

/// Calls of a program's threads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recording {
    /// `recording`: what of an audit this is.
    pub report: String,
    /// [`SCHEMA`]
    pub schema: u32,
    /// The architecture of the calls.
    pub arch: String,
    /// What ran, each command once.
    pub commands: Vec<String>,
    /// How often something ran.
    pub runs: u64,
    /// The kernel of the last run.
    pub kernel: String,
    /// The day of the last run, as `YYYY-MM-DD`.
    pub date: String,
    /// How calls were seen: `tracepoints`, `ptrace`, or both for different runs.
    pub by: BTreeSet<String>,
    /// How many records were lost on the way.
    pub lost: u64,
    /// Groups of threads.
    pub threads: Vec<Thread>,
}

/// Threads of one name, or of one role.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thread {
    /// The threads' name, or their role.
    pub name: String,
    /// Whether it is a role of a run of ringfence.
    pub is_role: bool,
    /// How many threads there were.
    pub threads: u64,
    /// What they called: since they had confined themselves, or in all where they never did.
    pub calls: Calls,
    /// What they called before they confined themselves.
    pub before: Calls,
    /// Calls that were refused before anybody could see their arguments.
    pub refused: BTreeMap<String, u64>,
}

/// Calls by name, and what their descriptors referred to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Calls {
    /// The calls.
    pub called: BTreeMap<String, Called>,
    /// Descriptors among their arguments.
    pub descriptors: BTreeMap<u32, BTreeSet<Object>>,
}

/// What lay behind a descriptor.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Object {
    /// What it is, in a word: `file`, `socket`, `eventfd`.
    pub kind: String,
    /// What `/proc` calls it, where that was seen in time.
    pub name: Option<String>,
}

/// Calls of one number.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Called {
    /// Whether there were so many different ones that numbers among the arguments were kept as the next power of two.
    pub rounded: bool,
    /// The arguments, and how often it was called with them. An address that is not null is 1.
    #[serde(with = "pairs")]
    pub seen: BTreeMap<[u64; 6], u64>,
    #[serde(skip)]
    kinds: Known,
}

/// What the arguments are, once that was asked for: recorders add millions of calls.
#[derive(Clone, Copy, Debug, Default)]
struct Known(Option<[Kind; 6]>);

impl PartialEq for Known {
    /// It says nothing that the call's name does not.
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Known {}

/// Two recordings that cannot be merged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// Not a recording.
    #[error(
        "is no recording: it says that it is `{report}`, version {schema}; a recording is what --record writes"
    )]
    Other {
        /// What it says.
        report: String,
        /// Its version.
        schema: u32,
    },
    /// Of another architecture, or one that is not known.
    #[error("is of {arch}, whose calls have other numbers than those of {expected}")]
    Arch {
        /// What it is of.
        arch: String,
        /// What it should be of.
        expected: Arch,
    },
    /// A call of a name that is not known.
    #[error("has calls of `{call}`, which is no call of {arch}")]
    UnknownCall {
        /// The call.
        call: String,
        /// The architecture.
        arch: Arch,
    },
}

impl Recording {
    /// One of nothing yet.
    pub fn new(arch: Arch, command: &str, kernel: &str, date: &str, by: &str) -> Self {
        Self {
            report: "recording".into(),
            schema: SCHEMA,
            arch: arch.name().into(),
            commands: vec![command.into()],
            runs: 1,
            kernel: kernel.into(),
            date: date.into(),
            by: BTreeSet::from([by.into()]),
            lost: 0,
            threads: Vec::new(),
        }
    }

    /// Whether it is one, of this version and architecture.
    ///
    /// # Errors
    /// [`Mismatch`]
    pub fn check(&self, arch: Arch) -> Result<(), Mismatch> {
        if self.report != "recording" || self.schema != SCHEMA {
            return Err(Mismatch::Other { report: self.report.clone(), schema: self.schema });
        }
        if self.arch != arch.name() {
            return Err(Mismatch::Arch { arch: self.arch.clone(), expected: arch });
        }
        let names = |calls: &Calls| calls.called.keys().cloned().collect::<Vec<_>>();
        let mut names =
            self.threads.iter().flat_map(|thread| [names(&thread.calls), names(&thread.before)]).flatten();
        match names.find(|name| by_name(arch, name).is_none()) {
            Some(call) => Err(Mismatch::UnknownCall { call, arch }),
            None => Ok(()),
        }
    }

    /// Adds another run, which was later if one of them was.
    pub fn merge(&mut self, other: Self) {
        for command in other.commands {
            if !self.commands.contains(&command) {
                self.commands.push(command);
            }
        }
        self.runs += other.runs;
        self.lost += other.lost;
        self.by.extend(other.by);
        if other.date >= self.date {
            (self.kernel, self.date) = (other.kernel, other.date);
        }
        for thread in other.threads {
            self.add(thread);
        }
    }

    /// Adds threads to those of the same name.
    pub fn add(&mut self, thread: Thread) {
        let same = |known: &&mut Thread| known.name == thread.name && known.is_role == thread.is_role;
        let Some(known) = self.threads.iter_mut().find(same) else {
            self.threads.push(thread);
            return;
        };
        known.threads += thread.threads;
        known.calls.merge(thread.calls);
        known.before.merge(thread.before);
        for (call, count) in thread.refused {
            *known.refused.entry(call).or_default() += count;
        }
    }

    /// Everything that any thread called, before it confined itself and after: what the whole process asks for.
    pub fn together(&self) -> Calls {
        let mut together = Calls::default();
        for thread in &self.threads {
            together.merge(thread.calls.clone());
            together.merge(thread.before.clone());
        }
        together
    }

    /// Where it comes from, for people.
    pub fn source(&self) -> String {
        let runs = if self.runs == 1 { "1 run".to_owned() } else { format!("{} runs", self.runs) };
        let by: Vec<_> = self.by.iter().map(String::as_str).collect();
        let lost = match self.lost {
            0 => String::new(),
            lost => format!("; {lost} records were lost, so that calls may be missing"),
        };
        format!(
            "{runs} of {}, seen by {} on Linux {}, {}{lost}",
            self.commands.join("; "),
            by.join(" and "),
            self.kernel,
            self.date
        )
    }
}

impl Calls {
    /// Adds one call.
    pub fn add(&mut self, call: &Syscall, arguments: &[u64; 6]) {
        let called = match self.called.get_mut(call.name) {
            Some(called) => called,
            None => self.called.entry(call.name.to_owned()).or_default(),
        };
        let kinds = *called.kinds.0.get_or_insert_with(|| Kind::of_all(call));
        called.add(call, kinds, kept(call, kinds, arguments), 1);
    }

    /// Says what lies behind a descriptor.
    pub fn describe(&mut self, descriptor: u32, object: Object) {
        let known = self.descriptors.entry(descriptor).or_default();
        // Of a kind that is known a few names will do.
        let same_kind = known.iter().filter(|known| known.kind == object.kind).count();
        if same_kind < MOST_NAMES {
            known.insert(object);
        }
    }

    /// Whether nothing was called.
    pub fn is_empty(&self) -> bool {
        self.called.is_empty()
    }

    /// How many calls there were.
    pub fn count(&self) -> u64 {
        self.called.values().map(Called::count).sum()
    }

    /// Adds those of another run.
    pub fn merge(&mut self, other: Self) {
        for (name, called) in other.called {
            // Its arguments are those of the same name on any architecture.
            let Some(call) = Arch::ALL.iter().find_map(|arch| by_name(*arch, &name)) else { continue };
            let kinds = Kind::of_all(call);
            let known = self.called.entry(name).or_default();
            if called.rounded && !known.rounded {
                known.round(call, kinds);
            }
            for (arguments, count) in called.seen {
                known.add(call, kinds, arguments, count);
            }
        }
        for (descriptor, objects) in other.descriptors {
            for object in objects {
                self.describe(descriptor, object);
            }
        }
    }

    /// Each call that differs, and how often it was made.
    pub fn each(&self, arch: Arch) -> impl Iterator<Item = (&'static Syscall, Call, u64)> + '_ {
        self.called.iter().filter_map(move |(name, called)| Some((by_name(arch, name)?, called))).flat_map(
            move |(syscall, called)| {
                called.seen.iter().map(move |(arguments, count)| {
                    let call = Call {
                        number: syscall.number,
                        arch: arch.audit_value(),
                        instruction_pointer: 0,
                        arguments: *arguments,
                    };
                    (syscall, call, *count)
                })
            },
        )
    }
}

impl Called {
    /// How many calls there were.
    pub fn count(&self) -> u64 {
        self.seen.values().sum()
    }

    fn add(&mut self, call: &Syscall, kinds: [Kind; 6], mut arguments: [u64; 6], count: u64) {
        if self.rounded {
            round(call, kinds, &mut arguments, self.seen.len() >= MOST_ROUNDED);
        }
        let sum = self.seen.entry(arguments).or_default();
        *sum = sum.saturating_add(count);
        if !self.rounded && self.seen.len() > MOST_EXACT {
            self.round(call, kinds);
        }
    }

    fn round(&mut self, call: &Syscall, kinds: [Kind; 6]) {
        self.rounded = true;
        for (mut arguments, count) in std::mem::take(&mut self.seen) {
            round(call, kinds, &mut arguments, false);
            *self.seen.entry(arguments).or_default() += count;
        }
    }
}

/// Kept of a number of which nothing is kept: greater than every power of two.
const ANY: u64 = (1 << 63) + 1;

/// The numbers among arguments as the next power of two, or as any. Negative ones stay what they are.
fn round(call: &Syscall, kinds: [Kind; 6], arguments: &mut [u64; 6], as_any: bool) {
    for (index, argument) in call.arguments.iter().enumerate() {
        let (value, mask) = (arguments[index], argument.width.mask());
        let is_number = matches!(kinds[index], Kind::Number | Kind::Word | Kind::Identity);
        if is_number && !is_negative(value, mask) {
            let rounded = value.checked_next_power_of_two().filter(|rounded| *rounded <= mask && !as_any);
            arguments[index] = rounded.unwrap_or(ANY);
        }
    }
}

/// Whether a number of so many bits is the two's complement of one that an error may be: `MAX_ERRNO`, Linux
/// `include/linux/err.h`.
pub(super) const fn is_negative(value: u64, mask: u64) -> bool {
    value > mask - 4095 && value <= mask
}

/// What is kept of arguments: as many bits as the kernel reads, and of addresses whether they are null.
fn kept(call: &Syscall, kinds: [Kind; 6], arguments: &[u64; 6]) -> [u64; 6] {
    let mut kept = [0; 6];
    for register in 0..6 {
        let index = usize::from(register);
        let Some(argument) = call.arguments.get(index) else { break };
        let value = arguments[index] & argument.width.mask();
        kept[index] = match kinds[index] {
            _ if !is_read(call, register, arguments) => 0,
            Kind::Open => 0,
            Kind::Address => u64::from(value != 0) * SOME_ADDRESS,
            // Nothing but an address is this large.
            Kind::Word if value > u64::from(u32::MAX) && value < u64::MAX - 4095 => ADDRESS_IN_WORD,
            _ => value,
        };
    }
    kept
}

/// Arguments and counts as a list: keys of a JSON object are text.
mod pairs {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Pair {
        arguments: [u64; 6],
        count: u64,
    }

    type Seen = BTreeMap<[u64; 6], u64>;

    pub(super) fn serialize<S: Serializer>(seen: &Seen, serializer: S) -> Result<S::Ok, S::Error> {
        let pair = |(arguments, count): (&[u64; 6], &u64)| Pair { arguments: *arguments, count: *count };
        serializer.collect_seq(seen.iter().map(pair))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Seen, D::Error> {
        let mut seen = Seen::new();
        for Pair { arguments, count } in Vec::<Pair>::deserialize(deserializer)? {
            let sum = seen.entry(arguments).or_default();
            *sum = u64::saturating_add(*sum, count);
        }
        Ok(seen)
    }
}
