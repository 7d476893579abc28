//! A policy and what it includes, read and parsed, in the order of the text.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::constants::Names;
use super::frequency;
use super::lexer;
use super::parser;
use super::syntax::{Rule, Statement, Verdict};
use crate::import::MAX_BYTES;
use crate::import::draft::shared_comment;
use crate::language::{Diagnostic, Name, Roots, Source, Span, roots};

/// How deep includes may nest: what minijail's compiler allows unless told otherwise. Its C library allows one level.
const MAX_DEPTH: usize = 10;

/// A place in one of the sources.
pub(super) type Place = (usize, Span);

/// A rule, the file that it stands in, and the comment that explains it.
pub(super) struct PlacedRule {
    pub(super) source: usize,
    pub(super) rule: Rule,
    pub(super) comment: Option<String>,
}

/// Everything read.
#[derive(Default)]
pub(super) struct Loaded {
    /// The policy first, then the files that it names.
    pub(super) sources: Vec<Source>,
    pub(super) rules: Vec<PlacedRule>,
    /// The last `@default`, which is the one that counts.
    pub(super) default: Option<(Verdict, Place)>,
    pub(super) denylist: Option<Place>,
    /// Calls and how often they were counted, over all frequency files.
    pub(super) counts: BTreeMap<String, u64>,
    /// Where the first frequency file is named.
    pub(super) frequency: Option<Place>,
    pub(super) errors: Vec<Diagnostic>,
}

/// Reads a policy of this text; `path` is where it lies, if in a file.
pub(super) fn load(policy: Source, path: Option<&Path>, roots: &Roots, names: &Names) -> Loaded {
    let path = path.and_then(|path| fs::canonicalize(path).ok());
    let folder = path.as_deref().and_then(Path::parent).map(Path::to_owned);
    let files = path.into_iter().map(|path| (path, None)).collect();
    let mut loader = Loader { roots, names, out: Loaded::default(), files, open: Vec::new() };
    loader.policy(policy, folder.as_deref());
    loader.out
}

struct Loader<'a> {
    roots: &'a Roots,
    names: &'a Names,
    out: Loaded,
    /// The files read, links followed, and where each is named; the policy is named nowhere.
    files: Vec<(PathBuf, Option<Place>)>,
    /// The includes that the text being read stands in, outermost first.
    open: Vec<PathBuf>,
}

impl Loader<'_> {
    fn policy(&mut self, policy: Source, folder: Option<&Path>) {
        let source = self.out.sources.len();
        let text = policy.text.clone();
        self.out.sources.push(policy);
        for statement in lexer::statements(&text, source) {
            let parsed = match statement.error {
                Some(error) => Err(error),
                None => parser::statement(&statement.tokens, source, self.names),
            };
            match parsed {
                Err(error) => self.out.errors.push(error),
                Ok(Statement::Include(path)) => self.include(&path, folder, (source, path.span.clone())),
                Ok(Statement::Frequency(path)) => self.frequency(&path, folder, (source, path.span.clone())),
                Ok(Statement::Default(verdict, span)) => self.out.default = Some((verdict, (source, span))),
                Ok(Statement::Denylist(span)) => self.out.denylist = Some((source, span)),
                Ok(Statement::Rule(rule)) => {
                    let comment = statement.comment.as_deref().map(shared_comment);
                    self.out.rules.push(PlacedRule { source, rule, comment });
                }
            }
        }
    }

    fn include(&mut self, path: &Name, folder: Option<&Path>, place: Place) {
        if self.open.len() == MAX_DEPTH {
            let title = format!("includes nest deeper than {MAX_DEPTH} files");
            self.out.errors.push(
                Diagnostic::error(title, place.0, place.1, "one level too deep")
                    .help("include the file from the policy itself"),
            );
            return;
        }
        match self.file(path, folder, &place) {
            Ok((file, policy)) => {
                self.open.push(file.clone());
                self.policy(policy, file.parent());
                self.open.pop();
            }
            Err(error) => self.out.errors.push(error),
        }
    }

    fn frequency(&mut self, path: &Name, folder: Option<&Path>, place: Place) {
        match self.file(path, folder, &place) {
            Ok((_, frequencies)) => {
                let source = self.out.sources.len();
                frequency::read(&frequencies.text, source, &mut self.out.counts, &mut self.out.errors);
                self.out.sources.push(frequencies);
                self.out.frequency.get_or_insert(place);
            }
            Err(error) => self.out.errors.push(error),
        }
    }

    /// A file that has not been read before, and its text.
    fn file(
        &mut self,
        path: &Name,
        folder: Option<&Path>,
        place: &Place,
    ) -> Result<(PathBuf, Source), Diagnostic> {
        let unreadable = |why: String| {
            let title = format!("cannot read `{}`: {why}", path.text);
            Diagnostic::error(title, place.0, place.1.clone(), "named here").help(
                "give the folder that holds it as a root; `./` is relative to this file, and `/` to a root",
            )
        };
        let file = self.roots.find(folder, &path.text).map_err(unreadable)?;
        if let Some((_, first)) = self.files.iter().find(|(known, _)| *known == file) {
            return Err(self.again(path, &file, first.clone(), place));
        }
        let text = roots::read(&file, MAX_BYTES).map_err(unreadable)?;
        self.files.push((file.clone(), Some(place.clone())));
        let source = Source { name: path.text.clone(), shown: file.display().to_string(), text };
        Ok((file, source))
    }

    /// The error for a file that was read before.
    fn again(&self, path: &Name, file: &Path, first: Option<Place>, place: &Place) -> Diagnostic {
        let error = |title: String, label: &str| Diagnostic::error(title, place.0, place.1.clone(), label);
        let circle = first.is_none() || self.open.iter().any(|open| open == file);
        let error = if circle {
            error(format!("`{}` includes itself", path.text), "this include closes a circle")
        } else {
            error(format!("`{}` is included twice", path.text), "included again here")
        };
        let error = error.help("take this include away");
        match first {
            Some((source, span)) => error.context(source, span, "first included here"),
            None => error,
        }
    }
}
