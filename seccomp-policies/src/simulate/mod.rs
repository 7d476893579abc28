//! What a policy would have answered to the calls of a trace.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use crate::explain::{Decided, Explanation, Nearest};
use crate::language::Policy;
use crate::pattern::{Answer, Judge, Pattern};
use crate::syscalls::name_of;
use crate::trace::{Recorded, Skipped, Trace};

/// Version of the shape of [`Simulation`] as JSON; it changes when a member changes its meaning or goes away.
pub const SCHEMA: u32 = 1;

/// The answers to a trace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Simulation {
    /// [`SCHEMA`]
    pub schema: u32,
    /// The worst answer to any call; `Allowed` for an empty trace.
    pub answer: Answer,
    /// How many calls got each answer.
    pub total: Tally,
    /// The same by call name, ascending.
    pub by_call: BTreeMap<String, Tally>,
    /// Calls that are not allowed, each kind once, in the order of the trace.
    pub findings: Vec<Finding>,
    /// Lines of the trace that were not used.
    pub skipped: Vec<Skipped>,
    /// Arguments that were taken as open because they were not understood.
    pub not_understood: Vec<String>,
}

/// How many calls got each answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Allowed, whatever is open in them.
    pub allowed: usize,
    /// Not decided by what the trace shows.
    pub depends: usize,
    /// Refused, whatever is open in them.
    pub refused: usize,
}

impl Tally {
    fn add(&mut self, answer: Answer) {
        match answer {
            Answer::Allowed => self.allowed += 1,
            Answer::Depends => self.depends += 1,
            Answer::Refused => self.refused += 1,
        }
    }
}

/// Calls of the trace that are refused, or depend, for the same reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The first of them, as the trace shows it.
    pub call: String,
    /// Its line, from 1.
    pub line: usize,
    /// How many there are.
    pub count: usize,
    /// The answer: refused or depends.
    pub answer: Answer,
    /// Everything that may decide.
    pub deciders: Vec<Decided>,
    /// If refused: the rule that nearly allows it.
    pub nearest: Option<Nearest>,
}

/// Answers every call of a trace.
pub fn simulate(policy: &Policy, trace: Trace) -> Simulation {
    let mut simulator = Simulator {
        policy,
        judge: Judge::new(policy),
        found: HashMap::new(),
        kinds: HashMap::new(),
        out: empty(),
    };
    for call in &trace.calls {
        simulator.call(call);
    }
    Simulation { skipped: trace.skipped, not_understood: trace.not_understood, ..simulator.out }
}

const fn empty() -> Simulation {
    Simulation {
        schema: SCHEMA,
        answer: Answer::Allowed,
        total: Tally { allowed: 0, depends: 0, refused: 0 },
        by_call: BTreeMap::new(),
        findings: Vec::new(),
        skipped: Vec::new(),
        not_understood: Vec::new(),
    }
}

/// What makes calls alike: the same fate for the same reason.
#[derive(PartialEq, Eq, Hash)]
struct Kind {
    number: u32,
    deciders: Vec<Decided>,
    nearest: Option<Nearest>,
}

struct Simulator<'a> {
    policy: &'a Policy,
    judge: Judge<'a>,
    /// The finding that a pattern counts for.
    found: HashMap<Pattern, usize>,
    /// The finding of each kind of call.
    kinds: HashMap<Kind, usize>,
    out: Simulation,
}

impl Simulator<'_> {
    fn call(&mut self, call: &Recorded) {
        let answer = self.judge.judge(&call.pattern).answer();
        self.out.answer = self.out.answer.max(answer);
        self.out.total.add(answer);
        self.out.by_call.entry(self.name(&call.pattern)).or_default().add(answer);
        if answer != Answer::Allowed {
            self.find(call, answer);
        }
    }

    fn find(&mut self, call: &Recorded, answer: Answer) {
        if let Some(&index) = self.found.get(&call.pattern) {
            self.out.findings[index].count += 1;
            return;
        }
        let explained = self.judge.explain(&call.pattern, &call.text);
        let Explanation { call: text, deciders, nearest, .. } = explained;
        let kind = Kind { number: call.pattern.number, deciders: deciders.clone(), nearest: nearest.clone() };
        let next = self.out.findings.len();
        let index = *self.kinds.entry(kind).or_insert(next);
        self.found.insert(call.pattern.clone(), index);
        match self.out.findings.get_mut(index) {
            Some(finding) => finding.count += 1,
            None => self.out.findings.push(Finding {
                call: text,
                line: call.line,
                count: 1,
                answer,
                deciders,
                nearest,
            }),
        }
    }

    fn name(&self, pattern: &Pattern) -> String {
        let name = name_of(self.policy.arch, pattern.number);
        name.map_or_else(|| format!("syscall_{}", pattern.number), str::to_owned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language;
    use crate::syscalls::Arch;
    use crate::trace::calls;

    const POLICY: &str = "\
role r
tier filter
otherwise trap

read: fd == 3 && count <= 64 -- input
openat: dfd == AT_FDCWD && (flags & O_ACCMODE) == O_RDONLY -- files
brk: brk == 0 -- where is it
close: -- end
";

    fn simulated(log: &str) -> Simulation {
        let checked = language::check_sources("r.policy", &[("r.policy", POLICY)], Arch::X86_64).unwrap();
        simulate(&checked.policy, calls(log, Arch::X86_64))
    }

    #[test]
    fn each_call_is_allowed_refused_or_not_decided_by_what_the_trace_shows() {
        let done = simulated(
            "openat(AT_FDCWD, \"/a\", O_RDONLY|O_CLOEXEC) = 3\nread(3, \"x\", 64) = 1\nread(3, \"y\", 65) = 1\n\
             read(3, <unfinished ...>\nbrk(NULL) = 0x1000\nbrk([?]) = 0\nclose(3</a>) = 0\n500(1)\n",
        );
        assert_eq!(done.total, Tally { allowed: 4, depends: 1, refused: 3 });
        assert_eq!(done.by_call["read"], Tally { allowed: 1, depends: 1, refused: 1 });
        assert_eq!(
            done.by_call["brk"],
            Tally { allowed: 1, depends: 0, refused: 1 },
            "an address is not null"
        );
        assert_eq!(done.by_call["syscall_500"].refused, 1);
        assert_eq!(done.answer, Answer::Refused);
    }

    #[test]
    fn calls_that_are_alike_are_one_finding_with_the_line_of_the_first() {
        let log = "read(4, \"a\", 9) = 1\nclose(1) = 0\nread(4, \"b\", 8) = 1\nread(5, \"\", 9) = 0\nuname({}) = 0\n";
        let done = simulated(log);
        let found: Vec<_> = done.findings.iter().map(|finding| (finding.line, finding.count)).collect();
        assert_eq!(found, [(1, 2), (4, 1), (5, 1)]);
        assert_eq!(done.findings[0].nearest.as_ref().unwrap().failed, ["fd is 4, not 3"]);
    }
}
