//! The outer form of a written call: a name, parentheses, and arguments between commas.

use std::ops::Range;

use crate::constants;
use crate::language::{Diagnostic, suggest};
use crate::syscalls::{Arch, Syscall, all, by_name};

/// A part of a text and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Piece<'a> {
    pub(crate) text: &'a str,
    pub(crate) span: Range<usize>,
}

impl<'a> Piece<'a> {
    /// A part without the white space around it.
    pub(super) fn new(text: &'a str, span: Range<usize>) -> Self {
        let part = &text[span.clone()];
        let start = span.start + part.len() - part.trim_start().len();
        let part = part.trim();
        Self { text: part, span: start..start + part.len() }
    }

    /// The name before `=`, if one stands there, and the rest.
    pub(super) fn named(&self) -> (Option<Self>, Self) {
        let length = self.text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(0);
        let (name, rest) = self.text.split_at(length);
        let padded = rest.trim_start();
        match padded.strip_prefix('=').filter(|value| length > 0 && !value.starts_with(['=', '>'])) {
            Some(value) => {
                let start = self.span.end - value.trim_start().len();
                let name = Self { text: name, span: self.span.start..self.span.start + length };
                (Some(name), Self { text: value.trim_start(), span: start..self.span.end })
            }
            None => (None, self.clone()),
        }
    }
}

/// A call as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Written<'a> {
    pub(crate) name: Piece<'a>,
    /// None without parentheses, and with nothing between them.
    pub(crate) arguments: Vec<Piece<'a>>,
    /// What follows the closing parenthesis.
    pub(crate) rest: &'a str,
}

impl<'a> Written<'a> {
    /// Divides a text that begins with a call.
    ///
    /// # Errors
    /// No name stands at its start, or the parenthesis is not closed.
    pub(crate) fn read(text: &'a str) -> Result<Self, Diagnostic> {
        let start = text.len() - text.trim_start().len();
        let name = &text[start..];
        let length = name.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(name.len());
        if length == 0 {
            let span = start..text.len();
            return Err(Diagnostic::error("this is no call", 0, span, "no name stands here").help(
                "write a call as in `openat(AT_FDCWD, \"/etc/passwd\", O_RDONLY)`, or its name alone",
            ));
        }
        let end = start + length;
        let name = Piece { text: &text[start..end], span: start..end };
        let rest = &text[end..];
        let Some(inner) = rest.trim_start().strip_prefix('(') else {
            return Ok(Self { name, arguments: Vec::new(), rest });
        };
        let open = text.len() - inner.len();
        let Some((arguments, end)) = divide(text, open) else {
            return Err(Diagnostic::error("unclosed parenthesis", 0, open - 1..open, "opened here")
                .help("write the closing `)` after the last argument"));
        };
        Ok(Self { name, arguments, rest: &text[end..] })
    }
}

/// The arguments after an opening parenthesis, and where the text goes on behind the closing one.
fn divide(text: &str, open: usize) -> Option<(Vec<Piece<'_>>, usize)> {
    let bytes = text.as_bytes();
    let (mut at, mut start, mut depth) = (open, open, 0_usize);
    let mut pieces = Vec::new();
    loop {
        match *bytes.get(at)? {
            b'"' => at = after_string(text, at)? - 1,
            b'/' if bytes.get(at + 1) == Some(&b'*') => at += text[at..].find("*/")? + 1,
            b'<' if is_decoration(bytes, at) => at += text[at..].find(is_decorations_end(text, at))?,
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' if depth > 0 => depth -= 1,
            b')' => break,
            b',' if depth == 0 => {
                pieces.push(Piece::new(text, start..at));
                start = at + 1;
            }
            _ => {}
        }
        at += 1;
    }
    let last = Piece::new(text, start..at);
    if !(pieces.is_empty() && last.text.is_empty()) {
        pieces.push(last);
    }
    Some((pieces, at + 1))
}

/// Where the text goes on after a string that begins at `at`; `None` if it is not closed.
fn after_string(text: &str, at: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut next = at + 1;
    loop {
        match bytes.get(next)? {
            b'"' => return Some(next + 1),
            b'\\' => next += 2,
            _ => next += 1,
        }
    }
}

/// Whether `<` begins what `strace -y` says of a descriptor, as in `3</etc/passwd>`; `1<<20` is a number.
fn is_decoration(bytes: &[u8], at: usize) -> bool {
    let follows_value = at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_');
    follows_value && bytes.get(at + 1) != Some(&b'<')
}

/// What closes such words. They hold `->` where a socket is connected.
fn is_decorations_end(text: &str, at: usize) -> &'static str {
    if text[at..].starts_with("<TCP") || text[at..].starts_with("<UDP") || text[at..].starts_with("<UNIX") {
        "]>"
    } else {
        ">"
    }
}

/// The kernel's name of an argument that `strace` calls otherwise.
pub(super) fn kernels_name<'a>(call: &Syscall, name: &'a str) -> &'a str {
    match (call.name, name) {
        ("clone", "flags") => "clone_flags",
        ("clone", "child_stack") => "newsp",
        ("clone", "parent_tid") => "parent_tidptr",
        ("clone", "child_tid") => "child_tidptr",
        _ => name,
    }
}

/// The error for a name that is no call's, without a suggestion.
pub(super) fn no_such_call(name: &Piece<'_>, arch: Arch) -> Diagnostic {
    let error = |title, text| Diagnostic::error(title, 0, name.span.clone(), text);
    let other = [Arch::X86_64, Arch::Aarch64].into_iter().find(|other| by_name(*other, name.text).is_some());
    if let Some(other) = other {
        let title = format!("`{}` does not exist on {arch}", name.text);
        return error(title, format!("a call of {other}")).help(format!("ask with `--target {other}`"));
    }
    error(format!("unknown call `{}`", name.text), "no call of the kernel".to_owned())
}

/// The same with what may be meant; looking for that takes long.
pub(super) fn unknown_call(name: &Piece<'_>, arch: Arch) -> Diagnostic {
    let error = no_such_call(name, arch);
    if !error.help.is_empty() {
        return error;
    }
    match suggest::closest(name.text, all(arch).iter().map(|call| call.name)) {
        Some(near) => error.help(format!("did you mean `{near}`?")),
        None => error.help("calls have the kernel's names; a number does as well, as in `471(0x1)`"),
    }
}

/// The error for a name that is no argument's.
pub(super) fn unknown_argument(name: &Piece<'_>, call: &Syscall) -> Diagnostic {
    let title = format!("`{}` has no argument `{}`", call.name, name.text);
    let error = Diagnostic::error(title, 0, name.span.clone(), "unknown argument");
    let arguments = || call.arguments.iter().map(|argument| argument.name);
    match suggest::closest(name.text, arguments()) {
        Some(near) => error.help(format!("did you mean `{near}`?")),
        None if call.arguments.is_empty() => error.help("it takes none"),
        None => error.help(format!("the arguments of `{}` are {}", call.name, suggest::list(arguments()))),
    }
}

/// The error for a name that is no constant's.
pub(super) fn unknown_constant(name: &Piece<'_>, arch: Arch) -> Diagnostic {
    let error =
        Diagnostic::error(format!("unknown constant `{}`", name.text), 0, name.span.clone(), "not known");
    match suggest::closest(name.text, constants::names(arch)) {
        Some(near) => error.help(format!("did you mean `{near}`?")),
        None => error.help("give the number, or `?` for any value"),
    }
}
