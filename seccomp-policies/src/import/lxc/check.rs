//! Rules for one architecture from a profile.

use std::collections::HashSet;
use std::ops::Range;

use super::parser::{Placed, Profile, Section};
use super::rule::{Called, Comparison, Rule, Verdict};
use crate::action::Action;
use crate::import::draft::{Draft, DraftRule};
use crate::import::libseccomp;
use crate::import::{Findings, Options, action};
use crate::language::{Condition, Diagnostic, Relation, Test, Width};
use crate::syscalls::{self, Arch, Syscall};

/// `MNT_FORCE`, Linux `include/linux/fs.h`: umount2(2) aborts what still uses the file system.
const MNT_FORCE: u64 = libc::MNT_FORCE as u64;

/// What `reject_force_umount` answers: `EACCES`, Linux `include/uapi/asm-generic/errno-base.h`.
const EACCES: u16 = 13;

/// The one text that a profile is.
const SOURCE: usize = 0;

/// Makes rules of a profile, for calls of one architecture.
pub(super) fn check(profile: Profile, options: &Options, findings: &mut Findings) -> Draft {
    let Profile { denylist, style, default, rules } = profile;
    let arch = options.target();
    let otherwise = if denylist { Action::Allow } else { Action::KillThread };
    let by_rule = if denylist { Action::KillThread } else { Action::Allow };
    let mut checker = Checker { arch, by_rule, findings, headings: HashSet::new() };
    let otherwise = match default {
        Some((verdict, place)) => checker.action(verdict, place),
        None => otherwise,
    };
    other_abis(arch, options, &style, checker.findings);
    let rules = rules.into_iter().filter_map(|placed| checker.rule(placed)).collect();
    Draft { otherwise, rules: libseccomp::combined(rules, otherwise, findings) }
}

/// LXC's filter judges the calls of every ABI that the machine is compatible with, and a policy those of one.
fn other_abis(arch: Arch, options: &Options, style: &Range<usize>, findings: &mut Findings) {
    if options.arch.is_some() {
        return;
    }
    let title = "the profile is for the calls of several ABIs";
    findings.loss(
        Diagnostic::error(title, SOURCE, style.clone(), "LXC judges those of i386 and x32, too")
            .help(format!("a policy refuses them; if {arch} alone is what you want, ask for it")),
    );
}

struct Checker<'a> {
    arch: Arch,
    /// What a rule without an action answers.
    by_rule: Action,
    findings: &'a mut Findings,
    /// Where headings stand that are spoken of already.
    headings: HashSet<usize>,
}

impl Checker<'_> {
    fn rule(&mut self, placed: Placed) -> Option<DraftRule> {
        if !self.is_for_us(&placed.section) {
            return None;
        }
        let Placed { rule, comment, .. } = placed;
        if let Called::Name(name) = &rule.call
            && name.starts_with("reject_force_umount")
        {
            let relation = Relation::Masked { mask: MNT_FORCE, value: MNT_FORCE };
            let forced = Condition::Test(Test { argument: 1, width: Width::Bits64, relation });
            let call = syscalls::by_name(self.arch, "umount2")?;
            return Some(DraftRule {
                call,
                condition: forced,
                action: Action::Errno(EACCES),
                comment,
                source: SOURCE,
                span: rule.span,
            });
        }
        let call = self.call(&rule)?;
        let condition = self.condition(&rule)?;
        let action = match &rule.verdict {
            Some((verdict, place)) => self.action(*verdict, place.clone()),
            None => self.by_rule,
        };
        Some(DraftRule { call, condition, action, comment, source: SOURCE, span: rule.span })
    }

    /// Whether a section's rules are for calls of our architecture.
    fn is_for_us(&mut self, section: &Section) -> bool {
        let Section::Named(name, place) = section else { return true };
        let (own, compatible): (&str, &[&str]) = match self.arch {
            Arch::X86_64 => ("x86_64", &["x86", "x32"]),
            Arch::Aarch64 => ("arm64", &["arm"]),
        };
        if compatible.contains(name) {
            let title = format!("rules for {name} cannot be kept");
            if self.headings.insert(place.start) {
                self.findings.loss(
                    Diagnostic::error(title, SOURCE, place.clone(), "calls that the policy refuses")
                        .help(format!("a policy is for the calls of one architecture, here {}", self.arch)),
                );
            }
        }
        *name == own
    }

    /// The call of a rule; `None` with a note for one that LXC skips.
    fn call(&mut self, rule: &Rule) -> Option<&'static Syscall> {
        let place = rule.call_span.clone();
        match &rule.call {
            Called::Number(number) => {
                let found = syscalls::by_number(self.arch, *number);
                if found.is_none() {
                    let title = format!("no call of {} has the number {number}", self.arch);
                    self.findings.loss(
                        Diagnostic::error(title, SOURCE, place, "no name for it")
                            .help("a policy names calls; without the rule this number is refused"),
                    );
                }
                found
            }
            Called::Name(name) => {
                let found = syscalls::all(self.arch).iter().find(|call| call.name == name);
                if found.is_none() {
                    let skipped = self.skipped(name, place);
                    self.findings.note(skipped);
                }
                found
            }
        }
    }

    fn skipped(&self, name: &str, place: Range<usize>) -> Diagnostic {
        let others = [Arch::X86_64, Arch::Aarch64].into_iter();
        let other = others
            .filter(|other| *other != self.arch)
            .find(|other| syscalls::all(*other).iter().any(|call| call.name == name));
        let error = |title, text: &str| Diagnostic::error(title, SOURCE, place.clone(), text);
        if let Some(other) = other {
            return error(format!("`{name}` does not exist on {}", self.arch), &format!("a call of {other}"))
                .help("LXC skips it there, too");
        }
        let error = error(format!("unknown call `{name}`"), "LXC skips this rule");
        match self.findings.suggestion(name, syscalls::all(self.arch).iter().map(|call| call.name)) {
            Some(near) => error.help(format!("did you mean `{near}`?")),
            None => error,
        }
    }

    fn condition(&mut self, rule: &Rule) -> Option<Condition> {
        let twice = rule.comparisons.iter().enumerate().find_map(|(index, comparison)| {
            let earlier = &rule.comparisons[..index];
            let same = earlier.iter().find(|earlier| earlier.argument == comparison.argument);
            same.map(|first| (first, comparison))
        });
        if let Some((first, second)) = twice {
            self.findings.error(Self::argument_twice(first, second));
            return None;
        }
        let mut tests: Vec<Condition> =
            rule.comparisons.iter().map(|comparison| comparison.condition.clone()).collect();
        tests.retain(|test| *test != Condition::Always);
        Some(match tests.len() {
            0 => Condition::Always,
            1 => tests.remove(0),
            _ => Condition::All(tests),
        })
    }

    fn argument_twice(first: &Comparison, second: &Comparison) -> Diagnostic {
        let title = format!("argument {} is compared twice", second.argument);
        Diagnostic::error(title, SOURCE, second.span.clone(), "libseccomp refuses it (EINVAL)")
            .context(SOURCE, first.span.clone(), "compared here")
            .help("write two rules, which are alternatives, or one mask")
    }

    fn action(&mut self, verdict: Verdict, place: Range<usize>) -> Action {
        match verdict {
            Verdict::Allow => Action::Allow,
            Verdict::Kill => Action::KillThread,
            Verdict::Trap => Action::Trap,
            Verdict::Errno(number) => action::errno(self.findings, SOURCE, place, number),
            Verdict::KillProcess => {
                let title = "LXC reads `kill_process` as `kill`";
                self.findings.note(
                    Diagnostic::error(title, SOURCE, place, "ends the thread")
                        .help("it looks at the first four letters"),
                );
                Action::KillThread
            }
            Verdict::Notify => action::handed(self.findings, SOURCE, place, "listener"),
        }
    }
}
