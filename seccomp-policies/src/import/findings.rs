//! What there is to say about a file that is imported.

use crate::language::{Diagnostic, Diagnostics, Policy, Severity, Source, closest};

use super::{Format, Imported};

/// How many findings are shown. Each is shown with its place in the text, so that more would take long, and help
/// nobody.
const SHOWN: usize = 20;

/// No call, field or constant has a name as long as this.
const LONGEST_NAME: usize = 64;

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

    /// Whether nothing was found.
    pub(crate) const fn is_empty(&self) -> bool {
        self.items.is_empty()
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
        if self.items.len() < SHOWN && name.len() < LONGEST_NAME { closest(name, known) } else { None }
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
            return Ok(Imported { format, policies, notes: diagnostics(notes, sources) });
        }
        Err(diagnostics(errors, sources))
    }
}

/// Findings in the order of the text, and how many there are beyond those that are shown.
fn diagnostics(mut items: Vec<Diagnostic>, sources: Vec<Source>) -> Diagnostics {
    items.sort_by_key(|item| item.labels.first().map(|place| (place.source, place.span.start)));
    if items.len() > SHOWN {
        let severity = items[0].severity;
        let left = items.len() - SHOWN;
        items.truncate(SHOWN);
        items.push(Diagnostic { severity, ..Diagnostic::unplaced(format!("and {left} more like these")) });
    }
    Diagnostics::new(items, sources)
}

/// The one finding about a file that cannot be read at all.
pub(crate) fn unreadable(title: String) -> Diagnostics {
    Diagnostics::new(vec![Diagnostic::unplaced(title)], Vec::new())
}
