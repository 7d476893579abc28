//! What conditions mean, decided exactly: sets of argument registers as binary decision diagrams.
//!
//! A condition compares bits of six 64-bit registers with constants, so it is a Boolean function of 384 bits.
//! Two conditions mean the same if and only if their diagrams are equal; "covers", "never matches" and "looks at
//! this argument" are questions about one diagram, answered without sampling.

mod space;
mod union;

pub use space::{Calls, Space};
pub use union::Union;
