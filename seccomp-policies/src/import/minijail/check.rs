//! Statements to rules: calls found, filters in their order, actions that a policy has.

use std::collections::HashMap;

use super::Dialect;
use super::condition::{Folded, folded};
use super::constants::Names;
use super::load::{Loaded, Place, PlacedRule};
use super::syntax::{Descriptor, Filter, Verdict};
use crate::action::Action;
use crate::import::draft::{Draft, DraftRule};
use crate::import::{Findings, action as shared};
use crate::language::{Condition, Diagnostic, Name, Span};
use crate::syscalls::{self, Arch, Syscall};

/// What `kill` is unless an option of minijail says otherwise: `SECCOMP_RET_KILL`, the thread.
const KILL: Action = Action::KillThread;

/// How many comparisons rules for many calls may add to those of the text: each of a filter's once for every call but one.
/// A filter without one counts as one, and so does a call of a group.
const MAX_ADDED: usize = 1 << 16;

/// Makes rules of what was read.
pub(super) fn check(
    loaded: Loaded,
    names: &Names,
    dialect: Option<Dialect>,
    findings: &mut Findings,
) -> Draft {
    let Loaded { rules, default, denylist, errors, .. } = loaded;
    for error in errors {
        findings.error(error);
    }
    let said_at = default.as_ref().map(|(_, place)| place.clone()).or_else(|| denylist.clone());
    let otherwise = match (default, denylist) {
        (Some((verdict, place)), _) => action(verdict, &place, KILL, findings),
        (None, Some(_)) => Some(Action::Allow),
        (None, None) => Some(KILL),
    };
    let otherwise = otherwise.unwrap_or(KILL);
    if let Some((source, span)) = said_at {
        shared::x32(findings, source, span, (names.arch, otherwise));
    }
    let mut checker =
        Checker { names, dialect, otherwise, findings, calls: HashMap::new(), added: 0, rules: Vec::new() };
    for rule in &rules {
        checker.rule(rule);
        if checker.added > MAX_ADDED {
            let title = format!("rules for many calls come to more than {MAX_ADDED} comparisons");
            checker.findings.error(
                Diagnostic::error(title, rule.source, rule.rule.span.clone(), "one too many")
                    .help("each filter of a rule counts for each of its calls; name fewer of them"),
            );
            break;
        }
    }
    Draft { otherwise, rules: checker.rules }
}

struct Checker<'a> {
    names: &'a Names,
    dialect: Option<Dialect>,
    otherwise: Action,
    findings: &'a mut Findings,
    /// What was read of each call, by its number.
    calls: HashMap<u32, Seen>,
    /// What rules for many calls have added so far, of [`MAX_ADDED`].
    added: usize,
    rules: Vec<DraftRule>,
}

/// Where a call was last ruled on, and whether a filter that always applies has ended the list.
struct Seen {
    place: Place,
    ended: bool,
}

/// A filter with its meaning.
struct Meant {
    condition: Folded,
    action: Action,
    span: Span,
}

impl Checker<'_> {
    fn rule(&mut self, placed: &PlacedRule) {
        let source = placed.source;
        let mut calls: Vec<(&'static Syscall, Span)> = Vec::new();
        for descriptor in &placed.rule.calls {
            calls.extend(self.described(source, descriptor));
            if self.added > MAX_ADDED {
                return;
            }
        }
        let Some(filters) = self.filters(placed) else { return };
        let each: usize = filters.iter().map(|filter| filter.condition.comparisons()).sum();
        let copies = calls.len().saturating_sub(1);
        self.added = self.added.saturating_add(each.saturating_mul(copies));
        if self.added > MAX_ADDED {
            return;
        }
        for (call, span) in calls {
            if self.may_follow(call, source, &span) {
                self.add(placed, call, span, &filters);
            }
        }
    }

    /// The calls that a descriptor names on this architecture.
    fn described(&mut self, source: usize, descriptor: &Descriptor) -> Vec<(&'static Syscall, Span)> {
        let arch = self.names.arch;
        if descriptor.arches.as_ref().is_some_and(|arches| !arches.iter().any(|name| is_arch(arch, name))) {
            return Vec::new();
        }
        let name = &descriptor.name;
        if !name.text.contains('@') {
            let call = self.call(source, &name.text, &name.span);
            return call.into_iter().map(|call| (call, name.span.clone())).collect();
        }
        let Some(group) = self.names.group(&name.text).map(<[String]>::to_vec) else {
            let title = format!("unknown group of calls `{}`", name.text);
            self.findings.error(
                Diagnostic::error(title, source, name.span.clone(), "no constants file defines it")
                    .help("give minijail's constants.json, or name the calls"),
            );
            return Vec::new();
        };
        self.added = self.added.saturating_add(group.len());
        let calls = group.iter().filter_map(|call| self.call(source, call, &name.span));
        calls.map(|call| (call, name.span.clone())).collect()
    }

    fn call(&mut self, source: usize, name: &str, span: &Span) -> Option<&'static Syscall> {
        let arch = self.names.arch;
        // Unlike a policy of ours, minijail has no `sys_`.
        let found = syscalls::all(arch).iter().find(|call| call.name == name);
        if found.is_none() {
            let near = self.findings.suggestion(name, syscalls::all(arch).iter().map(|call| call.name));
            self.findings.loss(unknown_call(name, near, arch, source, span));
        }
        found
    }

    /// Whether a call may have another filter; minijail's compiler refuses one after a filter that always applies, and
    /// its C library any second line for a call.
    fn may_follow(&mut self, call: &Syscall, source: usize, span: &Span) -> bool {
        let Some(seen) = self.calls.get(&call.number) else { return true };
        let (title, help) = if seen.ended {
            let title = format!("`{}` already has a filter that always applies", call.name);
            (title, "take one of the two away; minijail refuses the second")
        } else if self.dialect == Some(Dialect::Library) {
            let title = format!("`{}` is ruled on twice", call.name);
            (title, "minijail's C library refuses the second line; join the two by `||`")
        } else {
            return true;
        };
        let (first, place) = seen.place.clone();
        self.findings.error(
            Diagnostic::error(title, source, span.clone(), "again here")
                .context(first, place, "ruled on here")
                .help(help),
        );
        false
    }

    fn add(&mut self, placed: &PlacedRule, call: &'static Syscall, span: Span, filters: &[Meant]) {
        let source = placed.source;
        let ended = filters.iter().any(|filter| matches!(filter.condition, Folded::Unconditional));
        self.calls.insert(call.number, Seen { place: (source, span), ended });
        for filter in filters {
            let condition = match &filter.condition {
                Folded::Unconditional | Folded::Always => Condition::Always,
                Folded::When(condition) => condition.clone(),
                Folded::Never => continue,
            };
            self.rules.push(DraftRule {
                call,
                condition,
                action: filter.action,
                comment: placed.comment.clone(),
                source,
                span: placed.rule.span.clone(),
            });
        }
    }

    /// The filters of a rule in order; `None` if one has errors.
    fn filters(&mut self, placed: &PlacedRule) -> Option<Vec<Meant>> {
        let source = placed.source;
        let rule = &placed.rule;
        if let ([filter], false) = (rule.filters.as_slice(), rule.braces)
            && filter.expression.is_some()
            && let Some((verdict @ (Verdict::Errno(_) | Verdict::Default), _)) = filter.verdict
        {
            return self.guarded_return(source, filter, verdict);
        }
        let meant: Vec<Option<Meant>> =
            rule.filters.iter().map(|filter| self.filter(source, filter)).collect();
        let meant = meant.into_iter().collect::<Option<Vec<Meant>>>()?;
        self.check_order(source, &meant)?;
        Some(meant)
    }

    fn filter(&mut self, source: usize, filter: &Filter) -> Option<Meant> {
        let action = match &filter.verdict {
            Some((verdict, span)) => {
                action(*verdict, &(source, span.clone()), self.otherwise, self.findings)?
            }
            None => Action::Allow,
        };
        let condition = filter.expression.as_deref().map_or(Folded::Unconditional, folded);
        if matches!(condition, Folded::Never) {
            self.findings.note(
                Diagnostic::error(
                    "this filter never applies",
                    source,
                    filter.span.clone(),
                    "true of no call",
                )
                .help("it is left out"),
            );
        }
        Some(Meant { condition, action, span: filter.span.clone() })
    }

    /// `EXPRESSION; return N` outside of braces, which minijail's two readers take in opposite ways.
    fn guarded_return(&mut self, source: usize, filter: &Filter, verdict: Verdict) -> Option<Vec<Meant>> {
        let dialect = match (verdict, self.dialect) {
            // The compiler has no `return` without a number.
            (Verdict::Default, _) => Dialect::Library,
            (_, Some(dialect)) => dialect,
            (_, None) => {
                let title = "minijail's compiler and its C library read this in opposite ways";
                self.findings
                    .error(Diagnostic::error(title, source, filter.span.clone(), "which is meant?").help(
                    "the compiler returns the error where the expression holds, the library where it does \
                         not; say which one the policy is for",
                ));
                return None;
            }
        };
        let meant = self.filter(source, filter)?;
        match dialect {
            Dialect::Compiler => Some(vec![meant]),
            Dialect::Library => {
                let refused = Meant {
                    condition: Folded::Unconditional,
                    action: meant.action,
                    span: meant.span.clone(),
                };
                Some(vec![Meant { action: Action::Allow, ..meant }, refused])
            }
        }
    }

    /// A filter that always applies ends the list.
    fn check_order(&mut self, source: usize, filters: &[Meant]) -> Option<()> {
        let end = filters.iter().position(|filter| matches!(filter.condition, Folded::Unconditional));
        let Some(end) = end else { return Some(()) };
        if let Some(after) = filters.get(end + 1) {
            let title = "no filter can follow one that always applies";
            self.findings.error(
                Diagnostic::error(title, source, after.span.clone(), "never reached")
                    .context(source, filters[end].span.clone(), "always applies")
                    .help("take it away, or put it before the other"),
            );
            return None;
        }
        if end > 0 && filters[end].action == Action::Allow && self.otherwise != Action::Allow {
            let title = "minijail's compiler drops the filters before a final `allow`";
            self.findings.note(
                Diagnostic::error(title, source, filters[end].span.clone(), "allows every call there")
                    .help("here they decide first, as they are written"),
            );
        }
        Some(())
    }
}

/// What a policy answers for a verdict; `None` if nothing does.
fn action(verdict: Verdict, place: &Place, default: Action, findings: &mut Findings) -> Option<Action> {
    let (source, span) = place.clone();
    match verdict {
        Verdict::Allow => Some(Action::Allow),
        Verdict::Kill => Some(KILL),
        Verdict::KillProcess => Some(Action::KillProcess),
        Verdict::KillThread => Some(Action::KillThread),
        Verdict::Trap => Some(Action::Trap),
        Verdict::Log => Some(Action::Log),
        Verdict::Default => Some(default),
        Verdict::Errno(number) => {
            let Ok(number) = u16::try_from(number) else {
                let title = format!("{number} is not an error number");
                findings.error(Diagnostic::error(title, source, span, "more than 16 bits"));
                return None;
            };
            Some(shared::errno(findings, source, span, number))
        }
        Verdict::Trace => Some(shared::handed(findings, source, span, "tracer")),
        Verdict::UserNotify => Some(shared::handed(findings, source, span, "listener")),
    }
}

/// Whether a name in `[arch=...]` is that of an architecture, as minijail's `constants.json` and the kernel have it.
fn is_arch(arch: Arch, name: &Name) -> bool {
    match arch {
        Arch::X86_64 => matches!(name.text.as_str(), "x86_64" | "amd64"),
        Arch::Aarch64 => matches!(name.text.as_str(), "arm64" | "aarch64"),
    }
}

fn unknown_call(name: &str, near: Option<&str>, arch: Arch, source: usize, span: &Span) -> Diagnostic {
    let other = match arch {
        Arch::X86_64 => Arch::Aarch64,
        Arch::Aarch64 => Arch::X86_64,
    };
    let error = |title: String, label: String| Diagnostic::error(title, source, span.clone(), label);
    if syscalls::all(other).iter().any(|call| call.name == name) {
        return error(format!("`{name}` does not exist on {arch}"), format!("a call of {other}")).help(
            format!("if the rule is for {other} alone, write `{name}[arch={}]`", minijail_name(other)),
        );
    }
    let error = error(format!("unknown call `{name}`"), format!("not a system call of {arch}"));
    match near {
        Some(near) => error.help(format!("did you mean `{near}`?")),
        None => error,
    }
}

const fn minijail_name(arch: Arch) -> &'static str {
    match arch {
        Arch::X86_64 => "x86_64",
        Arch::Aarch64 => "arm64",
    }
}
