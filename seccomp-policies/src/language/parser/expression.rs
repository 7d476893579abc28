//! Expressions: `||` binds least, then `&&`, then `!`.

use super::Parser;
use crate::language::diagnostics::Diagnostic;
use crate::language::lexer::{Token, TokenKind};
use crate::language::policy::Width;
use crate::language::syntax::{Comparator, Comparison, Expression, Name, Span, Term, TestSyntax, Value};

/// How deep parentheses and `!` may nest: enough for any policy, and no danger to the stack.
const MAX_DEPTH: usize = 64;

impl Parser<'_> {
    pub(super) fn expression(&mut self) -> Result<Expression, Diagnostic> {
        self.any(0)
    }

    fn any(&mut self, depth: usize) -> Result<Expression, Diagnostic> {
        let mut parts = vec![self.all(depth)?];
        while self.take_symbol("||").is_some() {
            parts.push(self.all(depth)?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Expression::Or(parts) })
    }

    fn all(&mut self, depth: usize) -> Result<Expression, Diagnostic> {
        let mut parts = vec![self.unary(depth)?];
        while self.take_symbol("&&").is_some() {
            parts.push(self.unary(depth)?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Expression::And(parts) })
    }

    fn unary(&mut self, depth: usize) -> Result<Expression, Diagnostic> {
        if depth == MAX_DEPTH {
            let title = format!("the expression nests deeper than {MAX_DEPTH} levels");
            let start = self.tokens.get(self.next).map_or(self.end, |token| token.span.start);
            return Err(Diagnostic::error(title, self.source, start..self.end, "from here on")
                .help("write several rules for the call; they are alternatives"));
        }
        if let Some(span) = self.take_symbol("!") {
            let inner = self.unary(depth + 1)?;
            if matches!(inner, Expression::Test(_)) {
                return Err(Diagnostic::error("`!` needs parentheses", self.source, span, "this negation")
                    .help(format!("write `!({inner})`, or turn the comparison around")));
            }
            return Ok(Expression::Not(Box::new(inner)));
        }
        // `(arg & MASK)` is the left side of a test, every other parenthesis holds an expression.
        if self.at_symbol("(") && !self.at_masked_argument() {
            let open = self.symbol("(", "`(`")?;
            let inner = self.any(depth + 1)?;
            self.close(")", open)?;
            return Ok(Expression::Group(Box::new(inner)));
        }
        self.test().map(Expression::Test)
    }

    fn close(&mut self, symbol: &str, open: Span) -> Result<Span, Diagnostic> {
        if let Some(span) = self.take_symbol(symbol) {
            return Ok(span);
        }
        if self.at_end() {
            let kind = if symbol == ")" { "parenthesis" } else { "brace" };
            return Err(Diagnostic::error(format!("unclosed {kind}"), self.source, open, "opened here")
                .help(format!("write the closing `{symbol}`; a rule that goes on in the next line has that line indented")));
        }
        Err(self.unexpected(&format!("`{symbol}`")).context(self.source, open, "opened here"))
    }

    fn test(&mut self) -> Result<TestSyntax, Diagnostic> {
        let start = self.tokens.get(self.next).map_or(self.end, |token| token.span.start);
        if self.at_constant() {
            return Err(self.constant_on_the_left(start));
        }
        let open = self.take_symbol("(");
        let argument = self.name("an argument's name")?;
        let width = self.width()?;
        let mask = match open {
            Some(open) => {
                self.symbol("&", "`&`")?;
                let mask = self.value()?;
                self.close(")", open)?;
                Some(mask)
            }
            None => None,
        };
        if mask.is_none() && self.at_symbol("&") {
            return Err(self.bare_mask(&argument));
        }
        let comparison = self.comparison(&argument, mask.as_ref())?;
        Ok(TestSyntax { argument, width, mask, comparison, span: start..self.previous_end() })
    }

    /// Whether the parenthesis that comes next opens `(arg & MASK)`.
    fn at_masked_argument(&self) -> bool {
        let after_type = if self.symbol_ahead(2) == Some(":") { 4 } else { 2 };
        self.symbol_ahead(after_type) == Some("&")
    }

    /// How many bits are compared, where the test says so: `:u32` or `:u64` after the argument.
    fn width(&mut self) -> Result<Option<Width>, Diagnostic> {
        if self.take_symbol(":").is_none() {
            return Ok(None);
        }
        let name = self.name("`u32` or `u64`")?;
        let known = [Width::Bits32, Width::Bits64].into_iter().find(|width| width.type_name() == name.text);
        known.map(Some).ok_or_else(|| {
            let title = format!("unknown type `{}`", name.text);
            Diagnostic::error(title, self.source, name.span, "how many bits are compared")
                .help("write `u32` for the lower half of the register, `u64` for the whole of it")
        })
    }

    fn previous_end(&self) -> usize {
        self.tokens[self.next - 1].span.end
    }

    fn comparison(&mut self, argument: &Name, mask: Option<&Value>) -> Result<Comparison, Diagnostic> {
        if mask.is_none() && self.take_word("in") {
            return self.membership();
        }
        let Some((operator, operator_span)) = self.operator() else {
            return Err(self.missing_operator(argument, mask));
        };
        if mask.is_some() && operator.is_ordered() {
            let title = format!("`{}` cannot compare masked bits", operator.text());
            return Err(Diagnostic::error(title, self.source, operator_span, "only `==` and `!=` can")
                .help("compare the bits with `==` or `!=`"));
        }
        let value = self.value()?;
        Ok(Comparison::Compare { operator, operator_span, value })
    }

    fn operator(&mut self) -> Option<(Comparator, Span)> {
        Comparator::ALL.into_iter().find_map(|operator| Some((operator, self.take_symbol(operator.text())?)))
    }

    fn missing_operator(&self, argument: &Name, mask: Option<&Value>) -> Diagnostic {
        let argument = &argument.text;
        if let (Some(mask), true) = (mask, self.at_end() || self.at_symbol("&&") || self.at_symbol("||")) {
            return self
                .unexpected("`==` or `!=` after the mask")
                .help(format!("if any of these bits may be set, write `({argument} & {mask}) != 0`"));
        }
        let wanted = if mask.is_some() { "`==` or `!=`" } else { "a comparison" };
        let error = self.unexpected(wanted);
        if self.at_symbol("=") {
            return error.help("equality is written `==`");
        }
        error.help(format!("compare it with a constant, as in `{argument} == 0`"))
    }

    /// `arg & MASK == VALUE`, which C reads as `arg & (MASK == VALUE)`.
    fn bare_mask(&mut self, argument: &Name) -> Diagnostic {
        let operator = self.tokens[self.next].span.clone();
        self.next += 1;
        let error = Diagnostic::error("a mask needs parentheses", self.source, operator, "this mask");
        match self.value() {
            Ok(mask) => {
                let rest = match self.operator() {
                    Some((operator, _)) => format!("{} {}", operator.text(), self.value_or_dots()),
                    None => "!= 0".to_owned(),
                };
                error.help(format!("write `({} & {mask}) {rest}`", argument.text))
            }
            Err(_) => error.help(format!("write `({} & MASK) == VALUE`", argument.text)),
        }
    }

    fn value_or_dots(&mut self) -> String {
        self.value().map_or_else(|_| "...".to_owned(), |value| value.to_string())
    }

    fn membership(&mut self) -> Result<Comparison, Diagnostic> {
        if self.at_symbol("~") {
            return Ok(Comparison::InBits { mask: self.value()? });
        }
        if self.take_symbol("@").is_some() {
            return Ok(Comparison::InSlots { slot: self.name("a slot's name")? });
        }
        let Some(open) = self.take_symbol("{") else {
            return Err(self
                .unexpected("a set after `in`")
                .help("write `in {A, B}`, `in @slots`, or `in ~MASK` for no bit outside MASK"));
        };
        let mut members = Vec::new();
        while !self.at_symbol("}") {
            members.push(self.value()?);
            if self.take_symbol(",").is_none() {
                break;
            }
        }
        let close = self.close("}", open.clone())?;
        Ok(Comparison::OneOf { members, span: open.start..close.end })
    }

    /// Constants or-ed by `|`; after `~`, parentheses may stand around them.
    fn value(&mut self) -> Result<Value, Diagnostic> {
        let start = self.tokens.get(self.next).map_or(self.end, |token| token.span.start);
        let complement = self.take_symbol("~").is_some();
        let open = if complement { self.take_symbol("(") } else { None };
        let mut terms = vec![self.term()?];
        while self.take_symbol("|").is_some() {
            terms.push(self.term()?);
        }
        if let Some(open) = open {
            self.close(")", open)?;
        }
        Ok(Value { terms, complement, span: start..self.previous_end() })
    }

    fn term(&mut self) -> Result<Term, Diagnostic> {
        if let Some(minus) = self.take_symbol("-") {
            let number = self.number("a number after `-`")?;
            let span = minus.start..number.span.end;
            return Ok(Term::Negative(number, span));
        }
        if let Some(at) = self.take_symbol("@") {
            let slot = self.name("a slot's name")?;
            return Ok(Term::Slot(Name { text: slot.text, span: at.start..slot.span.end }));
        }
        if let Some(Token { kind: TokenKind::Number(number), .. }) = self.tokens.get(self.next) {
            self.next += 1;
            return Ok(Term::Number(number.clone()));
        }
        self.name("a constant").map(Term::Constant)
    }

    /// Whether the next token can only be a constant.
    fn at_constant(&self) -> bool {
        let number = matches!(self.tokens.get(self.next), Some(Token { kind: TokenKind::Number(_), .. }));
        number || self.at_symbol("-") || self.at_symbol("@")
    }

    fn constant_on_the_left(&mut self, start: usize) -> Diagnostic {
        let Ok(constant) = self.value() else { return self.unexpected("an argument's name") };
        let title = "the constant stands on the left";
        match (self.operator(), self.name("an argument's name")) {
            (Some((operator, _)), Ok(argument)) => {
                let help = format!("write `{} {} {constant}`", argument.text, operator.turned().text());
                Diagnostic::error(title, self.source, start..argument.span.end, "arguments come first")
                    .help(help)
            }
            _ => Diagnostic::error(title, self.source, start..constant.span.end, "arguments come first")
                .help("a test is an argument, a comparison and a constant: `fd == 3`"),
        }
    }
}
