//! Expressions as canonical text.

use std::fmt::{self, Display, Formatter};

use super::syntax::{Comparison, ErrnoName, Expression, Term, TestSyntax, Value, Verdict};

impl Display for Expression {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Test(test) => write!(f, "{test}"),
            Self::Group(inner) => write!(f, "({inner})"),
            Self::Not(inner) => write!(f, "!{inner}"),
            Self::And(parts) => joined(f, parts, " && "),
            Self::Or(parts) => joined(f, parts, " || "),
        }
    }
}

impl Display for TestSyntax {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let argument = &self.argument.text;
        let width = self.width.map(|width| format!(":{}", width.type_name())).unwrap_or_default();
        match &self.mask {
            Some(mask) => write!(f, "({argument}{width} & {mask})")?,
            None => write!(f, "{argument}{width}")?,
        }
        match &self.comparison {
            Comparison::Compare { operator, value, .. } => write!(f, " {} {value}", operator.text()),
            Comparison::OneOf { members, .. } => {
                f.write_str(" in {")?;
                joined(f, members, ", ")?;
                f.write_str("}")
            }
            Comparison::InSlots { slot } => write!(f, " in @{}", slot.text),
            Comparison::InBits { mask } => write!(f, " in {mask}"),
        }
    }
}

impl Display for Verdict {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.word.text)?;
        self.errno.iter().try_for_each(|errno| write!(f, " {errno}"))
    }
}

impl Display for Value {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match (self.complement, self.terms.len()) {
            (false, _) => joined(f, &self.terms, "|"),
            (true, 1) => write!(f, "~{}", self.terms[0]),
            (true, _) => {
                f.write_str("~(")?;
                joined(f, &self.terms, "|")?;
                f.write_str(")")
            }
        }
    }
}

impl Display for Term {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => f.write_str(&number.text),
            Self::Negative(number, _) => write!(f, "-{}", number.text),
            Self::Constant(name) => f.write_str(&name.text),
            Self::Slot(name) => write!(f, "@{}", name.text),
        }
    }
}

impl Display for ErrnoName {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(name) => f.write_str(&name.text),
            Self::Numbered(number) => f.write_str(&number.text),
        }
    }
}

/// The parts with a separator between them.
fn joined(f: &mut Formatter<'_>, parts: &[impl Display], separator: &str) -> fmt::Result {
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            f.write_str(separator)?;
        }
        write!(f, "{part}")?;
    }
    Ok(())
}
