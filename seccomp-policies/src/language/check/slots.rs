//! Descriptor slots: `fd NAME = FIRST..LAST`.

use std::cell::Cell;

use super::{ascending, reason};
use crate::language::diagnostics::Diagnostic;
use crate::language::load::Placed;
use crate::language::policy::Slot;
use crate::language::suggest;
use crate::language::syntax::{ItemKind, Name, Number, Span};

/// The highest descriptor that a process can have: `NR_OPEN`, Linux `fs/file.c` (`sysctl_nr_open`), less one.
const HIGHEST_DESCRIPTOR: u64 = 1024 * 1024 - 1;

struct Defined {
    slot: Slot,
    source: usize,
    span: Span,
    used: Cell<bool>,
}

/// The slots of a policy.
#[derive(Default)]
pub(super) struct Slots(Vec<Defined>);

impl Slots {
    /// Reads every `fd` line.
    pub(super) fn collect(items: &[Placed], findings: &mut Vec<Diagnostic>) -> Self {
        let mut slots = Self::default();
        for placed in items {
            let ItemKind::Slot { name, first, last } = &placed.item.kind else { continue };
            let reason = reason(placed, "slot", findings);
            let Some((first, last)) = range(placed.source, name, first, last.as_ref(), findings) else {
                continue;
            };
            let slot = Slot { name: name.text.clone(), first, last, reason: reason.unwrap_or_default() };
            let span = placed.item.span.clone();
            match slots.conflict(&slot, placed.source, &span) {
                Some(problem) => findings.push(problem),
                None => slots.0.push(Defined { slot, source: placed.source, span, used: Cell::new(false) }),
            }
        }
        slots
    }

    fn conflict(&self, slot: &Slot, source: usize, span: &Span) -> Option<Diagnostic> {
        let error = |title: String| Diagnostic::error(title, source, span.clone(), "defined again here");
        if let Some(first) = self.0.iter().find(|defined| defined.slot.name == slot.name) {
            return Some(
                error(format!("slot `{}` is defined twice", slot.name))
                    .context(first.source, first.span.clone(), "first defined here")
                    .help("give one of the two another name, or one range: `fd name = 4..6`"),
            );
        }
        let other = self
            .0
            .iter()
            .find(|defined| slot.first <= defined.slot.last && defined.slot.first <= slot.last)?;
        let shared = slot.first.max(other.slot.first);
        Some(
            error(format!("slots `{}` and `{}` share descriptor {shared}", other.slot.name, slot.name))
                .context(other.source, other.span.clone(), "taken here")
                .help(format!(
                    "the lowest number free after it is {}",
                    self.lowest_free_after(other.slot.last)
                )),
        )
    }

    fn lowest_free_after(&self, descriptor: u32) -> u32 {
        let mut free = descriptor + 1;
        while let Some(taken) =
            self.0.iter().find(|defined| (defined.slot.first..=defined.slot.last).contains(&free))
        {
            free = taken.slot.last + 1;
        }
        free
    }

    /// The slot of this name, which counts as used from now on.
    pub(super) fn find(&self, name: &str) -> Option<&Slot> {
        let found = self.0.iter().find(|defined| defined.slot.name == name)?;
        found.used.set(true);
        Some(&found.slot)
    }

    /// The error for a name that no slot has.
    pub(super) fn unknown(&self, source: usize, name: &Name) -> Diagnostic {
        let names = || self.0.iter().map(|defined| defined.slot.name.as_str());
        let title = format!("unknown slot `@{}`", name.text);
        let error = Diagnostic::error(title, source, name.span.clone(), "no `fd` line defines it");
        match suggest::closest(&name.text, names()) {
            Some(near) => error.help(format!("did you mean `@{near}`?")),
            None if self.0.is_empty() => {
                error.help(format!("define it: `fd {} = 3 -- what it is`", name.text))
            }
            None => error.help(format!("slots of this policy: {}", suggest::list(names()))),
        }
    }

    /// Notes on slots that no rule names.
    pub(super) fn note_unused(&self, findings: &mut Vec<Diagnostic>) {
        for defined in self.0.iter().filter(|defined| !defined.used.get()) {
            let title = format!("no rule names the slot `{}`", defined.slot.name);
            findings.push(
                Diagnostic::error(title, defined.source, defined.span.clone(), "held, and never tested")
                    .help(format!(
                        "pin a rule to it, as in `fd == @{}`, or take the slot away",
                        defined.slot.name
                    ))
                    .into_note(),
            );
        }
    }

    /// The slots, ascending.
    pub(super) fn into_slots(self) -> Vec<Slot> {
        ascending(self.0.into_iter().map(|defined| defined.slot).collect())
    }
}

fn range(
    source: usize,
    name: &Name,
    first: &Number,
    last: Option<&Number>,
    findings: &mut Vec<Diagnostic>,
) -> Option<(u32, u32)> {
    let last = last.unwrap_or(first);
    if let Some(high) = [first, last].into_iter().find(|number| number.value > HIGHEST_DESCRIPTOR) {
        let title = format!("slot `{}` is beyond the highest descriptor", name.text);
        findings.push(
            Diagnostic::error(title, source, high.span.clone(), "no descriptor has this number")
                .help(format!("Linux gives out 0 to {HIGHEST_DESCRIPTOR}")),
        );
        return None;
    }
    if last.value < first.value {
        let title = format!("the range of slot `{}` descends", name.text);
        let span = first.span.start..last.span.end;
        findings.push(
            Diagnostic::error(title, source, span, "ends before it begins")
                .help(format!("write `{}..{}`; both ends belong to it", last.text, first.text)),
        );
        return None;
    }
    Some((u32::try_from(first.value).ok()?, u32::try_from(last.value).ok()?))
}
