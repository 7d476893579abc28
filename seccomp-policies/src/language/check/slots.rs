//! Descriptor slots: `fd NAME = FIRST..LAST`.

use std::cell::Cell;

use super::{ascending, reason};
use crate::language::diagnostics::Diagnostic;
use crate::language::load::Placed;
use crate::language::policy::Slot;
use crate::language::suggest;
use crate::language::syntax::{ItemKind, Name, Number, Span};

/// The highest descriptor that a process can have: `NR_OPEN`, Linux `fs/file.c` (`sysctl_nr_open`), less one.
const HIGHEST_DESCRIPTOR: u32 = 1024 * 1024 - 1;

/// How many slots a policy may have: each is compared with every other.
const MAX_SLOTS: usize = 1024;

struct Defined {
    slot: Slot,
    source: usize,
    span: Span,
    used: Cell<bool>,
}

/// The slots of a policy.
#[derive(Default)]
pub(super) struct Slots {
    good: Vec<Defined>,
    /// Names whose definition is an error, so that their uses are no further ones.
    bad: Vec<String>,
}

impl Slots {
    /// Reads every `fd` line.
    pub(super) fn collect(items: &[Placed], findings: &mut Vec<Diagnostic>) -> Self {
        let mut slots = Self::default();
        for placed in items {
            let ItemKind::Slot { name, first, last } = &placed.item.kind else { continue };
            if slots.good.len() + slots.bad.len() == MAX_SLOTS {
                let title = format!("there are more than {MAX_SLOTS} slots");
                let span = placed.item.span.clone();
                findings.push(
                    Diagnostic::error(title, placed.source, span, "one too many")
                        .help("give descriptors of one kind a range: `fd disks = 16..31`"),
                );
                break;
            }
            let reason = reason(placed, "slot", findings).unwrap_or_default();
            match slots.defined(placed, name, (first, last.as_ref()), reason) {
                Ok(defined) => slots.good.push(defined),
                Err(problem) => {
                    findings.push(problem);
                    slots.bad.push(name.text.clone());
                }
            }
        }
        slots
    }

    fn defined(
        &self,
        placed: &Placed,
        name: &Name,
        numbers: (&Number, Option<&Number>),
        reason: String,
    ) -> Result<Defined, Diagnostic> {
        let (first, last) = range(placed.source, name, numbers.0, numbers.1.unwrap_or(numbers.0))?;
        let slot = Slot { name: name.text.clone(), first, last, reason };
        let span = placed.item.span.clone();
        match self.conflict(&slot, placed.source, &span) {
            Some(problem) => Err(problem),
            None => Ok(Defined { slot, source: placed.source, span, used: Cell::new(false) }),
        }
    }

    fn conflict(&self, slot: &Slot, source: usize, span: &Span) -> Option<Diagnostic> {
        let error = |title: String, text: String| Diagnostic::error(title, source, span.clone(), text);
        if let Some(first) = self.good.iter().find(|defined| defined.slot.name == slot.name) {
            return Some(
                error(format!("slot `{}` is defined twice", slot.name), "defined again here".to_owned())
                    .context(first.source, first.span.clone(), "first defined here")
                    .help("give one of the two another name, or one range: `fd name = 4..6`"),
            );
        }
        let shares = |defined: &&Defined| slot.first <= defined.slot.last && defined.slot.first <= slot.last;
        let other = self.good.iter().find(shares)?;
        let shared = slot.first.max(other.slot.first);
        let title = format!("slots `{}` and `{}` share descriptor {shared}", other.slot.name, slot.name);
        Some(
            error(title, format!("takes {shared} too"))
                .context(other.source, other.span.clone(), format!("takes {shared}"))
                .help(format!(
                    "the lowest number free after it is {}",
                    self.lowest_free_after(other.slot.last)
                )),
        )
    }

    fn lowest_free_after(&self, descriptor: u32) -> u32 {
        let mut free = descriptor + 1;
        while let Some(taken) =
            self.good.iter().find(|defined| (defined.slot.first..=defined.slot.last).contains(&free))
        {
            free = taken.slot.last + 1;
        }
        free
    }

    /// The slot of this name, which counts as used from now on.
    pub(super) fn find(&self, name: &str) -> Option<&Slot> {
        let found = self.good.iter().find(|defined| defined.slot.name == name)?;
        found.used.set(true);
        Some(&found.slot)
    }

    /// The error for a name that no slot has; `None` if its definition is an error already.
    pub(super) fn unknown(&self, source: usize, name: &Name) -> Option<Diagnostic> {
        if self.bad.contains(&name.text) {
            return None;
        }
        let names = || self.good.iter().map(|defined| defined.slot.name.as_str());
        let title = format!("unknown slot `@{}`", name.text);
        let error = Diagnostic::error(title, source, name.span.clone(), "no `fd` line defines it");
        Some(match suggest::closest(&name.text, names()) {
            Some(near) => error.help(format!("did you mean `@{near}`?")),
            None if self.good.is_empty() => {
                error.help(format!("define it: `fd {} = 3 -- what it is`", name.text))
            }
            None => error.help(format!("slots of this policy: {}", suggest::list(names()))),
        })
    }

    /// Notes on slots that no rule names.
    pub(super) fn note_unused(&self, findings: &mut Vec<Diagnostic>) {
        for defined in self.good.iter().filter(|defined| !defined.used.get()) {
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
        ascending(self.good.into_iter().map(|defined| defined.slot).collect())
    }
}

fn range(source: usize, name: &Name, first: &Number, last: &Number) -> Result<(u32, u32), Diagnostic> {
    let descriptor = |number: &Number| {
        let descriptor =
            u32::try_from(number.value).ok().filter(|descriptor| *descriptor <= HIGHEST_DESCRIPTOR);
        descriptor.ok_or_else(|| {
            let title = format!("slot `{}` is beyond the highest descriptor", name.text);
            Diagnostic::error(title, source, number.span.clone(), "no descriptor has this number")
                .help(format!("Linux gives out 0 to {HIGHEST_DESCRIPTOR}"))
        })
    };
    let (low, high) = (descriptor(first)?, descriptor(last)?);
    if low <= high {
        return Ok((low, high));
    }
    let title = format!("the range of slot `{}` descends", name.text);
    Err(Diagnostic::error(title, source, first.span.start..last.span.end, "ends before it begins")
        .help(format!("write `{}..{}`; both ends belong to it", last.text, first.text)))
}
