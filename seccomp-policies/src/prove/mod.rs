//! What conditions, policies and programs mean, decided exactly: sets of calls as binary decision diagrams.
//!
//! A filter is asked about the 64 bytes of `struct seccomp_data`, so whatever it decides is a function of 512 bits. A
//! policy and a program without loops are brought into the same canonical form ([`Decisions`]): they mean the same if
//! and only if the forms are equal, and where they are not, the difference is a set from which a call can be taken.
//! Nothing is sampled.

mod answer;
mod bounded;
mod calls;
mod conditions;
mod count;
mod counterexample;
mod decisions;
mod diagrams;
mod execute;
mod faithful;
mod layout;
mod ranges;
mod space;
mod union;

pub use answer::{Answer, Permission};
pub(crate) use bounded::{Bounded, Effort};
pub use calls::{Calls, MAX_RANGES};
pub use conditions::{Inexpressible, condition_of};
pub use count::Count;
pub use counterexample::Difference;
pub use decisions::Decisions;
pub use execute::{Error, longest_feasible_path};
pub use faithful::{Unproved, prove};
pub use space::Space;
pub use union::Union;
