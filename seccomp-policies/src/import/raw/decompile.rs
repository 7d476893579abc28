//! From what a program decides to the rules of a policy.

use std::ops::{Range, RangeInclusive};

use super::Program;
use crate::action::Action;
use crate::import::draft::{Draft, DraftRule};
use crate::import::{Findings, Options, action as shared};
use crate::language::{Condition, Diagnostic};
use crate::prove::{Answer, Calls, Decisions, Space, condition_of};
use crate::syscalls::{self, Arch, Syscall, X32_BIT, X32_NUMBERS};

/// `AUDIT_ARCH_I386`, Linux `include/uapi/linux/audit.h`: the entry that people know besides their own.
const I386: u32 = 0x4000_0003;

/// Makes rules of a program's decisions. What a policy cannot say is among the findings.
pub(super) fn draft(
    program: &Program,
    decisions: &Decisions,
    options: &Options,
    findings: &mut Findings,
) -> Draft {
    let arch = options.target();
    let asked_for = options.arch.is_some();
    let mut decompiler = Decompiler { program, decisions, arch, asked_for, space: Space::new(), findings };
    decompiler.check_other_architectures();
    let otherwise = decompiler.otherwise();
    let fallback = decompiler.action(otherwise);
    let calls = syscalls::all(arch).iter();
    let rules = calls.flat_map(|call| decompiler.rules(call, otherwise)).collect();
    Draft { otherwise: fallback, rules }
}

struct Decompiler<'a> {
    program: &'a Program,
    decisions: &'a Decisions,
    arch: Arch,
    /// Whether the architecture is the one that was asked for.
    asked_for: bool,
    space: Space,
    findings: &'a mut Findings,
}

impl Decompiler<'_> {
    /// A policy ends the process of a call by another architecture's entry.
    fn check_other_architectures(&mut self) {
        let native = self.space.of_arch(self.arch.audit_value());
        let killed = self.decisions.with_effect(Action::KillProcess.into());
        let others = native.complement().without(&killed);
        let i386 = others.intersection(&self.space.of_arch(I386)).first();
        let Some(other) = i386.or_else(|| others.first()) else { return };
        let answer = self.decisions.answer(&other).effect();
        let title = format!("calls by the entry of architecture {:#010x} can get `{answer}`", other.arch);
        let finding = self.whole(title, "the program").help(format!(
            "a policy is for the calls of one architecture, here {}, and ends a process that uses another's entry",
            self.arch
        ));
        if self.asked_for {
            self.findings.note(finding);
        } else {
            self.findings.loss(finding);
        }
    }

    /// What most numbers get that are no call of ours; what the others get cannot be said.
    fn otherwise(&mut self) -> Answer {
        let unnamed = self.unnamed();
        let most = unnamed.iter().max_by_key(|(_, ranges)| ranges.iter().map(width).sum::<u32>());
        let otherwise = most.map_or_else(|| Action::KillProcess.into(), |(answer, _)| *answer);
        for (answer, ranges) in &unnamed {
            self.check_unnamed(*answer, ranges, otherwise);
        }
        otherwise
    }

    /// Says where numbers without a name get another answer than a policy gives them.
    fn check_unnamed(&mut self, answer: Answer, ranges: &[RangeInclusive<u32>], otherwise: Answer) {
        // As `Policy::beyond` has it.
        if self.arch == Arch::X86_64 && otherwise == Action::Allow.into() {
            let (x32, others) = parted(ranges, &X32_NUMBERS);
            let differs = !x32.is_empty() && answer != Action::KillProcess.into();
            if differs {
                self.x32_differs(answer, otherwise);
            }
            let (skipped, others) = parted(&others, &(u32::MAX..=u32::MAX));
            if !skipped.is_empty() && !differs && answer != otherwise {
                let title = format!("number -1 gets `{answer}`, and `{otherwise}` here");
                let finding = self.whole(title, "the program");
                self.findings.note(finding.help("a tracer has the kernel skip a call by it, and it is none"));
            }
            self.others_differ(answer, &others, otherwise);
        } else {
            self.others_differ(answer, ranges, otherwise);
        }
    }

    fn x32_differs(&mut self, answer: Answer, otherwise: Answer) {
        let title = format!("calls of the x32 ABI get `{answer}`, and end the process here");
        let finding = self.whole(title, "the program").help(
            "a policy that allows what it does not name lets no call past its rules by a number that hides it",
        );
        if self.asked_for && answer == otherwise {
            self.findings.note(finding);
        } else {
            self.findings.loss(finding);
        }
    }

    fn others_differ(&mut self, answer: Answer, ranges: &[RangeInclusive<u32>], otherwise: Answer) {
        let Some(first) = ranges.first().map(|range| *range.start()).filter(|_| answer != otherwise) else {
            return;
        };
        let title = if first >= X32_BIT {
            format!("calls of the x32 ABI get `{answer}`, and others without a rule `{otherwise}`")
        } else {
            format!("number {first} gets `{answer}`, and {} has no call of that number", self.arch)
        };
        let finding = self.whole(title, "the program").help("a policy has rules for calls that have a name");
        self.findings.loss(finding);
    }

    /// The numbers without a name that get each answer, whatever the arguments.
    fn unnamed(&mut self) -> Vec<(Answer, Vec<RangeInclusive<u32>>)> {
        let audit = self.arch.audit_value();
        let mut unnamed = Vec::new();
        let answers: Vec<(Answer, Calls)> =
            self.decisions.iter().map(|(answer, calls)| (answer.effect(), calls.clone())).collect();
        for (answer, calls) in answers {
            let Some(ranges) = calls.numbers(audit) else {
                let finding =
                    self.whole("the program looks at single bits of the number".to_owned(), "the program");
                self.findings.error(finding);
                continue;
            };
            let left = without_names(&ranges, self.arch);
            if !left.is_empty() {
                unnamed.push((answer, left));
            }
        }
        unnamed
    }

    /// The rules of one call: one for each answer other than that of calls without a rule.
    fn rules(&mut self, call: &'static Syscall, otherwise: Answer) -> Vec<DraftRule> {
        let audit = self.arch.audit_value();
        let parts =
            self.decisions.iter().map(|(answer, calls)| (answer.effect(), calls.of_call(audit, call.number)));
        let mut parts: Vec<(Answer, Calls)> = parts.filter(|(_, calls)| !calls.is_empty()).collect();
        // One answer needs no condition: what every call without a rule gets, or what the last rule says.
        let rest = match parts.iter().position(|(answer, _)| *answer == otherwise) {
            Some(index) => {
                parts.remove(index);
                None
            }
            None => parts.pop().map(|(answer, _)| answer),
        };
        let mut rules = Vec::new();
        for (answer, calls) in parts {
            match condition_of(&calls, call) {
                Ok(condition) => rules.push(self.rule(call, condition, answer)),
                Err(why) => {
                    let title = format!(
                        "what the program answers to `{}` is no condition of its arguments",
                        call.name
                    );
                    let finding = self.whole(title, "the program").help(why.to_string());
                    self.findings.error(finding);
                    return Vec::new();
                }
            }
        }
        if let Some(answer) = rest {
            rules.push(self.rule(call, Condition::Always, answer));
        }
        rules
    }

    fn rule(&mut self, call: &'static Syscall, condition: Condition, answer: Answer) -> DraftRule {
        let (source, span) = self.program.place_of_return(answer);
        let comment = Some(format!("decompiled from {}", self.program.name()));
        DraftRule { call, condition, action: self.action(answer), comment, source, span }
    }

    /// The action that stands for an answer.
    fn action(&mut self, answer: Answer) -> Action {
        let (source, span) = self.program.place_of_return(answer);
        let value = answer.return_value();
        let data = value & libc::SECCOMP_RET_DATA;
        match (answer.action(), value & libc::SECCOMP_RET_ACTION_FULL) {
            (Some(Action::Errno(number)), _) => shared::errno(self.findings, source, span, number),
            (Some(Action::Trap), _) if data != 0 => {
                let title = "a policy cannot hand a number to the handler of SIGSYS";
                self.findings.loss(
                    Diagnostic::error(title, source, span, format!("si_errno is {data}"))
                        .help("where losses are taken, the handler is given none"),
                );
                Action::Trap
            }
            (Some(action), _) => action,
            (None, libc::SECCOMP_RET_TRACE) => shared::handed(self.findings, source, span, "tracer"),
            (None, libc::SECCOMP_RET_USER_NOTIF) => shared::handed(self.findings, source, span, "listener"),
            (None, _) => Action::KillProcess,
        }
    }

    fn whole(&self, title: String, label: &str) -> Diagnostic {
        let (source, span): (usize, Range<usize>) = self.program.whole();
        Diagnostic::error(title, source, span, label)
    }
}

/// The parts of ranges that lie in another one, and the parts beside it.
fn parted(
    ranges: &[RangeInclusive<u32>],
    by: &RangeInclusive<u32>,
) -> (Vec<RangeInclusive<u32>>, Vec<RangeInclusive<u32>>) {
    let (mut inside, mut beside) = (Vec::new(), Vec::new());
    for range in ranges {
        let (first, last) = (*range.start(), *range.end());
        let shared = first.max(*by.start())..=last.min(*by.end());
        if shared.is_empty() {
            beside.push(range.clone());
            continue;
        }
        beside.extend((first < *shared.start()).then(|| first..=shared.start() - 1));
        beside.extend((last > *shared.end()).then(|| shared.end() + 1..=last));
        inside.push(shared);
    }
    (inside, beside)
}

/// How many numbers of a range are not those of the x32 ABI and beyond.
fn width(range: &RangeInclusive<u32>) -> u32 {
    (*range.end()).min(X32_BIT - 1).saturating_add(1).saturating_sub(*range.start())
}

/// The parts of ranges in which no call has a number.
fn without_names(ranges: &[RangeInclusive<u32>], arch: Arch) -> Vec<RangeInclusive<u32>> {
    let mut left = Vec::new();
    for range in ranges {
        let mut start = Some(*range.start());
        for call in syscalls::all(arch).iter().filter(|call| range.contains(&call.number)) {
            match start {
                Some(first) if first < call.number => left.push(first..=call.number - 1),
                _ => {}
            }
            start = call.number.checked_add(1);
        }
        if let Some(first) = start.filter(|first| first <= range.end()) {
            left.push(first..=*range.end());
        }
    }
    left
}
