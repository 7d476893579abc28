//! What the kernel's filter parser can say of an event, and what it means.
//!
//! Source: `parse_pred` and `predicate_parse`, Linux `kernel/trace/trace_events_filter.c`; the language as its users
//! see it, Linux `Documentation/trace/events.rst`, section 5.

use std::fmt::{self, Display, Formatter};

use crate::call::Call;
use crate::language::{Condition, Relation, Test, Width};

/// A field of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// `id` of `raw_syscalls:sys_enter`: the call's number. It compares as signed.
    Number,
    /// An argument of a call, the whole register. It compares as unsigned, whatever its C type.
    Argument {
        /// Index of the register, 0 to 5.
        register: u8,
        /// The field's name.
        name: &'static str,
        /// Whether its values are descriptors, which people read in decimal.
        is_descriptor: bool,
    },
}

/// How a field is compared with a constant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `&`: some bit of the constant is set in the field.
    AnyBit,
}

/// A filter string, before it is written down. [`Display`] writes what the kernel parses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Predicate {
    /// A field against a constant; the constant of [`Field::Number`] is a signed number's bits.
    Compare {
        /// The field.
        field: Field,
        /// How.
        operator: Operator,
        /// With what.
        value: u64,
    },
    /// Every one of these holds; of none, that is always.
    All(Vec<Predicate>),
    /// At least one of these holds; of none, that is never.
    Any(Vec<Predicate>),
    /// This does not hold.
    Not(Box<Predicate>),
}

impl Predicate {
    /// Holds for every event.
    pub(super) const ALWAYS: Self = Self::All(Vec::new());
    /// Holds for none.
    pub(super) const NEVER: Self = Self::Any(Vec::new());

    pub(super) const fn compare(field: Field, operator: Operator, value: u64) -> Self {
        Self::Compare { field, operator, value }
    }

    /// All of these, without what says nothing.
    pub(super) fn all(parts: impl IntoIterator<Item = Self>) -> Self {
        let mut kept = Vec::new();
        for part in parts {
            match part {
                Self::All(inner) => kept.extend(inner),
                Self::Any(inner) if inner.is_empty() => return Self::NEVER,
                other => kept.push(other),
            }
        }
        if kept.len() == 1 { kept.remove(0) } else { Self::All(kept) }
    }

    /// At least one of these, without what says nothing.
    pub(super) fn any(parts: impl IntoIterator<Item = Self>) -> Self {
        let mut kept = Vec::new();
        for part in parts {
            match part {
                Self::Any(inner) => kept.extend(inner),
                Self::All(inner) if inner.is_empty() => return Self::ALWAYS,
                other => kept.push(other),
            }
        }
        if kept.len() == 1 { kept.remove(0) } else { Self::Any(kept) }
    }

    /// The opposite, in fewer words than a `!` where there is an operator for it.
    pub(super) fn negated(self) -> Self {
        match self {
            Self::Not(inner) => *inner,
            Self::All(parts) if parts.is_empty() => Self::NEVER,
            Self::Any(parts) if parts.is_empty() => Self::ALWAYS,
            Self::Compare { field, operator, value } => match operator.opposite() {
                Some(operator) => Self::Compare { field, operator, value },
                None => Self::Not(Box::new(Self::Compare { field, operator, value })),
            },
            other => Self::Not(Box::new(other)),
        }
    }

    /// Whether the kernel would let an event of this call through.
    pub fn holds(&self, call: &Call) -> bool {
        match self {
            Self::Compare { field, operator, value } => field.compares(call, *operator, *value),
            Self::All(parts) => parts.iter().all(|part| part.holds(call)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(call)),
            Self::Not(part) => !part.holds(call),
        }
    }

    /// The same question of whole argument registers, for a predicate that does not ask for the number.
    pub(super) fn condition(&self) -> Condition {
        let all = |parts: &[Self]| parts.iter().map(Self::condition).collect();
        match self {
            Self::Compare { field: Field::Argument { register, .. }, operator, value } => {
                operator.condition(*register, *value)
            }
            Self::Compare { field: Field::Number, .. } => Condition::Always,
            Self::All(parts) => Condition::All(all(parts)),
            Self::Any(parts) => Condition::Any(all(parts)),
            Self::Not(part) => Condition::Not(Box::new(part.condition())),
        }
    }
}

impl Field {
    fn compares(self, call: &Call, operator: Operator, value: u64) -> bool {
        match self {
            Self::Number => operator.holds(signed(call.number).cast_signed(), value.cast_signed()),
            Self::Argument { register, .. } => operator.holds(call.arguments[usize::from(register)], value),
        }
    }
}

/// A call number as the field `id` holds it: the kernel keeps numbers in an `int`, and the field is a `long`.
pub(super) fn signed(number: u32) -> u64 {
    i64::from(number.cast_signed()).cast_unsigned()
}

impl Operator {
    const fn opposite(self) -> Option<Self> {
        Some(match self {
            Self::Equal => Self::NotEqual,
            Self::NotEqual => Self::Equal,
            Self::Less => Self::GreaterOrEqual,
            Self::GreaterOrEqual => Self::Less,
            Self::Greater => Self::LessOrEqual,
            Self::LessOrEqual => Self::Greater,
            Self::AnyBit => return None,
        })
    }

    fn holds<T>(self, field: T, value: T) -> bool
    where
        T: Ord + Copy + Default + std::ops::BitAnd<Output = T>,
    {
        match self {
            Self::Equal => field == value,
            Self::NotEqual => field != value,
            Self::Less => field < value,
            Self::LessOrEqual => field <= value,
            Self::Greater => field > value,
            Self::GreaterOrEqual => field >= value,
            Self::AnyBit => field & value != T::default(),
        }
    }

    fn condition(self, argument: u8, value: u64) -> Condition {
        let test = |relation| Condition::Test(Test { argument, width: Width::Bits64, relation });
        match self {
            Self::Equal => test(Relation::Equal(value)),
            Self::NotEqual => test(Relation::NotEqual(value)),
            Self::Less => test(Relation::Less(value)),
            Self::LessOrEqual => test(Relation::LessOrEqual(value)),
            Self::Greater => test(Relation::Greater(value)),
            Self::GreaterOrEqual => test(Relation::GreaterOrEqual(value)),
            Self::AnyBit => Condition::Not(Box::new(test(Relation::Masked { mask: value, value: 0 }))),
        }
    }

    const fn text(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::AnyBit => "&",
        }
    }
}

impl Display for Predicate {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Compare { field, operator, value } => {
                write!(f, "{field} {} ", operator.text())?;
                field.write_value(f, *value)
            }
            Self::All(parts) => joined(f, parts, " && "),
            Self::Any(parts) => joined(f, parts, " || "),
            Self::Not(part) => write!(f, "!({part})"),
        }
    }
}

/// `&&` binds closer than `||`, to the kernel as well.
fn joined(f: &mut Formatter<'_>, parts: &[Predicate], separator: &str) -> fmt::Result {
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            f.write_str(separator)?;
        }
        match part {
            Predicate::Any(_) => write!(f, "({part})")?,
            part => write!(f, "{part}")?,
        }
    }
    Ok(())
}

impl Display for Field {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Number => "id",
            Self::Argument { name, .. } => name,
        })
    }
}

/// The highest number that can be a descriptor: an `int` that is not negative.
const LAST_DESCRIPTOR: u64 = 0x7fff_ffff;

impl Field {
    fn write_value(self, f: &mut Formatter<'_>, value: u64) -> fmt::Result {
        match self {
            Self::Number => write!(f, "{}", value.cast_signed()),
            Self::Argument { is_descriptor: true, .. } if value <= LAST_DESCRIPTOR => {
                write!(f, "{value}")
            }
            Self::Argument { .. } if value < 10 => write!(f, "{value}"),
            Self::Argument { .. } => write!(f, "{value:#x}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FD: Field = Field::Argument { register: 0, name: "fd", is_descriptor: true };
    const CMD: Field = Field::Argument { register: 1, name: "cmd", is_descriptor: false };

    fn is(field: Field, value: u64) -> Predicate {
        Predicate::compare(field, Operator::Equal, value)
    }

    #[test]
    fn a_predicate_is_written_as_the_kernel_reads_it() {
        let one = Predicate::all([is(FD, 16), is(CMD, 0xae80)]);
        let bits = Predicate::compare(CMD, Operator::AnyBit, 6);
        let either = Predicate::any([one.clone(), bits.clone()]);
        assert_eq!(one.clone().negated().to_string(), "!(fd == 16 && cmd == 0xae80)");
        assert_eq!(either.to_string(), "fd == 16 && cmd == 0xae80 || cmd & 6");
        assert_eq!(
            Predicate::all([either.clone(), is(FD, 1)]).to_string(),
            "(fd == 16 && cmd == 0xae80 || cmd & 6) && fd == 1"
        );
        assert_eq!(bits.negated().to_string(), "!(cmd & 6)");
        let number = Predicate::compare(Field::Number, Operator::Less, signed(u32::MAX));
        assert_eq!(number.to_string(), "id < -1");
    }

    #[test]
    fn what_says_nothing_is_left_out() {
        let one = is(FD, 1);
        assert_eq!(Predicate::all([Predicate::ALWAYS, one.clone()]), one);
        assert_eq!(Predicate::any([Predicate::NEVER, one.clone()]), one);
        assert_eq!(Predicate::all([Predicate::NEVER, one.clone()]), Predicate::NEVER);
        assert_eq!(Predicate::any([one.clone(), Predicate::ALWAYS]), Predicate::ALWAYS);
        assert_eq!(one.clone().negated().negated(), one);
        assert_eq!(Predicate::ALWAYS.negated(), Predicate::NEVER);
    }

    #[test]
    fn the_number_compares_as_signed_and_an_argument_as_unsigned() {
        let call = Call { number: u32::MAX, arch: 0, instruction_pointer: 0, arguments: [u64::MAX; 6] };
        assert!(Predicate::compare(Field::Number, Operator::Less, 0).holds(&call));
        assert!(Predicate::compare(FD, Operator::Greater, 0).holds(&call));
    }
}
