//! Seccomp policies as text: a checked language, compilers to classic BPF and an interpreter of it.
//!
//! No KVM is needed here, and no `unsafe`: the library turns text into programs and answers questions about
//! them; installing a program is its user's business.
#![forbid(unsafe_code)]

pub mod action;
pub mod bpf;
pub mod call;
pub mod compile;
pub mod constants;
pub mod diff;
pub mod embed;
pub mod explain;
pub mod export;
pub mod import;
pub mod language;
pub mod lint;
pub mod pattern;
pub mod profile;
pub mod prove;
pub mod simulate;
pub mod syscalls;
pub mod trace;
pub mod union;
