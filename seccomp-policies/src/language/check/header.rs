//! The directives that a policy has once: role, tier, otherwise, frequency.

use std::path::PathBuf;

use super::value;
use crate::action::Action;
use crate::language::diagnostics::{Diagnostic, Source};
use crate::language::load::{Placed, joined, no_reason};
use crate::language::policy::Tier;
use crate::language::suggest;
use crate::language::syntax::{ItemKind, Name, Span};

const TIERS: [(&str, Tier); 3] =
    [("strict", Tier::Strict), ("bitmask", Tier::Bitmask), ("filter", Tier::Filter)];

/// What the directives say, as far as they are there and right.
#[derive(Default)]
pub(super) struct Header {
    pub(super) role: Option<String>,
    pub(super) role_span: Span,
    pub(super) tier: Option<Tier>,
    pub(super) tier_place: Option<(usize, Span)>,
    pub(super) otherwise: Option<Action>,
    pub(super) otherwise_place: Option<(usize, Span)>,
    pub(super) frequency: Option<PathBuf>,
}

impl Header {
    pub(super) fn complete(&self) -> Option<(String, Tier, Action)> {
        Some((self.role.clone()?, self.tier?, self.otherwise?))
    }
}

/// Reads the directives of a policy.
pub(super) fn header(items: &[Placed], sources: &[Source], findings: &mut Vec<Diagnostic>) -> Header {
    let mut header = Header::default();
    let mut seen: Vec<(&str, Span)> = Vec::new();
    for placed in items {
        let Some(directive) = directive(&placed.item.kind) else { continue };
        if let Some(problem) = misplaced(placed, directive, &seen) {
            findings.push(problem);
            continue;
        }
        seen.push((directive, placed.item.span.clone()));
        match &placed.item.kind {
            ItemKind::Role(name) => {
                header.role = Some(name.text.clone());
                header.role_span = placed.item.span.clone();
            }
            ItemKind::Tier(name) => {
                header.tier = tier(placed.source, name, findings);
                header.tier_place = Some((placed.source, placed.item.span.clone()));
            }
            ItemKind::Otherwise(verdict) => {
                header.otherwise = value::verdict(placed.source, verdict, findings);
                header.otherwise_place = Some((placed.source, placed.item.span.clone()));
            }
            ItemKind::Frequency(path) => {
                header.frequency = Some(joined(&sources[placed.source].name, &path.text).into());
            }
            _ => {}
        }
        if let Some(reason) = &placed.item.reason {
            findings.push(no_reason(directive, placed.source, reason));
        }
    }
    missing(items, &seen, &sources[0], findings);
    header
}

fn directive(kind: &ItemKind) -> Option<&'static str> {
    Some(match kind {
        ItemKind::Role(_) => "role",
        ItemKind::Tier(_) => "tier",
        ItemKind::Otherwise(_) => "otherwise",
        ItemKind::Frequency(_) => "frequency",
        ItemKind::Slot { .. } | ItemKind::Include(_) | ItemKind::Rule(_) => return None,
    })
}

fn misplaced(placed: &Placed, directive: &str, seen: &[(&str, Span)]) -> Option<Diagnostic> {
    let span = placed.item.span.clone();
    if placed.is_included() {
        let title = format!("an included file has no `{directive}`");
        return Some(
            Diagnostic::error(title, placed.source, span, "only the policy itself says this").help(
                "an included file holds slots, rules and further includes; move this line to the policy",
            ),
        );
    }
    let (_, first) = seen.iter().find(|(name, _)| *name == directive)?;
    Some(
        Diagnostic::error(format!("`{directive}` is said twice"), placed.source, span, "said again here")
            .context(0, first.clone(), "first said here")
            .help("take one of the two away"),
    )
}

/// What each required directive says, for a policy that lacks it.
const REQUIRED: [(&str, &str); 3] = [
    ("role", "`role NAME` names the threads that the policy is for"),
    ("tier", "`tier filter`, `tier bitmask` or `tier strict` says which mechanism holds the thread"),
    ("otherwise", "`otherwise trap`, `kill`, `errno NAME` or `log` says what happens to every other call"),
];

fn missing(items: &[Placed], seen: &[(&str, Span)], source: &Source, findings: &mut Vec<Diagnostic>) {
    let words = || source.text.lines().filter_map(|line| line.split_whitespace().next());
    if words().all(|word| word.starts_with('#')) {
        findings.push(
            Diagnostic::error("the policy is empty", 0, 0..0, "no directive and no rule").help(
                "begin with `role NAME`, `tier filter` and `otherwise trap`; then rules: `call: expression -- reason`",
            ),
        );
        return;
    }
    // A line that begins with the word and could not be read has its own error.
    let unread = |directive: &str| !findings.is_empty() && words().any(|word| word == directive);
    let said = |directive: &str| seen.iter().any(|(name, _)| *name == directive);
    let missing: Vec<_> =
        REQUIRED.into_iter().filter(|(directive, _)| !said(directive) && !unread(directive)).collect();
    if missing.is_empty() {
        return;
    }
    let names: Vec<_> = missing.iter().map(|(directive, _)| format!("no `{directive}`")).collect();
    let title = format!("the policy has {}", names.join(", "));
    let first = items.iter().find(|placed| !placed.is_included()).map(|placed| placed.item.span.clone());
    let mut error = Diagnostic::error(title, 0, first.unwrap_or(0..0), "the policy begins here");
    if missing.len() == REQUIRED.len() {
        error = error.help("a file that others include is checked through the policy that includes it");
    }
    findings.push(missing.into_iter().fold(error, |error, (_, help)| error.help(help)));
}

fn tier(source: usize, name: &Name, findings: &mut Vec<Diagnostic>) -> Option<Tier> {
    let found = TIERS.into_iter().find(|(text, _)| *text == name.text).map(|(_, tier)| tier);
    if found.is_none() {
        let names = TIERS.map(|(text, _)| text);
        findings.push(unknown(source, name, "tier", &names));
    }
    found
}

/// A word that is none of the known ones.
pub(super) fn unknown(source: usize, name: &Name, what: &str, known: &[&str]) -> Diagnostic {
    let title = format!("unknown {what} `{}`", name.text);
    let error = Diagnostic::error(title, source, name.span.clone(), "not one of the known ones");
    match suggest::closest(&name.text, known.iter().copied()) {
        Some(near) => error.help(format!("did you mean `{near}`?")),
        None => error.help(format!("write one of {}", suggest::list(known.iter().copied()))),
    }
}
