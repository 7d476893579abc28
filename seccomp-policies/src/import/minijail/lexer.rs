//! A policy's text as statements: the tokens of each, and the comment that explains it.
//!
//! Tokens are those of minijail's policy compiler (`tools/parser.py`); its C library (`syscall_filter.c`) reads a part
//! of the same language, with blanks between all tokens of an expression.

use std::ops::Range;

use crate::language::Diagnostic;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A call, a constant, an argument, an action.
    Word,
    /// Digits, with what follows them at once; a minus sign may precede them.
    Number,
    /// From `/` or `./` to the next blank.
    Path,
    /// `@` and a word.
    Directive,
    Symbol,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind,
    pub(super) text: &'a str,
    pub(super) span: Range<usize>,
}

impl Token<'_> {
    pub(super) fn is_symbol(&self, symbol: &str) -> bool {
        self.kind == Kind::Symbol && self.text == symbol
    }
}

/// One line of the policy, with the lines that a backslash joins to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Statement<'a> {
    pub(super) tokens: Vec<Token<'a>>,
    /// The comments at the ends of its lines; if there are none, those directly above it.
    pub(super) comment: Option<String>,
    /// The error in place of tokens that could not be read.
    pub(super) error: Option<Diagnostic>,
}

/// Longest first, so that `<=` is not read as `<` and `=`. `!` alone has no meaning and gets a message of its own.
const SYMBOLS: [&str; 21] = [
    "||", "&&", "==", "!=", "<=", ">=", ":", ";", ",", "~", "(", ")", "{", "}", "[", "]", "|", "&", "<", ">",
    "=",
];

/// Divides a text into statements.
pub(super) fn statements(text: &str, source: usize) -> Vec<Statement<'_>> {
    let mut statements = Vec::new();
    let mut above: Vec<&str> = Vec::new();
    let mut lines = Lines { text, at: 0 };
    while let Some(first) = lines.next() {
        let mut lexer = Lexer { text, source, tokens: Vec::new(), comments: Vec::new(), error: None };
        let mut line = first;
        while lexer.line(line) {
            match lines.next() {
                Some(next) => line = next,
                None => break,
            }
        }
        let Lexer { tokens, comments, error, .. } = lexer;
        if !tokens.is_empty() || error.is_some() {
            let comments = if comments.is_empty() { &above } else { &comments };
            statements.push(Statement { tokens, comment: joined(comments), error });
            above.clear();
        } else if comments.is_empty() {
            above.clear();
        } else {
            above.extend(comments);
        }
    }
    statements
}

/// Comments as one sentence; `None` if they say nothing.
fn joined(comments: &[&str]) -> Option<String> {
    let words: Vec<&str> = comments.iter().flat_map(|comment| comment.split_whitespace()).collect();
    (!words.is_empty()).then(|| words.join(" "))
}

/// The lines of a text, without their ends.
struct Lines<'a> {
    text: &'a str,
    at: usize,
}

impl Iterator for Lines<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Self::Item> {
        let line = self.text[self.at..].split_inclusive('\n').next()?;
        let start = self.at;
        self.at += line.len();
        Some(start..start + line.trim_end_matches(['\n', '\r']).len())
    }
}

struct Lexer<'a> {
    text: &'a str,
    source: usize,
    tokens: Vec<Token<'a>>,
    comments: Vec<&'a str>,
    error: Option<Diagnostic>,
}

impl Lexer<'_> {
    /// Reads a line; whether the next one goes on with it.
    fn line(&mut self, line: Range<usize>) -> bool {
        let continues = self.text[line.clone()].ends_with('\\');
        let end = if continues { line.end - 1 } else { line.end };
        let mut at = line.start;
        while at < end && self.error.is_none() {
            let rest = &self.text[at..end];
            let blank = rest.len() - rest.trim_start().len();
            if blank > 0 {
                at += blank;
            } else if rest.starts_with('#') {
                self.comments.push(rest.trim_start_matches('#').trim());
                break;
            } else {
                at = self.token(at, end);
            }
        }
        continues
    }

    /// Reads the token at a place that is no blank; where it ends.
    fn token(&mut self, at: usize, end: usize) -> usize {
        let rest = &self.text[at..end];
        let Some((kind, length)) = recognized(rest) else {
            let character = rest.chars().next().map_or(0, char::len_utf8);
            self.error = Some(unexpected(&rest[..character], self.source, at));
            return end;
        };
        self.tokens.push(Token { kind, text: &rest[..length], span: at..at + length });
        at + length
    }
}

/// What the text begins with, and its length.
fn recognized(rest: &str) -> Option<(Kind, usize)> {
    let first = rest.chars().next()?;
    let of_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '@' | '-');
    let of_number = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let run = |from: usize, belongs: &dyn Fn(char) -> bool| {
        rest[from..].find(|c| !belongs(c)).map_or(rest.len(), |length| from + length)
    };
    let digit_at = |index: usize| rest[index..].starts_with(|c: char| c.is_ascii_digit());
    if rest.starts_with('/') || rest.starts_with("./") {
        return Some((Kind::Path, run(0, &|c| !c.is_whitespace())));
    }
    if first.is_ascii_alphabetic() || first == '_' {
        return Some((Kind::Word, run(0, &of_word)));
    }
    if digit_at(0) || first == '-' && digit_at(1) {
        return Some((Kind::Number, run(1, &of_number)));
    }
    if first == '@' && run(1, &of_word) > 1 {
        return Some((Kind::Directive, run(1, &of_word)));
    }
    let symbol = SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol))?;
    Some((Kind::Symbol, symbol.len()))
}

fn unexpected(character: &str, source: usize, at: usize) -> Diagnostic {
    let title = format!("unexpected character `{}`", character.escape_debug());
    let error = Diagnostic::error(title, source, at..at + character.len(), "no part of minijail's language");
    if character == "!" {
        return error.help("minijail has `!=` and `in ~MASK`, and no negation");
    }
    if character == "." {
        return error.help("a path begins with `/` or with `./`");
    }
    error.help("a statement is `CALL: FILTER`, `@include PATH`, `@frequency PATH` or `@default ACTION`")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(text: &str) -> Vec<String> {
        let show = |statement: &Statement| {
            let tokens: Vec<_> = statement.tokens.iter().map(|token| token.text).collect();
            let comment =
                statement.comment.as_ref().map(|comment| format!(" # {comment}")).unwrap_or_default();
            format!("{}{comment}", tokens.join(" "))
        };
        statements(text, 0).iter().map(show).collect()
    }

    #[test]
    fn a_backslash_at_the_end_joins_the_next_line() {
        assert_eq!(
            shape("ioctl: arg1 == 1 || \\\n  arg1 == 2\nread: 1\r\n"),
            ["ioctl : arg1 == 1 || arg1 == 2", "read : 1"]
        );
    }

    #[test]
    fn a_comment_explains_its_line_or_the_one_below_it() {
        assert_eq!(
            shape("# far\n\n# why\n# so\nread: 1\nwrite: 1 # here\nclose:1"),
            ["read : 1 # why so", "write : 1 # here", "close : 1"]
        );
    }

    #[test]
    fn tokens_need_no_blanks_between_them() {
        assert_eq!(
            shape("{a[arch=x,y],b@c}:{arg0&~(A|-0x1);return 2,allow}"),
            ["{ a [ arch = x , y ] , b@c } : { arg0 & ~ ( A | -0x1 ) ; return 2 , allow }"]
        );
    }
}
