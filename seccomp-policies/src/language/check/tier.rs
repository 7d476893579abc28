//! What each tier's mechanism can carry out.

use super::header::Header;
use crate::action::Action;
use crate::language::diagnostics::Diagnostic;
use crate::language::load::Placed;
use crate::language::policy::Tier;
use crate::language::syntax::{Expression, ItemKind, RuleSyntax, Span, TestSyntax};

/// The calls of strict mode: `mode1_syscalls`, Linux `kernel/seccomp.c`.
const STRICT_CALLS: [&str; 4] = ["read", "write", "exit", "rt_sigreturn"];

/// Refuses what the policy's tier cannot do.
pub(super) fn check(tier: Tier, header: &Header, items: &[Placed], findings: &mut Vec<Diagnostic>) {
    if tier == Tier::Filter {
        return;
    }
    if let (Tier::Strict, Some(otherwise), Some((source, span))) =
        (tier, header.otherwise, &header.otherwise_place)
    {
        findings.extend(strict_otherwise(otherwise, *source, span));
    }
    let said = header.tier_place.clone();
    for placed in items {
        let ItemKind::Rule(rule) = &placed.item.kind else { continue };
        for problem in rule_problems(tier, placed, rule) {
            findings.push(match &said {
                Some((source, span)) => problem.context(*source, span.clone(), "the tier is chosen here"),
                None => problem,
            });
        }
    }
}

fn strict_otherwise(otherwise: Action, source: usize, span: &Span) -> Option<Diagnostic> {
    (otherwise != Action::KillProcess).then(|| {
        let title = "strict mode can only kill";
        Diagnostic::error(title, source, span.clone(), "the kernel gives no choice")
            .help("write `otherwise kill`: a refused call ends the thread")
    })
}

fn rule_problems(tier: Tier, placed: &Placed, rule: &RuleSyntax) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    let mechanism = if tier == Tier::Strict { "strict mode" } else { "the bitmask tier" };
    let call = rule.call.text.strip_prefix("sys_").unwrap_or(&rule.call.text);
    if tier == Tier::Strict && !STRICT_CALLS.contains(&call) {
        let title = format!("strict mode refuses `{call}`");
        problems.push(Diagnostic::error(title, placed.source, rule.call.span.clone(), "this call").help(
            "it allows `read`, `write`, `exit` and `rt_sigreturn`; any other call needs `tier filter`",
        ));
        return problems;
    }
    if let Some(verdict) = &rule.verdict {
        let title = format!("{mechanism} has no `{}` rules", verdict.word.text);
        problems.push(
            Diagnostic::error(title, placed.source, placed.item.span.clone(), "this rule").help(
                "it knows calls that are allowed and calls that are not; `tier filter` has other answers",
            ),
        );
    }
    if let Some(test) = rule.expression.as_ref().and_then(first_test) {
        let title = format!("{mechanism} does not look at arguments");
        problems.push(
            Diagnostic::error(title, placed.source, test.span.clone(), "this test").help(format!(
                "write `{call}: -- reason`, which allows any arguments, or choose `tier filter`"
            )),
        );
    }
    problems
}

fn first_test(expression: &Expression) -> Option<&TestSyntax> {
    match expression {
        Expression::Test(test) => Some(test),
        Expression::Group(inner) | Expression::Not(inner) => first_test(inner),
        Expression::And(parts) | Expression::Or(parts) => parts.first().and_then(first_test),
    }
}
