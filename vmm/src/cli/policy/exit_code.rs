//! The exit codes of the questions beyond 0 for yes and 1 for no: as `grep` and `diff` have them, so that a script can
//! tell "no" from "cannot say".

/// The question cannot be answered: a file cannot be read, or is no policy. Wrong usage has the same code.
pub(super) const NO_ANSWER: u8 = 2;
/// The answer depends on what the question leaves open.
pub(super) const DEPENDS: u8 = 3;
