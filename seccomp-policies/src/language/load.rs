//! A policy and everything that it includes, read and parsed, in the order of the text.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::diagnostics::{Diagnostic, Source};
use super::limits::MAX_BYTES;
use super::parser;
use super::roots::Roots;
use super::syntax::{Item, ItemKind, Name, Reason, Span};
use crate::profile::{self, Profile};

/// How deep includes may nest.
const MAX_DEPTH: usize = 8;

/// Where texts come from.
pub(crate) trait Texts {
    /// The text of the policy itself; the error says why there is none.
    fn read_policy(&self, name: &str) -> Result<String, String> {
        self.read(name)
    }
    /// The text of this name, relative to the root policy's folder; the error says why there is none.
    fn read(&self, name: &str) -> Result<String, String>;
    /// The name as messages show it.
    fn shown(&self, name: &str) -> String;
    /// The text of a file that `frequency` names, if it is to be read.
    fn read_profile(&self, name: &str) -> Result<Option<String>, String>;
}

/// A policy in its folder, and the files that it may name.
pub(crate) struct Files {
    /// The file of the policy itself, which whoever asks for it has chosen: it may be a link.
    policy: PathBuf,
    folder: PathBuf,
    /// The folder, links followed; none if it is not there.
    real: Option<PathBuf>,
    roots: Roots,
}

impl Files {
    /// A policy, which may name files of its folder and of others.
    pub(crate) fn of(policy: &Path, others: &[PathBuf]) -> Self {
        let folder = policy.parent().unwrap_or(Path::new("")).to_owned();
        let roots = Roots::new(Some(&folder), others);
        Self { policy: policy.to_owned(), real: roots.own().map(Path::to_owned), folder, roots }
    }
}

/// The name of a policy's file, by which [`load`] asks for it.
pub(crate) fn file_name(policy: &Path) -> String {
    policy.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

impl Texts for Files {
    fn read_policy(&self, _name: &str) -> Result<String, String> {
        read(&self.policy)
    }

    fn read(&self, name: &str) -> Result<String, String> {
        read(&self.roots.find(self.real.as_deref(), name)?)
    }

    fn shown(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    fn read_profile(&self, name: &str) -> Result<Option<String>, String> {
        let text = self.read(name)?;
        if text.len() > MAX_BYTES {
            return Err(format!("it is larger than {} MiB", MAX_BYTES >> 20));
        }
        Ok(Some(text))
    }
}

/// The same, the policy having been read: a pipe can be read but once.
pub(crate) struct Opened<'a> {
    pub(crate) files: Files,
    pub(crate) text: &'a str,
}

impl Texts for Opened<'_> {
    fn read_policy(&self, _name: &str) -> Result<String, String> {
        Ok(self.text.to_owned())
    }

    fn read(&self, name: &str) -> Result<String, String> {
        self.files.read(name)
    }

    fn shown(&self, name: &str) -> String {
        self.files.shown(name)
    }

    fn read_profile(&self, name: &str) -> Result<Option<String>, String> {
        self.files.read_profile(name)
    }
}

/// The text of a file; of one that is too large, enough to tell.
fn read(file: &Path) -> Result<String, String> {
    let mut text = String::new();
    let most = MAX_BYTES as u64 + 1;
    let file = fs::File::open(file).map_err(|error| reason(&error))?;
    file.take(most).read_to_string(&mut text).map_err(|error| reason(&error))?;
    Ok(text)
}

/// The system's words for an error, without its number.
fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        io::ErrorKind::InvalidData => "it is not UTF-8 text".to_owned(),
        _ => error.to_string(),
    }
}

/// Texts given by name.
pub(crate) struct Memory<'a> {
    pub(crate) sources: &'a [(&'a str, &'a str)],
}

impl Texts for Memory<'_> {
    fn read(&self, name: &str) -> Result<String, String> {
        let found = self.sources.iter().find(|(given, _)| joined("", given) == name);
        found.map(|(_, text)| (*text).to_owned()).ok_or_else(|| "no source has this name".to_owned())
    }

    fn shown(&self, name: &str) -> String {
        name.to_owned()
    }

    fn read_profile(&self, name: &str) -> Result<Option<String>, String> {
        Ok(self.read(name).ok())
    }
}

/// An item and the file that it stands in.
#[derive(Debug)]
pub(crate) struct Placed {
    pub(crate) source: usize,
    pub(crate) item: Item,
}

impl Placed {
    /// Whether another file's text brings the item in.
    pub(crate) const fn is_included(&self) -> bool {
        self.source != 0
    }
}

/// Everything read.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    /// The policy first, then what it includes and its profile.
    pub(crate) sources: Vec<Source>,
    /// What the profile says.
    pub(crate) profile: Option<Profile>,
    /// Every item but `include`, included ones in its place.
    pub(crate) items: Vec<Placed>,
    pub(crate) errors: Vec<Diagnostic>,
}

/// Reads a policy.
pub(crate) fn load(root: &str, texts: &dyn Texts) -> Loaded {
    let mut loader =
        Loader { texts, out: Loaded::default(), open: Vec::new(), included_at: Vec::new(), bytes: 0 };
    let root = joined("", root);
    match texts.read_policy(&root) {
        Ok(text) => loader.file(root, text, None),
        Err(why) => {
            let title = format!("cannot read the policy {}: {why}", texts.shown(&root));
            loader.out.errors.push(Diagnostic::unplaced(title).help("give the path of a .policy file"));
        }
    }
    loader.out
}

struct Loader<'a> {
    texts: &'a dyn Texts,
    out: Loaded,
    /// The files that the text being read stands in, outermost first.
    open: Vec<usize>,
    /// Where each file is included; `None` for the root.
    included_at: Vec<Option<(usize, Span)>>,
    /// How much has been read.
    bytes: usize,
}

impl Loader<'_> {
    fn file(&mut self, name: String, text: String, included_at: Option<(usize, Span)>) {
        let source = self.out.sources.len();
        self.bytes += text.len();
        if self.bytes > MAX_BYTES {
            self.out.errors.push(self.too_large(&name, included_at));
            return;
        }
        let items = parser::items(&text, source, &mut self.out.errors);
        self.out.sources.push(Source { shown: self.texts.shown(&name), name, text });
        self.included_at.push(included_at);
        self.open.push(source);
        for item in items {
            match &item.kind {
                ItemKind::Include(path) => self.include(source, path, item.reason.as_ref()),
                ItemKind::Frequency(path) => {
                    self.frequency(source, path);
                    self.out.items.push(Placed { source, item });
                }
                _ => self.out.items.push(Placed { source, item }),
            }
        }
        self.open.pop();
    }

    /// The error for a text that is too large, alone or with what was read before.
    fn too_large(&self, name: &str, included_at: Option<(usize, Span)>) -> Diagnostic {
        let most = format!("{} MiB, which no policy is", MAX_BYTES >> 20);
        match included_at {
            None => Diagnostic::unplaced(format!("{} is larger than {most}", self.texts.shown(name))),
            Some((source, span)) => {
                let title = format!("with `{name}` the policy is larger than {most}");
                Diagnostic::error(title, source, span, "included here").help("include less")
            }
        }
    }

    fn include(&mut self, source: usize, path: &Name, reason: Option<&Reason>) {
        if let Some(reason) = reason {
            self.out.errors.push(no_reason("include", source, reason));
        }
        let name = joined(&self.out.sources[source].name, &path.text);
        let place = (source, path.span.clone());
        if let Some(problem) = absolute(source, path).or_else(|| self.refused_include(&name, &place)) {
            self.out.errors.push(problem);
            return;
        }
        match self.texts.read(&name) {
            Ok(text) => self.file(name, text, Some(place)),
            Err(why) => self.out.errors.push(
                Diagnostic::error(format!("cannot read `{name}`: {why}"), source, place.1, "included here")
                    .help(WHERE),
            ),
        }
    }

    /// A circle, a second include of the same file, or too deep a nest.
    fn refused_include(&self, name: &str, (source, span): &(usize, Span)) -> Option<Diagnostic> {
        let error = |title: String, text: &str| Diagnostic::error(title, *source, span.clone(), text);
        let known = self.out.sources.iter().position(|known| known.name == name);
        if let Some(known) = known.filter(|known| self.open.contains(known)) {
            let error = error(format!("`{name}` includes itself"), "this include closes a circle");
            return Some(self.with_chain(error, known).help("take this include away"));
        }
        if let Some((first, span)) = known.and_then(|known| self.included_at[known].clone()) {
            return Some(
                error(format!("`{name}` is included twice"), "included again here")
                    .context(first, span, "first included here")
                    .help("take one of the two away; its rules would cover themselves"),
            );
        }
        (self.open.len() > MAX_DEPTH).then(|| {
            error(format!("includes nest deeper than {MAX_DEPTH} files"), "one level too deep")
                .help("include the file from the policy itself")
        })
    }

    /// Shows how the circle gets from `first` back to it.
    fn with_chain(&self, error: Diagnostic, first: usize) -> Diagnostic {
        let inside = self.open.iter().skip_while(|open| **open != first).skip(1);
        let places = inside.filter_map(|open| self.included_at[*open].clone());
        places.fold(error, |error, (source, span)| error.context(source, span, "through this include"))
    }

    fn frequency(&mut self, source: usize, path: &Name) {
        if let Some(problem) = absolute(source, path) {
            self.out.errors.push(problem);
            return;
        }
        let name = joined(&self.out.sources[source].name, &path.text);
        match self.texts.read_profile(&name) {
            Ok(None) => {}
            Ok(Some(text)) => {
                let source = self.out.sources.len();
                self.out.profile = profile::parse(&text, source, &mut self.out.errors);
                self.out.sources.push(Source { shown: self.texts.shown(&name), name, text });
                self.included_at.push(None);
            }
            Err(why) => {
                let title = format!("cannot read the profile `{name}`: {why}");
                self.out.errors.push(
                    Diagnostic::error(title, source, path.span.clone(), "named here")
                        .help("take a profile, or take this line away")
                        .help(WHERE),
                );
            }
        }
    }
}

/// What paths are.
const WHERE: &str = "the path is relative to the file that holds this line, and leads to a file in the policy's folder or below";

/// The error for a path that names one place of one machine.
fn absolute(source: usize, path: &Name) -> Option<Diagnostic> {
    path.text.starts_with('/').then(|| {
        let title = format!("`{}` is an absolute path", path.text);
        Diagnostic::error(title, source, path.span.clone(), "a policy names files beside it")
            .help(WHERE)
            .help("put the file there, or a copy of it")
    })
}

/// The error for a reason where none belongs.
pub(crate) fn no_reason(directive: &str, source: usize, reason: &Reason) -> Diagnostic {
    let title = format!("`{directive}` takes no reason");
    Diagnostic::error(title, source, reason.span.clone(), "only slots and rules have one")
        .help("write it as a comment, after `#`")
}

/// A path that a file gives, relative to the root policy's folder, without `.` and needless `..`.
pub(crate) fn joined(includer: &str, given: &str) -> String {
    let folder = Path::new(includer).parent().unwrap_or(Path::new(""));
    let path = folder.join(given);
    let mut parts: Vec<&str> = Vec::new();
    let root = if path.is_absolute() { "/" } else { "" };
    for part in path.to_str().unwrap_or(given).split('/').filter(|part| !part.is_empty() && *part != ".") {
        if part == ".." && parts.last().is_some_and(|last| *last != "..") {
            parts.pop();
        } else {
            parts.push(part);
        }
    }
    format!("{root}{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::joined;

    #[test]
    fn an_included_path_is_relative_to_the_file_that_includes_it() {
        assert_eq!(joined("vcpu.policy", "common.policy"), "common.policy");
        assert_eq!(joined("a/b.policy", "c.policy"), "a/c.policy");
        assert_eq!(joined("a/b.policy", "../c.policy"), "c.policy");
        assert_eq!(joined("a/b.policy", "./../../c.policy"), "../c.policy");
        assert_eq!(joined("a/b.policy", "/etc/c.policy"), "/etc/c.policy");
    }
}
