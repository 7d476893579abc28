//! Syntax tree to policy: every name resolved, every constant in its width, every rule reachable.

pub(crate) mod coverage;
mod header;
mod rule;
mod scope;
mod slots;
mod tier;
mod value;

pub(super) use rule::outer;

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::diagnostics::{Diagnostic, Diagnostics, LineStarts, Severity, Source};
use super::limits::{CallRules, Limits, MAX_FINDINGS};
use super::load::{Loaded, Placed};
use super::policy::{Policy, Rule, Slot, Tier};
use super::syntax::{ItemKind, Reason, Span};
use crate::profile::Profile;
use crate::syscalls::Arch;

/// A policy that holds, and what there is to say about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// The policy.
    pub policy: Policy,
    /// Notes: open descriptors, unused slots, covered rules of included files.
    pub notes: Diagnostics,
    /// Name and text of every source: the policy itself, then includes and the profile in their order. Names are relative
    /// to the policy's folder, and [`check_sources`](super::check_sources) takes them again.
    pub sources: Vec<(String, String)>,
    /// The profile that `frequency` names, relative to the policy's folder.
    pub frequency: Option<PathBuf>,
    /// What that profile says.
    pub profile: Option<Profile>,
}

/// A rule, and where it stands.
pub(crate) struct PlacedRule {
    pub(crate) rule: Rule,
    pub(crate) source: usize,
    pub(crate) span: Span,
}

/// Checks what was loaded.
pub(crate) fn check(loaded: Loaded, arch: Arch) -> Result<Checked, Diagnostics> {
    let Loaded { sources, profile, items, errors } = loaded;
    let mut findings = errors;
    if sources.is_empty() {
        return Err(Diagnostics::first(findings, sources));
    }
    let header = header::header(&items, &sources, &mut findings);
    let slots = slots::Slots::collect(&items, &mut findings);
    let rules = checked_rules(&items, arch, &sources, &slots, &mut findings);
    if let Some(tier) = header.tier {
        tier::check(tier, &header, &items, &mut findings);
    }
    if rules.is_empty() && findings.is_empty() {
        findings.push(no_rule(&items, &header, arch));
    }
    if within_limits(&rules, &mut findings) {
        coverage::check(&rules, header.tier, &mut findings);
    }
    if header.tier == Some(Tier::Filter) {
        slots.note_unused(&mut findings);
    }
    let (errors, notes): (Vec<_>, Vec<_>) =
        findings.into_iter().partition(|finding| finding.severity == Severity::Error);
    let (Some((role, tier, otherwise)), true) = (header.complete(), errors.is_empty()) else {
        return Err(Diagnostics::first(errors, sources));
    };
    let rules = rules.into_iter().map(|placed| placed.rule).collect();
    Ok(Checked {
        policy: Policy { role, tier, otherwise, arch, slots: slots.into_slots(), rules },
        sources: sources.iter().map(|source| (source.name.clone(), source.text.clone())).collect(),
        notes: Diagnostics::first(notes, sources),
        frequency: header.frequency,
        profile,
    })
}

/// The rules that hold. Looking ends where there are far more findings than anybody reads: a suggestion for each takes
/// long.
fn checked_rules(
    items: &[Placed],
    arch: Arch,
    sources: &[Source],
    slots: &slots::Slots,
    findings: &mut Vec<Diagnostic>,
) -> Vec<PlacedRule> {
    let lines: Vec<LineStarts> = sources.iter().map(|source| LineStarts::of(&source.text)).collect();
    let mut rules = Vec::new();
    for placed in items {
        let ItemKind::Rule(syntax) = &placed.item.kind else { continue };
        if findings.len() > MAX_FINDINGS {
            break;
        }
        let (file, line) = (&sources[placed.source].name, lines[placed.source].line(placed.item.span.start));
        rules.extend(rule::rule(placed, syntax, arch, (file, line), slots, findings));
    }
    rules
}

/// Whether the rules of every call are so few and so simple that their coverage can be decided.
fn within_limits(rules: &[PlacedRule], findings: &mut Vec<Diagnostic>) -> bool {
    let limits = Limits::new();
    let mut calls: BTreeMap<u32, (CallRules, &PlacedRule)> = BTreeMap::new();
    let added = rules.iter().try_for_each(|placed| {
        let rule = &placed.rule;
        let (call, last) = calls.entry(rule.call.number).or_insert_with(|| (CallRules::new(&limits), placed));
        *last = placed;
        call.add(rule.call.name, &rule.condition, rule.action).map_err(|too_much| (too_much, placed))
    });
    let finish = |(call, last): (CallRules, _)| call.finish(name(last)).map_err(|too_much| (too_much, last));
    let Err(((title, help), placed)) = added.and_then(|()| calls.into_values().try_for_each(finish)) else {
        return true;
    };
    let label = "one too many";
    findings.push(Diagnostic::error(title, placed.source, placed.span.clone(), label).help(help));
    false
}

const fn name(placed: &PlacedRule) -> &'static str {
    placed.rule.call.name
}

/// Findings about rules that decide nothing: they never match, or earlier ones take all that they match.
pub(crate) fn undecided_rules(rules: &[PlacedRule]) -> Vec<Diagnostic> {
    let mut findings = Vec::new();
    // Without a tier, nothing is said of descriptors.
    coverage::check(rules, None, &mut findings);
    findings
}

fn no_rule(items: &[Placed], header: &header::Header, arch: Arch) -> Diagnostic {
    let elsewhere = items.iter().any(|placed| matches!(placed.item.kind, ItemKind::Rule(_)));
    let title = if elsewhere {
        format!("the policy has no rule for {arch}")
    } else {
        "the policy has no rule".to_owned()
    };
    Diagnostic::error(title, 0, header.role_span.clone(), "this role may call nothing")
        .help("add a rule, as in `exit_group: -- the role ends the process`")
}

/// The reason of an item as one line; an error if there is none.
fn reason(placed: &Placed, what: &str, findings: &mut Vec<Diagnostic>) -> Option<String> {
    let item = &placed.item;
    let text = |reason: &Reason| reason.lines.join(" ").trim().to_owned();
    match &item.reason {
        Some(reason) if !text(reason).is_empty() => Some(text(reason)),
        Some(reason) => {
            let title = format!("the {what} has an empty reason");
            findings.push(
                Diagnostic::error(title, placed.source, reason.span.clone(), "nothing stands after `--`")
                    .help("say who needs it, and what for"),
            );
            None
        }
        None => {
            let title = format!("the {what} has no reason");
            findings.push(
                Diagnostic::error(title, placed.source, item.span.end..item.span.end, "add `-- reason` here")
                    .help("say who needs it, and what for: reports and violations show it"),
            );
            None
        }
    }
}

/// Slots in ascending order.
fn ascending(mut slots: Vec<Slot>) -> Vec<Slot> {
    slots.sort_by_key(|slot| slot.first);
    slots
}
