//! The code of an item as tokens, then its reason or its comment.

use super::diagnostics::Diagnostic;
use super::lines::{ItemLines, trimmed};
use super::syntax::{Number, Reason, Span};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TokenKind {
    Word(String),
    Number(Number),
    /// The text between the quotes.
    Text(String),
    Symbol(&'static str),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: TokenKind,
    pub(crate) span: Span,
}

/// An item's lines, divided.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lexed {
    pub(crate) code: Vec<Token>,
    /// Present when the item has `--`, even with nothing after it.
    pub(crate) reason: Option<Reason>,
    /// `# ...` at the ends of lines.
    pub(crate) comments: Vec<Span>,
}

/// Longest first, so that `<=` is not read as `<` and `=`.
const SYMBOLS: [&str; 23] = [
    "==", "!=", "<=", ">=", "&&", "||", "..", "<", ">", "&", "|", "!", "~", "(", ")", "{", "}", ",", "@",
    ":", "=", ".", "/",
];

/// Reads the lines of one item.
pub(crate) fn lex(text: &str, source: usize, item: &ItemLines) -> Result<Lexed, Diagnostic> {
    let mut out = Lexed::default();
    for line in &item.lines {
        if let Some(reason) = &mut out.reason {
            reason.lines.push(text[line.clone()].to_owned());
            reason.span.end = line.end;
        } else {
            Lexer { text, source, at: line.start, end: line.end, out: &mut out }.line()?;
        }
    }
    Ok(out)
}

struct Lexer<'a> {
    text: &'a str,
    source: usize,
    at: usize,
    end: usize,
    out: &'a mut Lexed,
}

impl Lexer<'_> {
    fn line(&mut self) -> Result<(), Diagnostic> {
        loop {
            let rest = self.rest();
            self.at += rest.len() - rest.trim_start().len();
            let rest = self.rest();
            let Some(first) = rest.chars().next() else { return Ok(()) };
            if rest.starts_with("--") {
                self.reason();
                return Ok(());
            }
            if first == '#' {
                self.out.comments.push(self.at..self.end);
                return Ok(());
            }
            let token = self.token(first)?;
            self.at = token.span.end;
            self.out.code.push(token);
        }
    }

    fn rest(&self) -> &str {
        &self.text[self.at..self.end]
    }

    fn reason(&mut self) {
        let words = trimmed(self.text, &(self.at + 2..self.end));
        let lines = vec![self.text[words].to_owned()];
        self.out.reason = Some(Reason { lines, span: self.at..self.end });
    }

    fn token(&self, first: char) -> Result<Token, Diagnostic> {
        if first.is_ascii_digit() {
            return self.number();
        }
        if first.is_ascii_alphabetic() || first == '_' {
            let word = self.take_while(|c| c.is_ascii_alphanumeric() || c == '_');
            return Ok(self.with_kind(word.len(), TokenKind::Word(word.to_owned())));
        }
        if first == '"' {
            return self.quoted();
        }
        if first == '-' {
            return Ok(self.with_kind(1, TokenKind::Symbol("-")));
        }
        let symbol = SYMBOLS.into_iter().find(|symbol| self.rest().starts_with(symbol));
        symbol.map(|symbol| self.with_kind(symbol.len(), TokenKind::Symbol(symbol))).ok_or_else(|| {
            let span = self.at..self.at + first.len_utf8();
            let title = format!("`{}` has no meaning in a policy", first.escape_debug());
            Diagnostic::error(title, self.source, span, "this character").help(
                "expressions are made of names, numbers, `== != < <= > >= & | && || ! ~ in @ ( ) { }`; words belong after `--`",
            )
        })
    }

    fn with_kind(&self, length: usize, kind: TokenKind) -> Token {
        Token { kind, span: self.at..self.at + length }
    }

    fn take_while(&self, accept: impl Fn(char) -> bool) -> &str {
        let rest = self.rest();
        &rest[..rest.find(|c| !accept(c)).unwrap_or(rest.len())]
    }

    fn quoted(&self) -> Result<Token, Diagnostic> {
        let inner = &self.rest()[1..];
        if let Some(length) = inner.find('"') {
            return Ok(self.with_kind(length + 2, TokenKind::Text(inner[..length].to_owned())));
        }
        Err(Diagnostic::error(
            "a text in quotes is not closed",
            self.source,
            self.at..self.end,
            "opened here",
        )
        .help("write the closing `\"` on the same line"))
    }

    /// Decimal, `0x` hexadecimal, or octal with a leading zero as in C.
    fn number(&self) -> Result<Token, Diagnostic> {
        let text = self.take_while(|c| c.is_ascii_alphanumeric() || c == '_').to_owned();
        let span = self.at..self.at + text.len();
        let lower = text.to_ascii_lowercase();
        let (digits, radix) = match lower.strip_prefix("0x") {
            Some(digits) => (digits, 16),
            None if lower.len() > 1 && lower.starts_with('0') => (&lower[1..], 8),
            None => (lower.as_str(), 10),
        };
        if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
            let kind = match radix {
                16 => "a hexadecimal number: `0x` and digits 0 to 9, a to f",
                8 => "an octal number: a leading `0` and digits 0 to 7",
                _ => "a decimal number: digits 0 to 9",
            };
            return Err(Diagnostic::error(
                format!("`{text}` is not a number"),
                self.source,
                span,
                "read as a number",
            )
            .help(format!("this begins like {kind}")));
        }
        match u64::from_str_radix(digits, radix) {
            Ok(value) => Ok(self.with_kind(text.len(), TokenKind::Number(Number { text, value, span }))),
            Err(_) => Err(Diagnostic::error(
                format!("`{text}` does not fit 64 bits"),
                self.source,
                span,
                "larger than any argument",
            )
            .help("the largest number is 0xffffffffffffffff")),
        }
    }
}
