//! What is wrong with a policy, where, and what to do about it.

use std::fmt;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::limits::MAX_FINDINGS;

/// How many findings are shown. Each is shown with its place in the text, so that more would take long, and help
/// nobody.
pub(crate) const SHOWN: usize = 20;

/// How much a diagnostic weighs, the heaviest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The text is not a policy.
    Error,
    /// The text is a policy, and something that it says was lost.
    Warning,
    /// The text is a policy, and there is something to know about it.
    Note,
}

/// A place in a source and what is to be said about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// Index of the source.
    pub source: usize,
    /// Bytes of its text.
    pub span: Range<usize>,
    /// Words at the underline.
    pub text: String,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How much it weighs.
    pub severity: Severity,
    /// What is wrong, in one line.
    pub title: String,
    /// The place, then other places that explain it; none only where the policy's file could not be read.
    pub labels: Vec<Label>,
    /// What to do.
    pub help: Vec<String>,
}

impl Diagnostic {
    /// An error at a place.
    pub fn error(
        title: impl Into<String>,
        source: usize,
        span: Range<usize>,
        text: impl Into<String>,
    ) -> Self {
        let labels = vec![Label { source, span, text: text.into() }];
        Self { severity: Severity::Error, title: title.into(), labels, help: Vec::new() }
    }

    /// An error without a place in any source.
    pub fn unplaced(title: impl Into<String>) -> Self {
        Self { severity: Severity::Error, title: title.into(), labels: Vec::new(), help: Vec::new() }
    }

    /// Adds a line that says what to do.
    #[must_use]
    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.help.push(text.into());
        self
    }

    /// Adds a second place.
    #[must_use]
    pub fn context(mut self, source: usize, span: Range<usize>, text: impl Into<String>) -> Self {
        self.labels.push(Label { source, span, text: text.into() });
        self
    }

    /// Where it stands among others: its source, and the byte there.
    pub(crate) fn place(&self) -> Option<(usize, usize)> {
        self.labels.first().map(|place| (place.source, place.span.start))
    }

    /// The same finding as a warning.
    #[must_use]
    pub fn into_warning(mut self) -> Self {
        self.severity = Severity::Warning;
        self
    }

    /// The same finding as a note.
    #[must_use]
    pub fn into_note(mut self) -> Self {
        self.severity = Severity::Note;
        self
    }
}

/// A text that diagnostics point into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Its name, relative to the folder of the policy that was asked for.
    pub name: String,
    /// The path that messages show.
    pub shown: String,
    /// The whole text.
    pub text: String,
}

impl Source {
    /// Line and column of a byte of the text, both from 1; the column counts characters.
    pub fn position(&self, byte: usize) -> (usize, usize) {
        let before = self.text.get(..byte).unwrap_or(&self.text);
        let line = before.rfind('\n').map_or(0, |end| end + 1);
        (before.matches('\n').count() + 1, before[line..].chars().count() + 1)
    }
}

/// Where the lines of a text begin: counting them for each place would take the square of the text's length.
pub(crate) struct LineStarts(Vec<usize>);

impl LineStarts {
    pub(crate) fn of(text: &str) -> Self {
        Self(text.match_indices('\n').map(|(end, _)| end + 1).collect())
    }

    /// The line of a byte, from 1.
    pub(crate) fn line(&self, byte: usize) -> u32 {
        u32::try_from(self.0.partition_point(|start| *start <= byte) + 1).unwrap_or(u32::MAX)
    }
}

/// Findings with the texts that they point into.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnostics {
    items: Vec<Diagnostic>,
    sources: Vec<Source>,
}

impl Diagnostics {
    /// Findings about these sources.
    pub(crate) fn new(items: Vec<Diagnostic>, sources: Vec<Source>) -> Self {
        Self { items, sources }
    }

    /// Findings in the order of the text, and how many there are beyond those that are shown: those that weigh less, or
    /// stand further down. A loss does not hide behind notes.
    pub(crate) fn first(mut items: Vec<Diagnostic>, sources: Vec<Source>) -> Self {
        items.sort_by_key(|item| (item.severity, item.place()));
        let hidden = items.split_off(SHOWN.min(items.len()));
        items.sort_by_key(Diagnostic::place);
        if let Some(first) = hidden.first() {
            let found = items.len() + hidden.len();
            // Of more findings than this, not all were looked for.
            let more = if found > MAX_FINDINGS {
                format!("more than {} more", MAX_FINDINGS - SHOWN)
            } else {
                format!("{} more", hidden.len())
            };
            let severity = first.severity;
            items.push(Diagnostic { severity, ..Diagnostic::unplaced(format!("and {more} like these")) });
        }
        Self::new(items, sources)
    }

    /// Adds one that is about no place of a text.
    pub(crate) fn add(&mut self, item: Diagnostic) {
        self.items.push(item);
    }

    /// The findings, in the order of the text.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.items.iter()
    }

    /// The texts; a label's `source` is an index of this.
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// The findings of this weight alone.
    #[must_use]
    pub fn only(&self, severity: Severity) -> Self {
        let items = self.items.iter().filter(|item| item.severity == severity).cloned().collect();
        Self { items, sources: self.sources.clone() }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Every finding with its place underlined, one after the other. `styled` adds terminal colours.
    pub fn render(&self, styled: bool) -> String {
        let renderer = if styled { Renderer::styled() } else { Renderer::plain() };
        let mut out = String::new();
        for item in &self.items {
            if !out.is_empty() {
                out.push('\n');
            }
            out.push_str(&renderer.render(&self.report(item)));
            out.push('\n');
        }
        out
    }

    /// One finding in the form that the renderer takes.
    fn report<'a>(&'a self, item: &'a Diagnostic) -> Vec<Group<'a>> {
        let level = match item.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
            Severity::Note => Level::NOTE,
        };
        let mut group = level.primary_title(item.title.as_str()).elements(self.snippets(item));
        for help in &item.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        vec![group]
    }

    /// The places of one finding, those of one source together, the finding's own source first.
    fn snippets<'a>(&'a self, item: &'a Diagnostic) -> Vec<Snippet<'a, annotate_snippets::Annotation<'a>>> {
        let kinds =
            std::iter::once(AnnotationKind::Primary).chain(std::iter::repeat(AnnotationKind::Context));
        let mut order: Vec<usize> = Vec::new();
        let mut of_source: Vec<Vec<_>> = vec![Vec::new(); self.sources.len()];
        for (kind, label) in kinds.zip(&item.labels) {
            if !order.contains(&label.source) {
                order.push(label.source);
            }
            of_source[label.source].push(kind.span(label.span.clone()).label(label.text.as_str()));
        }
        let snippet = |index: usize| {
            let source = &self.sources[index];
            Snippet::source(source.text.as_str()).path(source.shown.as_str())
        };
        order
            .into_iter()
            .map(|index| snippet(index).annotations(std::mem::take(&mut of_source[index])))
            .collect()
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Diagnostics {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_counts_lines_and_characters_from_one() {
        let text = "role r\ntier é x\n".to_owned();
        let source = Source { name: "r".to_owned(), shown: "r".to_owned(), text };
        assert_eq!(source.position(0), (1, 1));
        assert_eq!(source.position(7), (2, 1));
        assert_eq!(source.position(source.text.find('x').unwrap()), (2, 8));
        assert_eq!(source.position(source.text.len()), (3, 1));
    }
}
