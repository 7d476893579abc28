//! One rule: its call on its architecture, its condition, its verdict, its reason.

use super::scope::Scope;
use super::slots::Slots;
use super::{PlacedRule, reason, value};
use crate::action::Action;
use crate::language::diagnostics::Diagnostic;
use crate::language::load::Placed;
use crate::language::policy::{Condition, Rule};
use crate::language::suggest;
use crate::language::syntax::{Expression, Name, RuleSyntax};
use crate::syscalls::{self, Arch, Syscall};

/// Checks a rule. `None` if it has errors or is for another architecture than `target`; either way its errors are
/// among the findings.
pub(super) fn rule(
    placed: &Placed,
    syntax: &RuleSyntax,
    target: Arch,
    (file, line): (&str, u32),
    slots: &Slots,
    findings: &mut Vec<Diagnostic>,
) -> Option<PlacedRule> {
    let reason = reason(placed, "rule", findings);
    let arch = match &syntax.arch {
        Some(name) => architecture(placed.source, name, findings)?,
        None => target,
    };
    let action = match &syntax.verdict {
        Some(verdict) => value::verdict(placed.source, verdict, findings),
        None => Some(Action::Allow),
    };
    let call = call(placed.source, &syntax.call, arch, syntax.arch.is_some(), findings)?;
    let mut scope = Scope { source: placed.source, call, arch, slots, findings };
    let condition = match &syntax.expression {
        Some(expression) => scope.condition(expression)?,
        None => Condition::Always,
    };
    let rule = Rule {
        call,
        condition,
        action: action?,
        expression: syntax
            .expression
            .as_ref()
            .map(|expression| outer(expression).to_string())
            .unwrap_or_default(),
        reason: reason?,
        file: file.to_owned(),
        line,
    };
    (arch == target).then(|| PlacedRule { rule, source: placed.source, span: placed.item.span.clone() })
}

/// The expression without parentheses around the whole.
pub(crate) fn outer(expression: &Expression) -> &Expression {
    match expression {
        Expression::Group(inner) => outer(inner),
        other => other,
    }
}

fn architecture(source: usize, name: &Name, findings: &mut Vec<Diagnostic>) -> Option<Arch> {
    let arch = Arch::from_name(&name.text);
    if arch.is_none() {
        let title = format!("unknown architecture `{}`", name.text);
        let error = Diagnostic::error(title, source, name.span.clone(), "not a target of this compiler");
        // The names that Debian and Go use.
        let alias = match name.text.as_str() {
            "amd64" => Some("x86_64"),
            "arm64" => Some("aarch64"),
            _ => None,
        };
        findings.push(match alias.or_else(|| suggest::closest(&name.text, ["x86_64", "aarch64"])) {
            Some(near) => error.help(format!("did you mean `{near}`?")),
            None => error.help("write `x86_64` or `aarch64`"),
        });
    }
    arch
}

fn call(
    source: usize,
    name: &Name,
    arch: Arch,
    qualified: bool,
    findings: &mut Vec<Diagnostic>,
) -> Option<&'static Syscall> {
    let found = syscalls::by_name(arch, &name.text);
    if found.is_none() {
        findings.push(unknown_call(source, name, arch, qualified));
    }
    found
}

fn unknown_call(source: usize, name: &Name, arch: Arch, qualified: bool) -> Diagnostic {
    let other = match arch {
        Arch::X86_64 => Arch::Aarch64,
        Arch::Aarch64 => Arch::X86_64,
    };
    if syscalls::by_name(other, &name.text).is_some() {
        let title = format!("`{}` does not exist on {arch}", name.text);
        let error = Diagnostic::error(title, source, name.span.clone(), format!("a call of {other}"));
        return if qualified {
            error.help(format!("write `{} on {other}: ...`", name.text))
        } else {
            error.help(format!("if the rule is for {other} alone, say so: `{} on {other}: ...`", name.text))
        };
    }
    let title = format!("unknown call `{}`", name.text);
    let error = Diagnostic::error(title, source, name.span.clone(), format!("not a system call of {arch}"));
    let typed = name.text.strip_prefix("sys_").unwrap_or(&name.text);
    match suggest::closest(typed, syscalls::all(arch).iter().map(|call| call.name)) {
        Some(near) => error.help(format!("did you mean `{near}`?")),
        None => error.help("use the kernel's name of the call, as `strace` shows it"),
    }
}
