//! What several of these tests share: programs in short form, made-up policies, and the running kernel.
#![allow(dead_code, unreachable_pub, reason = "each test file is a crate that uses its part of this")]

pub mod aarch64;
pub mod arbitrary;
pub mod cache;
pub mod kernel;
pub mod longest_path;
pub mod meaning;
pub mod program;
pub mod roles;
pub mod table;
pub mod tracing;
