//! A policy before its rules have their text.

use std::ops::Range;

use super::{Findings, Format, Imported, Options, limits};
use crate::action::Action;
use crate::language::{
    Condition, Diagnostic, Diagnostics, LineStarts, PlacedRule, Policy, Relation, Rule, Source, Test, Tier,
    Width, one_line, undecided_rules, write_condition,
};
use crate::syscalls::{Arch, Syscall};

/// What an importer found.
#[derive(Clone)]
pub(crate) struct Draft {
    pub(crate) otherwise: Action,
    pub(crate) rules: Vec<DraftRule>,
}

/// A rule and where it comes from.
#[derive(Clone, Debug)]
pub(crate) struct DraftRule {
    pub(crate) call: &'static Syscall,
    pub(crate) condition: Condition,
    pub(crate) action: Action,
    /// What the text says about it.
    pub(crate) comment: Option<String>,
    pub(crate) source: usize,
    pub(crate) span: Range<usize>,
}

/// How much of a comment becomes a reason, in bytes: a rule for many calls is a rule for each here, with the reason in
/// all of them.
const LONGEST_COMMENT: usize = 1000;

/// What a file says of a rule for many calls, at a length that each of them can have.
pub(crate) fn shared_comment(text: &str) -> String {
    if text.len() <= LONGEST_COMMENT {
        return text.to_owned();
    }
    format!("{}...", &text[..text.floor_char_boundary(LONGEST_COMMENT)])
}

impl Draft {
    /// The one policy of a file, unless there are errors.
    pub(crate) fn finish(
        self,
        format: Format,
        role: String,
        options: &Options,
        sources: Vec<Source>,
        mut findings: Findings,
    ) -> Result<Imported, Diagnostics> {
        let policy = self.policy(role, options, &sources, &mut findings);
        findings.finish(format, vec![policy], sources)
    }

    /// The policy, with the text of each rule, and notes on rules that decide nothing.
    pub(crate) fn policy(
        mut self,
        role: String,
        options: &Options,
        sources: &[Source],
        findings: &mut Findings,
    ) -> Policy {
        let arch = options.target();
        if options.kernel_widths {
            self.narrow(findings);
        }
        self.rules = limits::within(self.rules, findings);
        let lines: Vec<LineStarts> = sources.iter().map(|source| LineStarts::of(&source.text)).collect();
        let placed: Vec<PlacedRule> = self
            .rules
            .into_iter()
            .map(|draft| {
                let (source, span) = (draft.source, draft.span.clone());
                PlacedRule { rule: draft.finish(arch, &sources[source].name, &lines[source]), source, span }
            })
            .collect();
        for finding in undecided_rules(&placed) {
            findings.note(finding);
        }
        let rules = placed.into_iter().map(|placed| placed.rule).collect();
        Policy { role, tier: Tier::Filter, otherwise: self.otherwise, arch, slots: Vec::new(), rules }
    }

    /// Has each test compare what the kernel reads of its argument.
    fn narrow(&mut self, findings: &mut Findings) {
        let mut first: Option<(usize, Range<usize>)> = None;
        let mut narrowed = 0;
        for rule in &mut self.rules {
            if narrow(&mut rule.condition, rule.call) {
                narrowed += 1;
                first.get_or_insert((rule.source, rule.span.clone()));
            }
        }
        let Some((source, span)) = first else { return };
        let rules =
            if narrowed == 1 { "1 rule compares".to_owned() } else { format!("{narrowed} rules compare") };
        findings.note(
            Diagnostic::error(
                format!("{rules} more bits than the kernel reads"),
                source,
                span,
                "here the lower 32 alone, as asked for",
            )
            .help("a call with other bits in the upper half is the same call for the kernel"),
        );
    }
}

impl DraftRule {
    fn finish(self, arch: Arch, file: &str, lines: &LineStarts) -> Rule {
        let line = lines.line(self.span.start);
        let comment = self.comment.filter(|comment| !comment.trim().is_empty());
        Rule {
            call: self.call,
            expression: write_condition(arch, self.call, &[], &self.condition).unwrap_or_default(),
            condition: self.condition,
            action: self.action,
            reason: one_line(&comment.unwrap_or_else(|| format!("imported from {file}:{line}"))),
            file: file.to_owned(),
            line,
        }
    }
}

/// Cuts the tests of a condition to the widths of their arguments, where the values allow it; whether any was cut.
fn narrow(condition: &mut Condition, call: &'static Syscall) -> bool {
    match condition {
        Condition::Always => false,
        Condition::Test(test) => narrow_test(test, call),
        Condition::Not(inner) => narrow(inner, call),
        Condition::All(parts) | Condition::Any(parts) => {
            let narrowed: Vec<_> = parts.iter_mut().map(|part| narrow(part, call)).collect();
            narrowed.contains(&true)
        }
    }
}

fn narrow_test(test: &mut Test, call: &'static Syscall) -> bool {
    let is_read = call.arguments.get(usize::from(test.argument)).map(|argument| argument.width);
    if (test.width, is_read) != (Width::Bits64, Some(Width::Bits32)) {
        return false;
    }
    let low = Width::Bits32.mask();
    let fits = match test.relation {
        Relation::Equal(value)
        | Relation::NotEqual(value)
        | Relation::Less(value)
        | Relation::LessOrEqual(value)
        | Relation::Greater(value)
        | Relation::GreaterOrEqual(value) => value <= low,
        Relation::Masked { mask, value } => {
            // Upper bits that must be zero are those that the kernel ignores.
            let fits = value <= low && mask & low != 0;
            if fits {
                test.relation = Relation::Masked { mask: mask & low, value };
            }
            fits
        }
    };
    if fits {
        test.width = Width::Bits32;
    }
    fits
}
