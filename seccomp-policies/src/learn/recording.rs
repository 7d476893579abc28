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

/// Of a call so many different ones are kept as they are. After that the numbers that vary most are kept by powers of two.
const MOST_EXACT: usize = 2048;

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
#[serde(from = "Written", into = "Written")]
pub struct Called {
    /// Arguments, and how often it was called with them. An address that is not null is 1; of a register that is rounded
    /// there is the next power of two.
    exact: BTreeMap<[u64; 6], u64>,
    /// Registers that had so many values that they are kept by powers of two.
    rounded: BTreeSet<u8>,
    /// For each of these, by the next power of two, the greatest value.
    greatest: BTreeMap<(u8, u64), u64>,
    /// There are many and nothing is left to round: no two calls differ in a number alone.
    is_settled: bool,
    /// What the arguments are, once that was asked for: recorders add millions of calls.
    kinds: Known,
}

#[derive(Clone, Copy, Debug, Default)]
struct Known(Option<[Kind; 6]>);

impl PartialEq for Known {
    /// It says nothing that the call's name does not.
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Known {}

/// As it is kept in a file.
#[derive(Serialize, Deserialize)]
struct Written {
    /// A bit for each register.
    rounded: u8,
    seen: Vec<Seen>,
}

#[derive(Serialize, Deserialize)]
struct Seen {
    arguments: [u64; 6],
    count: u64,
}

impl From<Called> for Written {
    fn from(called: Called) -> Self {
        let seen = called.seen().map(|(arguments, count)| Seen { arguments, count }).collect();
        Self { rounded: called.rounded.iter().fold(0, |bits, register| bits | 1 << register), seen }
    }
}

impl From<Written> for Called {
    fn from(written: Written) -> Self {
        let rounded = (0..6).filter(|register| written.rounded >> register & 1 == 1).collect();
        let mut called = Self { rounded, ..Self::default() };
        for Seen { arguments, count } in written.seen {
            called.keep(arguments, count);
        }
        called
    }
}

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
        called.add(kinds, kept(call, kinds, arguments), 1);
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
            known.round(called.rounded.iter().copied());
            for (arguments, count) in called.seen() {
                known.add(kinds, arguments, count);
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
                called.seen().map(move |(arguments, count)| {
                    let call = Call {
                        number: syscall.number,
                        arch: arch.audit_value(),
                        instruction_pointer: 0,
                        arguments,
                    };
                    (syscall, call, count)
                })
            },
        )
    }
}

impl Called {
    /// The calls that differ, and how often each was made. Of a register that is [rounded](Self::is_rounded) it is the
    /// greatest value of those within a power of two.
    pub fn seen(&self) -> impl Iterator<Item = ([u64; 6], u64)> + '_ {
        self.exact.iter().map(|(arguments, count)| {
            let mut arguments = *arguments;
            for register in &self.rounded {
                let value = &mut arguments[usize::from(*register)];
                *value = self.greatest.get(&(*register, *value)).copied().unwrap_or(*value);
            }
            (arguments, *count)
        })
    }

    /// How many calls there were.
    pub fn count(&self) -> u64 {
        self.exact.values().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// Whether some register had so many values that they are kept by powers of two.
    pub fn is_rounded(&self) -> bool {
        !self.rounded.is_empty()
    }

    fn add(&mut self, kinds: [Kind; 6], arguments: [u64; 6], count: u64) {
        self.keep(arguments, count);
        while self.exact.len() > MOST_EXACT && !self.is_settled {
            match self.most_varied(kinds) {
                Some(register) => self.round([register]),
                None => self.is_settled = true,
            }
        }
    }

    /// Keeps these registers by powers of two.
    fn round(&mut self, registers: impl IntoIterator<Item = u8>) {
        let mut rounded = self.rounded.clone();
        rounded.extend(registers);
        if rounded.len() == self.rounded.len() {
            return;
        }
        let mut again = Self { rounded, kinds: self.kinds, ..Self::default() };
        self.seen().for_each(|(arguments, count)| again.keep(arguments, count));
        *self = again;
    }

    fn keep(&mut self, mut arguments: [u64; 6], count: u64) {
        for register in &self.rounded {
            let value = arguments[usize::from(*register)];
            let bucket = bucket(value);
            let greatest = self.greatest.entry((*register, bucket)).or_default();
            *greatest = value.max(*greatest);
            arguments[usize::from(*register)] = bucket;
        }
        let sum = self.exact.entry(arguments).or_default();
        *sum = sum.saturating_add(count);
    }

    /// The number with the most values among those that are not rounded yet.
    fn most_varied(&self, kinds: [Kind; 6]) -> Option<u8> {
        let is_number = |register: &u8| {
            let kind = kinds[usize::from(*register)];
            matches!(kind, Kind::Number | Kind::Word | Kind::Identity) && !self.rounded.contains(register)
        };
        let values = |register: u8| -> BTreeSet<u64> {
            self.exact.keys().map(|arguments| arguments[usize::from(register)]).collect()
        };
        let varied = (0..6).filter(is_number).map(|register| (values(register).len(), register));
        varied.max().filter(|(count, _)| *count > 1).map(|(_, register)| register)
    }
}

/// The next power of two; beyond the last one, and for the negative numbers that lie there, all bits.
fn bucket(value: u64) -> u64 {
    if value == 0 { 0 } else { value.checked_next_power_of_two().unwrap_or(u64::MAX) }
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
