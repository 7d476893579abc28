//! The syntax tree: a policy as it is written, every part with its place.

use std::ops::Range;

use super::policy::{Relation, Width};

/// Bytes of a source's text.
pub(crate) type Span = Range<usize>;

/// A name with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    pub(crate) text: String,
    pub(crate) span: Span,
}

/// A number as written, so that the formatter keeps its base, and what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Number {
    pub(crate) text: String,
    pub(crate) value: u64,
    pub(crate) span: Span,
}

/// The text after `--`, one entry for each line it goes over, without the white space around.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reason {
    pub(crate) lines: Vec<String>,
    pub(crate) span: Span,
}

/// One directive or rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) kind: ItemKind,
    /// The code, from its first byte to its last, without reason and comments.
    pub(crate) span: Span,
    pub(crate) reason: Option<Reason>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ItemKind {
    Role(Name),
    Tier(Name),
    Otherwise(Verdict),
    Slot { name: Name, first: Number, last: Option<Number> },
    Include(Name),
    Frequency(Name),
    Rule(Box<RuleSyntax>),
}

/// `trap`, `errno ENOENT` and so on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) word: Name,
    /// After `errno`.
    pub(crate) errno: Option<ErrnoName>,
}

/// `ENOENT` or `2`, after `errno`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ErrnoName {
    Named(Name),
    Numbered(Number),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RuleSyntax {
    pub(crate) call: Name,
    /// After `on`.
    pub(crate) arch: Option<Name>,
    /// What the rule decides; without one, it allows.
    pub(crate) verdict: Option<Verdict>,
    pub(crate) expression: Option<Expression>,
}

/// A condition. `Group` keeps the writer's parentheses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Expression {
    Test(TestSyntax),
    Group(Box<Expression>),
    Not(Box<Expression>),
    And(Vec<Expression>),
    Or(Vec<Expression>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TestSyntax {
    pub(crate) argument: Name,
    /// After `:`; without one, the argument's own.
    pub(crate) width: Option<Width>,
    /// After `&`.
    pub(crate) mask: Option<Value>,
    pub(crate) comparison: Comparison,
    pub(crate) span: Span,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    Compare { operator: Comparator, operator_span: Span, value: Value },
    OneOf { members: Vec<Value>, span: Span },
    InSlots { slot: Name },
    InBits { mask: Value },
}

/// A comparison of an argument with a value, as both sides of it see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparator {
    /// Each of them.
    pub(crate) const ALL: [Self; 6] =
        [Self::Equal, Self::NotEqual, Self::Less, Self::LessOrEqual, Self::Greater, Self::GreaterOrEqual];

    /// The comparison with this value.
    pub(crate) const fn relation(self, value: u64) -> Relation {
        match self {
            Self::Equal => Relation::Equal(value),
            Self::NotEqual => Relation::NotEqual(value),
            Self::Less => Relation::Less(value),
            Self::LessOrEqual => Relation::LessOrEqual(value),
            Self::Greater => Relation::Greater(value),
            Self::GreaterOrEqual => Relation::GreaterOrEqual(value),
        }
    }

    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }

    /// The operator that means the same with its sides exchanged.
    pub(crate) const fn turned(self) -> Self {
        match self {
            Self::Equal | Self::NotEqual => self,
            Self::Less => Self::Greater,
            Self::LessOrEqual => Self::GreaterOrEqual,
            Self::Greater => Self::Less,
            Self::GreaterOrEqual => Self::LessOrEqual,
        }
    }

    pub(crate) const fn is_ordered(self) -> bool {
        !matches!(self, Self::Equal | Self::NotEqual)
    }
}

/// Constants or-ed by `|`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Value {
    pub(crate) terms: Vec<Term>,
    /// `~` before it: the complement in the argument's width. Only in masks.
    pub(crate) complement: bool,
    pub(crate) span: Span,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Term {
    Number(Number),
    /// `-` and a number; the span is that of both.
    Negative(Number, Span),
    Constant(Name),
    Slot(Name),
}
