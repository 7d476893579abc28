//! Expressions over arguments, and the values that they compare with.
//!
//! Both of minijail's compilers compare the whole register, 64 bits, whatever the argument's type (`bpf.c`,
//! `tools/bpf.py`), without signs; a negative constant is two's complement.

use super::lexer::{Kind, Token};
use super::parser::Parser;
use super::syntax::{Atom, Operator};
use crate::language::{Comparator, Diagnostic};

/// How deep parentheses may nest.
const MAX_DEPTH: usize = 32;

impl Parser<'_> {
    /// Conjunctions joined by `||`.
    pub(super) fn expression(&mut self) -> Result<Vec<Vec<Atom>>, Diagnostic> {
        let mut any = vec![self.conjunction()?];
        while self.take("||") {
            any.push(self.conjunction()?);
        }
        Ok(any)
    }

    fn conjunction(&mut self) -> Result<Vec<Atom>, Diagnostic> {
        let mut all = vec![self.atom()?];
        while self.take("&&") {
            all.push(self.atom()?);
        }
        Ok(all)
    }

    fn atom(&mut self) -> Result<Atom, Diagnostic> {
        let argument = self.argument()?;
        let token = self.next("an operator")?;
        let Some(operator) = operator(token) else {
            return Err(self
                .wrong(token, &format!("`{}` is no operator", token.text), "an operator is expected")
                .help("operators are `==`, `!=`, `<`, `<=`, `>`, `>=`, `&` and `in`"));
        };
        Ok(Atom { argument, operator, value: self.value(0)? })
    }

    fn argument(&mut self) -> Result<u8, Diagnostic> {
        let token = self.next("an argument")?;
        let index = token.text.strip_prefix("arg").filter(|_| token.kind == Kind::Word);
        match index.and_then(|index| index.parse::<u8>().ok()) {
            Some(index) if index < 6 => Ok(index),
            Some(_) => Err(self
                .wrong(token, &format!("there is no `{}`", token.text), "out of range")
                .help("a call has six arguments: `arg0` to `arg5`")),
            None => Err(self
                .wrong(token, &format!("`{}` is no argument and no action", token.text), "not known")
                .help("arguments are `arg0` to `arg5`")),
        }
    }

    /// Constants joined by `|`.
    fn value(&mut self, depth: usize) -> Result<u64, Diagnostic> {
        let mut value = self.constant(depth)?;
        while self.take("|") {
            value |= self.constant(depth)?;
        }
        Ok(value)
    }

    fn constant(&mut self, depth: usize) -> Result<u64, Diagnostic> {
        let complement = self.take("~");
        let value = match self.peek() {
            Some(open) if open.is_symbol("(") => {
                if depth == MAX_DEPTH {
                    let title = format!("parentheses nest deeper than {MAX_DEPTH}");
                    return Err(self.wrong(open, &title, "one level too deep"));
                }
                self.at += 1;
                let value = self.value(depth + 1)?;
                self.close(")", open.span.clone())?;
                value
            }
            _ => self.constant_token()?,
        };
        Ok(if complement { !value } else { value })
    }

    /// A number or a name.
    pub(super) fn constant_token(&mut self) -> Result<u64, Diagnostic> {
        let token = self.next("a value")?;
        match token.kind {
            Kind::Number => number(token.text)
                .map_err(|why| self.wrong(token, &format!("`{}` is no number", token.text), why)),
            Kind::Word => self.names.value(token.text).ok_or_else(|| self.unknown(token)),
            _ => Err(self.wrong(token, "a value is expected", "found this").help(
                "values are numbers and names of constants, joined by `|`, with `~` for the complement",
            )),
        }
    }

    fn unknown(&self, token: &Token) -> Diagnostic {
        let title = format!("unknown constant `{}`", token.text);
        let error = self.wrong(token, &title, "not in the headers, nor in a constants file");
        match self.names.suggestion(token.text) {
            Some(near) => error.help(format!("did you mean `{near}`?")),
            None => error.help("write the number, or give minijail's constants.json"),
        }
    }
}

fn operator(token: &Token) -> Option<Operator> {
    match (token.kind, token.text) {
        (Kind::Symbol, "&") => Some(Operator::AnyBit),
        (Kind::Symbol, symbol) => {
            let known = Comparator::ALL.into_iter().find(|comparator| comparator.text() == symbol);
            known.map(Operator::Compare)
        }
        (Kind::Word, "in") => Some(Operator::Within),
        _ => None,
    }
}

/// A number as strtol(3) reads it with base 0: decimal, hexadecimal after `0x`, octal after `0`.
pub(super) fn number(text: &str) -> Result<u64, &'static str> {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
    let hexadecimal = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X"));
    let (digits, radix) = match hexadecimal {
        Some(digits) => (digits, 16),
        None if digits.len() > 1 && digits.starts_with('0') => (digits, 8),
        None => (digits, 10),
    };
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
        return Err("not digits of one base");
    }
    let value = u64::from_str_radix(digits, radix).map_err(|_| "it has more than 64 bits")?;
    match negative {
        false => Ok(value),
        true if value <= i64::MIN.unsigned_abs() => Ok(value.wrapping_neg()),
        true => Err("below the lowest number of 64 bits"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_c_reads_them() {
        for (text, value) in [
            ("0", 0),
            ("10", 10),
            ("0x1F", 31),
            ("017", 15),
            ("-1", u64::MAX),
            ("-0x1", u64::MAX),
            ("18446744073709551615", u64::MAX),
            ("-9223372036854775808", 1 << 63),
        ] {
            assert_eq!(number(text), Ok(value), "{text}");
        }
        for text in ["089", "0x", "12ab", "18446744073709551616", "-9223372036854775809", "-"] {
            assert!(number(text).is_err(), "{text}");
        }
    }
}
