//! Calls that programs were seen to make, from the output of tools that people have.

mod counts;
mod line;
mod strace;

use crate::pattern::Pattern;

pub use counts::{Counts, Error, counts};
pub use strace::calls;

/// A call in a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Line of the trace, from 1; of a call that was interrupted, the line where it began.
    pub line: usize,
    /// The call as the trace shows it.
    pub text: String,
    /// What is known of it.
    pub pattern: Pattern,
}

/// The calls of a trace, and what of it could not be used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// The calls, in the order in which they began.
    pub calls: Vec<Recorded>,
    /// Lines that are no call and nothing that is known to stand between calls.
    pub skipped: Vec<Skipped>,
    /// Arguments that were not understood, each once; they count as open.
    pub not_understood: Vec<String>,
}

/// A line that was not used.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Skipped {
    /// The line, from 1.
    pub line: usize,
    /// Why it was not used.
    pub why: String,
}

#[cfg(test)]
mod tests;
