//! The policy language: text in, a checked policy out.

mod policy;

pub use policy::{Condition, Otherwise, Outcome, Policy, Relation, Rule, Slot, Test, Tier, Width};
