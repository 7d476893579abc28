//! The proof engine against the interpreter, the policies' own meaning, and itself.

#[path = "../support/mod.rs"]
mod support;

mod conditions;
mod corpora;
mod decisions;
mod mutants;
mod programs;
