//! Statements from tokens.
//!
//! The grammar is that of minijail's policy compiler (`tools/parser.py`), with the one form that its C library
//! (`syscall_filter.c`) alone knows: `return` without a number.

use super::constants::Names;
use super::lexer::{Kind, Token};
use super::syntax::{Descriptor, Filter, Rule, Statement, Verdict};
use crate::language::{Diagnostic, Name, Span};

/// The tokens of one statement, and how far they are read.
pub(super) struct Parser<'a> {
    pub(super) tokens: &'a [Token<'a>],
    pub(super) at: usize,
    pub(super) source: usize,
    pub(super) names: &'a Names,
}

/// Reads a statement; `tokens` is not empty.
pub(super) fn statement(tokens: &[Token], source: usize, names: &Names) -> Result<Statement, Diagnostic> {
    let mut parser = Parser { tokens, at: 0, source, names };
    let statement = match tokens[0].kind {
        Kind::Directive => parser.directive()?,
        _ => Statement::Rule(parser.rule()?),
    };
    match parser.peek() {
        None => Ok(statement),
        Some(extra) => Err(parser.wrong(extra, "nothing is expected here", "one token too many")),
    }
}

impl<'a> Parser<'a> {
    fn directive(&mut self) -> Result<Statement, Diagnostic> {
        let word = self.next("a statement")?;
        match word.text {
            "@include" => Ok(Statement::Include(self.path("@include")?)),
            "@frequency" => Ok(Statement::Frequency(self.path("@frequency")?)),
            "@denylist" => Ok(Statement::Denylist(word.span.clone())),
            "@default" => {
                let (verdict, span) = self.verdict()?;
                Ok(Statement::Default(verdict, span))
            }
            other => Err(self
                .wrong(word, &format!("unknown statement `{other}`"), "not minijail's")
                .help("statements are `@include`, `@frequency`, `@default` and `@denylist`")),
        }
    }

    fn path(&mut self, directive: &str) -> Result<Name, Diagnostic> {
        let token = self.next("a path")?;
        if token.kind != Kind::Path {
            let title = format!("`{directive}` needs a path");
            return Err(self
                .wrong(token, &title, "not a path")
                .help("a path begins with `/`, or with `./` if it is relative to this file"));
        }
        Ok(name(token))
    }

    fn rule(&mut self) -> Result<Rule, Diagnostic> {
        let start = self.tokens[self.at].span.start;
        let calls =
            if self.at_symbol("{") { self.braced(Self::descriptor)? } else { vec![self.descriptor()?] };
        self.symbol(":")?;
        let braces = self.at_symbol("{");
        let filters = if braces { self.braced(Self::filter)? } else { vec![self.filter()?] };
        Ok(Rule { calls, filters, braces, span: start..self.end() })
    }

    /// `{ ITEM, ITEM }`
    fn braced<T>(&mut self, item: fn(&mut Self) -> Result<T, Diagnostic>) -> Result<Vec<T>, Diagnostic> {
        let open = self.symbol("{")?;
        let mut items = vec![item(self)?];
        while self.take(",") {
            items.push(item(self)?);
        }
        self.close("}", open)?;
        Ok(items)
    }

    fn descriptor(&mut self) -> Result<Descriptor, Diagnostic> {
        let token = self.next("a call's name")?;
        if token.kind != Kind::Word {
            return Err(self
                .wrong(token, "a rule begins with a call's name", "not a name")
                .help("as in `read: allow` or `ioctl: arg1 == 0x5401`"));
        }
        let arches = if self.at_symbol("[") { self.metadata()? } else { None };
        Ok(Descriptor { name: name(token), arches })
    }

    /// `[arch=A,B; KEY=...]`: minijail's compiler looks at `arch` alone, and so do we, but say so.
    fn metadata(&mut self) -> Result<Option<Vec<Name>>, Diagnostic> {
        let open = self.symbol("[")?;
        let mut arches = None;
        loop {
            let key = self.next("a key")?;
            if key.text != "arch" || arches.is_some() {
                let title = format!("`{}` cannot be used here", key.text);
                return Err(self.wrong(key, &title, "this key").help("write `[arch=x86_64,arm64]`, once"));
            }
            self.symbol("=")?;
            let mut values = vec![self.architecture()?];
            while self.take(",") {
                values.push(self.architecture()?);
            }
            arches = Some(values);
            if !self.take(";") {
                break;
            }
        }
        self.close("]", open)?;
        Ok(arches)
    }

    fn architecture(&mut self) -> Result<Name, Diagnostic> {
        let token = self.next("an architecture")?;
        match token.kind {
            Kind::Word => Ok(name(token)),
            _ => Err(self.wrong(token, "an architecture is expected", "not a name")),
        }
    }

    fn filter(&mut self) -> Result<Filter, Diagnostic> {
        let start = self.peek().map_or(self.end(), |token| token.span.start);
        let expression = if self.at_argument() { Some(self.expression()?) } else { None };
        let verdict = match &expression {
            Some(_) if !self.take(";") => None,
            _ => Some(self.verdict()?),
        };
        Ok(Filter { expression, verdict, span: start..self.end() })
    }

    fn at_argument(&self) -> bool {
        let known =
            ["allow", "kill", "kill-process", "kill-thread", "trap", "trace", "log", "user-notify", "return"];
        // A word that is no action is taken for an argument, since expressions are what people misspell.
        self.peek().is_some_and(|token| token.kind == Kind::Word && !known.contains(&token.text))
    }

    fn verdict(&mut self) -> Result<(Verdict, Span), Diagnostic> {
        let token = self.next("an action")?;
        let verdict = match (token.kind, token.text) {
            (Kind::Word, "allow") => Verdict::Allow,
            (Kind::Word, "kill") => Verdict::Kill,
            (Kind::Word, "kill-process") => Verdict::KillProcess,
            (Kind::Word, "kill-thread") => Verdict::KillThread,
            (Kind::Word, "trap") => Verdict::Trap,
            (Kind::Word, "trace") => Verdict::Trace,
            (Kind::Word, "log") => Verdict::Log,
            (Kind::Word, "user-notify") => Verdict::UserNotify,
            (Kind::Word, "return") => self.returned()?,
            (Kind::Number, text) if super::value::number(text).is_ok_and(|value| value == 1) => {
                Verdict::Allow
            }
            _ => return Err(self.no_verdict(token)),
        };
        Ok((verdict, token.span.start..self.end()))
    }

    fn no_verdict(&self, token: &Token) -> Diagnostic {
        let title = format!("`{}` is no action", token.text);
        self.wrong(token, &title, "an action is expected").help(
            "actions are `allow` (or `1`), `return ERRNO`, `kill`, `kill-process`, `kill-thread`, `trap`, `log`, \
             `trace` and `user-notify`",
        )
    }

    fn returned(&mut self) -> Result<Verdict, Diagnostic> {
        match self.peek() {
            Some(token) if matches!(token.kind, Kind::Word | Kind::Number) => {
                let value = self.constant_token()?;
                Ok(Verdict::Errno(value))
            }
            _ => Ok(Verdict::Default),
        }
    }

    pub(super) fn peek(&self) -> Option<&'a Token<'a>> {
        self.tokens.get(self.at)
    }

    pub(super) fn next(&mut self, expected: &str) -> Result<&'a Token<'a>, Diagnostic> {
        let Some(token) = self.peek() else {
            let end = self.end();
            let title = format!("{expected} is missing");
            return Err(Diagnostic::error(title, self.source, end..end, "the statement ends here"));
        };
        self.at += 1;
        Ok(token)
    }

    pub(super) fn at_symbol(&self, symbol: &str) -> bool {
        self.peek().is_some_and(|token| token.is_symbol(symbol))
    }

    pub(super) fn take(&mut self, symbol: &str) -> bool {
        let found = self.at_symbol(symbol);
        self.at += usize::from(found);
        found
    }

    fn symbol(&mut self, symbol: &str) -> Result<Span, Diagnostic> {
        let token = self.next(&format!("`{symbol}`"))?;
        if token.is_symbol(symbol) {
            return Ok(token.span.clone());
        }
        Err(self.wrong(token, &format!("`{symbol}` is expected"), "found this"))
    }

    pub(super) fn close(&mut self, symbol: &str, open: Span) -> Result<(), Diagnostic> {
        self.symbol(symbol)
            .map(|_| ())
            .map_err(|error| error.context(self.source, open, format!("`{symbol}` closes this")))
    }

    /// Where the last token ends that was read.
    pub(super) fn end(&self) -> usize {
        self.tokens[self.at.saturating_sub(1)].span.end
    }

    pub(super) fn wrong(&self, token: &Token, title: &str, label: &str) -> Diagnostic {
        Diagnostic::error(title, self.source, token.span.clone(), label)
    }
}

pub(super) fn name(token: &Token) -> Name {
    Name { text: token.text.to_owned(), span: token.span.clone() }
}
