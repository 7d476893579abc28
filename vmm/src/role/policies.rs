//! The role policies, as the build proved and compiled them: see `build.rs` and `seccomp-policies/policies/`.
#![forbid(unsafe_code)]
#![expect(clippy::unreadable_literal, reason = "instructions, written by the build script")]

include!(concat!(env!("OUT_DIR"), "/policies.rs"));
