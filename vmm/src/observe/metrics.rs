//! Numbers by subject, whatever form they are written in.

/// A number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// How often something has happened since the start; it only grows.
    Count(u64),
    /// How something is, or how long the last one took.
    Is(u64),
}

impl Value {
    /// The number.
    pub fn number(self) -> u64 {
        match self {
            Self::Count(number) | Self::Is(number) => number,
        }
    }
}

/// What is known of a subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The subject: `block`, `vcpu`, `thread`.
    pub subject: &'static str,
    /// Which, where there may be several.
    pub which: Option<String>,
    /// Names and numbers.
    pub values: Vec<(String, Value)>,
}

impl Group {
    /// Of the one subject of its kind.
    pub fn new<N: Into<String>>(subject: &'static str, values: impl IntoIterator<Item = (N, Value)>) -> Self {
        Self {
            subject,
            which: None,
            values: values.into_iter().map(|(name, value)| (name.into(), value)).collect(),
        }
    }

    /// Of one of several.
    #[must_use]
    pub fn of(self, which: impl Into<String>) -> Self {
        Self { which: Some(which.into()), ..self }
    }
}
