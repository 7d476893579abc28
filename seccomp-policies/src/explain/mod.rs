//! Why a policy answers a call as it does.

use std::fmt;

use serde::Serialize;

use crate::action::Action;
use crate::constants;
use crate::language::{Policy, Rule};
use crate::pattern::{Answer, Decider, Judge, Known, Pattern};

/// Version of the shape of [`Explanation`] as JSON; it changes when a member changes its meaning or goes away.
pub const SCHEMA: u32 = 1;

/// What a policy says of a pattern, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// [`SCHEMA`]
    pub schema: u32,
    /// The call as it was asked for.
    pub call: String,
    /// The verdict in a word.
    pub answer: Answer,
    /// Everything that decides of some call of the pattern, in the order of the policy.
    pub deciders: Vec<Decided>,
    /// Where every call of the pattern is refused: the rule that nearly allows it.
    pub nearest: Option<Nearest>,
    /// Something that the pattern knows and a filter cannot see.
    pub note: Option<&'static str>,
}

/// A part of the policy that decides.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Decided {
    /// What it decides, as a policy spells it.
    pub action: String,
    /// The rule; `None` for `otherwise`.
    pub rule: Option<Cited>,
}

/// A rule, cited.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Cited {
    /// File and line.
    pub place: String,
    /// The rule without its reason.
    pub rule: String,
    /// Its reason.
    pub reason: String,
}

/// A rule that would allow the call, but for some tests.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Nearest {
    /// The rule.
    #[serde(flatten)]
    pub rule: Cited,
    /// The tests that the call fails, in words.
    pub failed: Vec<String>,
}

/// Explains what a policy decides of a pattern; `text` is the pattern as it was written.
pub fn explain(policy: &Policy, pattern: &Pattern, text: &str) -> Explanation {
    Judge::new(policy).explain(pattern, text)
}

impl Judge<'_> {
    /// As [`explain()`], for many patterns of one policy.
    pub fn explain(&mut self, pattern: &Pattern, text: &str) -> Explanation {
        let (policy, verdict) = (self.policy(), self.judge(pattern));
        let answer = verdict.answer();
        let deciders = verdict.deciders.iter().map(|decider| Decided::new(policy, *decider)).collect();
        let nearest = (answer == Answer::Refused).then(|| nearest(policy, pattern)).flatten();
        let shows_memory = pattern.arguments.contains(&Known::NotNull);
        let note =
            shows_memory.then_some("a filter sees addresses, not the text or the structure that lies there");
        Explanation { schema: SCHEMA, call: text.trim().to_owned(), answer, deciders, nearest, note }
    }
}

/// The rule nearest to a pattern of which every call is refused.
fn nearest(policy: &Policy, pattern: &Pattern) -> Option<Nearest> {
    let refusal = policy.nearest_allowing(&pattern.example(policy.arch), pattern.known())?;
    Some(Nearest { rule: Cited::new(refusal.rule), failed: refusal.failed })
}

impl Decided {
    fn new(policy: &Policy, decider: Decider) -> Self {
        let rule = decider.rule.map(|index| Cited::new(&policy.rules[index]));
        Self { action: spelled(decider.action), rule }
    }
}

impl Cited {
    /// The rule as it is cited.
    pub fn new(rule: &Rule) -> Self {
        let Rule { call, action, expression, reason, file, line, .. } = rule;
        let text = match (action, expression.as_str()) {
            (Action::Allow, "") => format!("{}:", call.name),
            (Action::Allow, expression) => format!("{}: {expression}", call.name),
            (action, "") => format!("{}: {}", call.name, spelled(*action)),
            (action, expression) => format!("{}: {} if {expression}", call.name, spelled(*action)),
        };
        Self { place: format!("{file}:{line}"), rule: text, reason: reason.clone() }
    }
}

/// What a rule asks of the arguments, of its text as [`Cited::rule`] has it.
pub fn condition_of(rule: &str) -> &str {
    rule.split_once(": ").map_or("whatever its arguments", |(_, condition)| condition)
}

impl fmt::Display for Cited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rule)?;
        if self.reason.is_empty() { Ok(()) } else { write!(f, " -- {}", self.reason) }
    }
}

/// An action as a policy spells it, errors by name.
pub fn spelled(action: Action) -> String {
    match action {
        Action::Errno(number) => match constants::errno_name(number) {
            Some(name) => format!("errno {name}"),
            None => format!("errno {number}"),
        },
        other => other.to_string(),
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.answer, self.deciders.as_slice()) {
            (Answer::Depends, _) => self.dependent(f)?,
            (_, [only]) => self.decided(f, only)?,
            (answer, several) => {
                writeln!(f, "{}: {} whatever its open arguments, by", self.call, word(answer))?;
                several.iter().try_for_each(|decider| line(f, decider))?;
            }
        }
        if let Some(Nearest { rule, failed }) = &self.nearest {
            writeln!(f, "  nearest rule: {rule}")?;
            write!(f, "  at {}", rule.place)?;
            let failed = failed.join(", ");
            if failed.is_empty() { writeln!(f)? } else { writeln!(f, "; here {failed}")? }
        }
        self.note.iter().try_for_each(|note| writeln!(f, "  note: {note}"))
    }
}

impl Explanation {
    fn decided(&self, f: &mut fmt::Formatter<'_>, by: &Decided) -> fmt::Result {
        let Self { call, answer, .. } = self;
        let action = if by.action == "allow" { String::new() } else { format!(" ({})", by.action) };
        match &by.rule {
            Some(rule) => {
                writeln!(f, "{call}: {}{action}", word(*answer))?;
                writeln!(f, "  by {rule}\n  at {}", rule.place)
            }
            None => writeln!(f, "{call}: {}{action}, since no rule matches it", word(*answer)),
        }
    }

    fn dependent(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: depends on its arguments; the first that matches decides", self.call)?;
        self.deciders.iter().try_for_each(|decider| line(f, decider))
    }
}

fn line(f: &mut fmt::Formatter<'_>, decider: &Decided) -> fmt::Result {
    match &decider.rule {
        Some(rule) => writeln!(f, "  {}  ({})", rule, rule.place),
        None => writeln!(f, "  otherwise {}", decider.action),
    }
}

const fn word(answer: Answer) -> &'static str {
    match answer {
        Answer::Allowed => "allowed",
        Answer::Depends => "depends",
        Answer::Refused => "refused",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language;
    use crate::syscalls::Arch;

    const POLICY: &str = "\
role vcpu
tier filter
otherwise trap

fd vcpu = 3 -- the KVM vCPU
fd log = 2  -- messages

ioctl: fd == @vcpu && cmd == KVM_RUN -- enter the guest
openat: errno ENOENT if dfd == AT_FDCWD && flags == O_RDONLY -- probes
write: fd == @log -- say something
write: fd == 1 && count == 8 -- ring
exit_group: -- end
";

    fn explained(call: &str) -> String {
        let checked =
            language::check_sources("vcpu.policy", &[("vcpu.policy", POLICY)], Arch::X86_64).unwrap();
        let pattern = Pattern::parse(call, Arch::X86_64).unwrap();
        explain(&checked.policy, &pattern, call).to_string()
    }

    #[test]
    fn an_allowed_call_is_explained_by_its_rule_and_reason() {
        insta::assert_snapshot!(explained("ioctl(3, KVM_RUN, 0)"), @r#"
        ioctl(3, KVM_RUN, 0): allowed
          by ioctl: fd == @vcpu && cmd == KVM_RUN -- enter the guest
          at vcpu.policy:8
        "#);
    }

    #[test]
    fn a_refused_call_is_explained_by_the_nearest_rule_and_what_in_it_fails() {
        insta::assert_snapshot!(explained("ioctl(fd=4, cmd=KVM_RUN)"), @r#"
        ioctl(fd=4, cmd=KVM_RUN): refused (trap), since no rule matches it
          nearest rule: ioctl: fd == @vcpu && cmd == KVM_RUN -- enter the guest
          at vcpu.policy:8; here fd is 4, not 3
        "#);
        insta::assert_snapshot!(explained("getpid()"), @"getpid(): refused (trap), since no rule matches it");
    }

    #[test]
    fn a_test_of_an_open_argument_is_not_called_failed() {
        insta::assert_snapshot!(explained("write(1)"), @r#"
        write(1): depends on its arguments; the first that matches decides
          write: fd == 1 && count == 8 -- ring  (vcpu.policy:11)
          otherwise trap
        "#);
        insta::assert_snapshot!(explained("write(fd=7)"), @r#"
        write(fd=7): refused (trap), since no rule matches it
          nearest rule: write: fd == @log -- say something
          at vcpu.policy:10; here fd is 7, not 2
        "#);
    }

    #[test]
    fn a_rule_that_answers_with_an_error_refuses() {
        insta::assert_snapshot!(explained("openat(AT_FDCWD, \"/etc/ld.so.cache\", O_RDONLY)"), @r#"
        openat(AT_FDCWD, "/etc/ld.so.cache", O_RDONLY): refused (errno ENOENT)
          by openat: errno ENOENT if dfd == AT_FDCWD && flags == O_RDONLY -- probes
          at vcpu.policy:9
          note: a filter sees addresses, not the text or the structure that lies there
        "#);
    }

    #[test]
    fn an_open_call_lists_every_rule_that_may_decide() {
        insta::assert_snapshot!(explained("write"), @r#"
        write: depends on its arguments; the first that matches decides
          write: fd == @log -- say something  (vcpu.policy:10)
          write: fd == 1 && count == 8 -- ring  (vcpu.policy:11)
          otherwise trap
        "#);
    }
}
