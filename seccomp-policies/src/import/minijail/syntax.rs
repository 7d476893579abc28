//! A minijail policy as it is written.

use crate::language::{Comparator, Name, Span};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Statement {
    Include(Name),
    Frequency(Name),
    Default(Verdict, Span),
    Denylist(Span),
    Rule(Rule),
}

/// `{ CALL, ... }: { FILTER, ... }`
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) calls: Vec<Descriptor>,
    pub(super) filters: Vec<Filter>,
    /// Whether the filters stand in braces.
    pub(super) braces: bool,
    pub(super) span: Span,
}

/// `CALL`, `CALL[arch=A,B]` or a group of calls, `GROUP@NAMESPACE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Descriptor {
    pub(super) name: Name,
    /// The architectures that it is for; `None` for all.
    pub(super) arches: Option<Vec<Name>>,
}

/// `EXPRESSION; ACTION`
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Filter {
    /// Conjunctions, of which one must hold; `None` for a filter that always applies.
    pub(super) expression: Option<Vec<Vec<Atom>>>,
    /// What follows `;`, or stands alone; an expression alone allows.
    pub(super) verdict: Option<(Verdict, Span)>,
    pub(super) span: Span,
}

/// `argN OPERATOR VALUE`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Atom {
    pub(super) argument: u8,
    pub(super) operator: Operator,
    pub(super) value: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    /// One that this language has as well.
    Compare(Comparator),
    /// `&`: some bit of the mask is set.
    AnyBit,
    /// `in`: no bit outside the mask is set.
    Within,
}

/// What minijail can answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Allow,
    /// What the compiler's options say that killing is.
    Kill,
    KillProcess,
    KillThread,
    Trap,
    Log,
    Trace,
    UserNotify,
    /// `return` alone, which only the C library takes: what the policy does by default.
    Default,
    Errno(u64),
}
