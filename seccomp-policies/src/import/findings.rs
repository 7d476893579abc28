//! What there is to say about a file that is imported.

use crate::language::{Diagnostic, Diagnostics, Policy, SHOWN, Severity, Source, closest};

use super::{Format, Imported};

/// Findings, and what to do about what cannot be expressed.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    lossy: bool,
    items: Vec<Diagnostic>,
}

impl Findings {
    /// Losses are errors, or warnings if the caller takes them.
    pub(crate) const fn new(lossy: bool) -> Self {
        Self { lossy, items: Vec::new() }
    }

    /// Whether what was found leaves the meaning of the file as it is: there are notes at most.
    pub(crate) fn is_exact(&self) -> bool {
        self.items.iter().all(|item| item.severity == Severity::Note)
    }

    /// Adds a line to the error that is shown last, if there is one: what else can be done.
    pub(crate) fn help_with_errors(&mut self, text: &str) {
        let errors = self.items.iter_mut().filter(|item| item.severity == Severity::Error);
        if let Some(last) = errors.max_by_key(|error| error.place()) {
            last.help.push(text.to_owned());
        }
    }

    pub(crate) fn error(&mut self, finding: Diagnostic) {
        self.items.push(finding);
    }

    pub(crate) fn note(&mut self, finding: Diagnostic) {
        self.items.push(finding.into_note());
    }

    /// Something that a policy cannot say.
    pub(crate) fn loss(&mut self, finding: Diagnostic) {
        self.items.push(if self.lossy { finding.into_warning() } else { finding });
    }

    /// The known name nearest to a misspelt one. Looking takes time, so that nothing is suggested beyond what is shown.
    pub(crate) fn suggestion<'a>(
        &self,
        name: &str,
        known: impl IntoIterator<Item = &'a str>,
    ) -> Option<&'a str> {
        if self.items.len() < SHOWN { closest(name, known) } else { None }
    }

    /// The policies, unless there are errors, in which case these alone count.
    pub(crate) fn finish(
        self,
        format: Format,
        policies: Vec<Policy>,
        sources: Vec<Source>,
    ) -> Result<Imported, Diagnostics> {
        let (errors, notes): (Vec<_>, Vec<_>) =
            self.items.into_iter().partition(|item| item.severity == Severity::Error);
        if errors.is_empty() {
            let notes = Diagnostics::first(notes, sources);
            return Ok(Imported { format, policies, profile: None, notes });
        }
        Err(Diagnostics::first(errors, sources))
    }
}

/// The one finding about a file that cannot be read at all.
pub(crate) fn unreadable(title: String) -> Diagnostics {
    Diagnostics::new(vec![Diagnostic::unplaced(title)], Vec::new())
}
