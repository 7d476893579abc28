//! Tokens to syntax tree, one item at a time: an error in one does not hide the next.

mod expression;

use super::diagnostics::Diagnostic;
use super::lexer::{self, Lexed, Token, TokenKind};
use super::limits::MAX_FINDINGS;
use super::lines::{ItemLines, Piece, outline};
use super::suggest;
use super::syntax::{ErrnoName, Item, ItemKind, Name, Number, RuleSyntax, Span, Verdict};

/// The words that begin a directive.
const DIRECTIVES: [&str; 6] = ["role", "tier", "otherwise", "fd", "include", "frequency"];

/// The words that a rule may begin with. No argument of a call has one of these names.
const RULE_VERDICTS: [&str; 5] = ["errno", "trap", "kill", "kill_thread", "log"];

/// Every item of a text; errors of bad ones go to `errors`.
pub(crate) fn items(text: &str, source: usize, errors: &mut Vec<Diagnostic>) -> Vec<Item> {
    let mut items = Vec::new();
    for piece in outline(text) {
        let Piece::Item(lines) = piece else { continue };
        if errors.len() > MAX_FINDINGS {
            break;
        }
        match item(text, source, &lines) {
            Ok((item, _)) => items.push(item),
            Err(error) => errors.push(error),
        }
    }
    items
}

/// One item, and its tokens with the comments at the ends of its lines.
pub(crate) fn item(text: &str, source: usize, lines: &ItemLines) -> Result<(Item, Lexed), Diagnostic> {
    if lines.orphan {
        let title = "an indented line continues the one above it, and there is none";
        return Err(Diagnostic::error(title, source, lines.lines[0].clone(), "this line is indented")
            .help("begin the line in the first column"));
    }
    let lexed = lexer::lex(text, source, lines)?;
    let Some((first, last)) = lexed.code.first().zip(lexed.code.last()) else {
        let span = lines.lines[0].clone();
        return Err(Diagnostic::error("a reason without a rule", source, span, "nothing stands before `--`")
            .help("indent the line if it goes on with the reason above"));
    };
    let span = first.span.start..last.span.end;
    let mut parser = Parser { tokens: &lexed.code, next: 0, source, end: span.end };
    let kind = parser.item()?;
    parser.expect_end()?;
    Ok((Item { kind, span, reason: lexed.reason.clone() }, lexed))
}

/// Reads the tokens of one item from left to right.
struct Parser<'a> {
    tokens: &'a [Token],
    next: usize,
    source: usize,
    /// Where the item's code ends.
    end: usize,
}

impl Parser<'_> {
    fn item(&mut self) -> Result<ItemKind, Diagnostic> {
        let word = self.name("a directive or the name of a call")?;
        let directive = DIRECTIVES.contains(&word.text.as_str());
        if self.at_symbol(":") || (self.at_word("on") && !directive) {
            return Ok(ItemKind::Rule(Box::new(self.rule(word)?)));
        }
        match word.text.as_str() {
            "role" => Ok(ItemKind::Role(self.name("the role's name")?)),
            "tier" => Ok(ItemKind::Tier(self.name("`strict`, `bitmask` or `filter`")?)),
            "otherwise" => self.otherwise(),
            "fd" => self.slot(),
            "include" => Ok(ItemKind::Include(self.quoted("include")?)),
            "frequency" => Ok(ItemKind::Frequency(self.quoted("frequency")?)),
            _ => Err(self.unknown_directive(&word)),
        }
    }

    fn unknown_directive(&self, word: &Name) -> Diagnostic {
        let error = Diagnostic::error(
            format!("`{}` is neither a directive nor a rule", word.text),
            self.source,
            word.span.clone(),
            "unknown directive",
        );
        match suggest::closest(&word.text, DIRECTIVES) {
            Some(directive) => error.help(format!("did you mean `{directive}`?")),
            None => error.help(format!(
                "a rule has a colon after the call's name: `{}: ... -- reason`; directives are {}",
                word.text,
                suggest::list(DIRECTIVES)
            )),
        }
    }

    fn otherwise(&mut self) -> Result<ItemKind, Diagnostic> {
        let word = self.name("`trap`, `kill`, `errno NAME` or `log`")?;
        let errno = if word.text == "errno" { Some(self.errno()?) } else { None };
        Ok(ItemKind::Otherwise(Verdict { word, errno }))
    }

    fn slot(&mut self) -> Result<ItemKind, Diagnostic> {
        let name = self.name("the slot's name")?;
        self.symbol("=", "`=` and a descriptor number")?;
        let first = self.number("a descriptor number")?;
        let last = if self.take_symbol("..").is_some() {
            Some(self.number("the range's last number")?)
        } else {
            None
        };
        Ok(ItemKind::Slot { name, first, last })
    }

    fn quoted(&mut self, directive: &str) -> Result<Name, Diagnostic> {
        match self.tokens.get(self.next) {
            Some(Token { kind: TokenKind::Text(text), span }) => {
                self.next += 1;
                Ok(Name { text: text.clone(), span: span.clone() })
            }
            _ => Err(self
                .unexpected("a file name in quotes")
                .help(format!("write `{directive} \"name\"`; the path is relative to this file"))),
        }
    }

    fn rule(&mut self, call: Name) -> Result<RuleSyntax, Diagnostic> {
        let arch = if self.take_word("on") { Some(self.name("`x86_64` or `aarch64`")?) } else { None };
        self.symbol(":", "`:` after the call's name")?;
        let verdict = self.verdict()?;
        if self.at_end() {
            return Ok(RuleSyntax { call, arch, verdict, expression: None });
        }
        if verdict.is_some() && !self.take_word("if") {
            return Err(self
                .unexpected("`if` and an expression, or the end of the rule")
                .help("a condition comes after `if`: `openat: errno ENOENT if dfd == AT_FDCWD`"));
        }
        let expression = Some(self.expression()?);
        Ok(RuleSyntax { call, arch, verdict, expression })
    }

    /// The verdict that a rule begins with, if it has one.
    fn verdict(&mut self) -> Result<Option<Verdict>, Diagnostic> {
        let word = match self.tokens.get(self.next) {
            Some(Token { kind: TokenKind::Word(text), span }) if RULE_VERDICTS.contains(&text.as_str()) => {
                Name { text: text.clone(), span: span.clone() }
            }
            _ => return Ok(None),
        };
        self.next += 1;
        let errno = if word.text == "errno" { Some(self.errno()?) } else { None };
        Ok(Some(Verdict { word, errno }))
    }

    fn errno(&mut self) -> Result<ErrnoName, Diagnostic> {
        if let Some(Token { kind: TokenKind::Number(number), .. }) = self.tokens.get(self.next) {
            self.next += 1;
            return Ok(ErrnoName::Numbered(number.clone()));
        }
        self.name("an error's name, as in `errno EPERM`").map(ErrnoName::Named)
    }

    fn name(&mut self, wanted: &str) -> Result<Name, Diagnostic> {
        match self.tokens.get(self.next) {
            Some(Token { kind: TokenKind::Word(text), span }) => {
                self.next += 1;
                Ok(Name { text: text.clone(), span: span.clone() })
            }
            _ => Err(self.unexpected(wanted)),
        }
    }

    fn number(&mut self, wanted: &str) -> Result<Number, Diagnostic> {
        match self.tokens.get(self.next) {
            Some(Token { kind: TokenKind::Number(number), .. }) => {
                self.next += 1;
                Ok(number.clone())
            }
            _ => Err(self.unexpected(wanted)),
        }
    }

    fn symbol(&mut self, symbol: &str, wanted: &str) -> Result<Span, Diagnostic> {
        self.take_symbol(symbol).ok_or_else(|| self.unexpected(wanted))
    }

    fn take_symbol(&mut self, symbol: &str) -> Option<Span> {
        let token = self.tokens.get(self.next).filter(|_| self.at_symbol(symbol))?;
        self.next += 1;
        Some(token.span.clone())
    }

    fn take_word(&mut self, word: &str) -> bool {
        let taken = self.at_word(word);
        self.next += usize::from(taken);
        taken
    }

    fn at_symbol(&self, symbol: &str) -> bool {
        self.symbol_ahead(0) == Some(symbol)
    }

    fn symbol_ahead(&self, ahead: usize) -> Option<&'static str> {
        match self.tokens.get(self.next + ahead)?.kind {
            TokenKind::Symbol(symbol) => Some(symbol),
            _ => None,
        }
    }

    fn at_word(&self, word: &str) -> bool {
        matches!(self.tokens.get(self.next), Some(Token { kind: TokenKind::Word(text), .. }) if text == word)
    }

    fn at_end(&self) -> bool {
        self.next == self.tokens.len()
    }

    fn expect_end(&self) -> Result<(), Diagnostic> {
        if self.at_end() {
            return Ok(());
        }
        let start = self.tokens[self.next].span.start;
        let error = Diagnostic::error(
            "this line has more than it can hold",
            self.source,
            start..self.end,
            "left over",
        );
        Err(if self.at_symbol(")") || self.at_symbol("}") {
            error.help("take it away, or open it earlier in the line")
        } else {
            error.help("tests are joined by `&&` or `||`; a reason begins with `--`, a comment with `#`")
        })
    }

    /// The next token is not what has to come here.
    fn unexpected(&self, wanted: &str) -> Diagnostic {
        match self.tokens.get(self.next) {
            Some(token) => Diagnostic::error(
                format!("expected {wanted}, found `{}`", token.kind.text()),
                self.source,
                token.span.clone(),
                format!("expected {wanted}"),
            ),
            None if self.after_operator() => {
                self.at_line_end(wanted).help("to go on in the next line, indent that line")
            }
            None => self.at_line_end(wanted),
        }
    }

    /// Whether the token before is one that joins two sides.
    fn after_operator(&self) -> bool {
        let before = self.next.checked_sub(1).and_then(|index| self.tokens.get(index));
        matches!(before, Some(Token { kind: TokenKind::Symbol("&&" | "||" | "|" | ","), .. }))
    }

    fn at_line_end(&self, wanted: &str) -> Diagnostic {
        let title = format!("expected {wanted}, found the end of the line");
        Diagnostic::error(title, self.source, self.end..self.end, format!("expected {wanted}"))
    }
}

impl TokenKind {
    fn text(&self) -> &str {
        match self {
            Self::Word(text) | Self::Text(text) => text,
            Self::Number(number) => &number.text,
            Self::Symbol(symbol) => symbol,
        }
    }
}
