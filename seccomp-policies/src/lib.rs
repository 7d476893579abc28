//! Seccomp policies as text: checked, compiled and proved when a program is built, installed in each of its threads.
//!
//! A thread that parses what strangers send needs few of the kernel's four hundred calls, and an attacker who takes it
//! over wants the others. seccomp(2) lets a thread give them up, one filter for each thread; what it does not offer is a
//! way to write filters that a reviewer can read, and to know that the filter in the kernel is the one that was
//! written. This crate is that:
//!
//! - **Policies are text**, a file for each thread role, every rule with its reason. Calls, arguments and constants have
//!   the kernel's names and widths; a typing mistake, a rule that can never match or one that another covers is an error
//!   that underlines the place.
//! - **The build compiles them and holds each program against its text.** A build whose program says anything else than
//!   its policy fails. Nothing is compiled, looked up or patched at run time.
//! - **A call installs them**, [`install()`] for the calling thread or [`install_all()`] for all threads.
//!
//! # Quick start
//!
//! The build script has the language and the compilers; the program has only what installs their result, which is small:
//!
//! ```toml
//! [dependencies]
//! seccomp-policies = { version = "0.1", default-features = false }
//!
//! [build-dependencies]
//! seccomp-policies = "0.1"
//! ```
//!
//! `policies/worker.policy` says what a worker thread may ask of the kernel:
//!
//! ```text
//! role worker
//! tier filter
//! otherwise errno EPERM
//!
//! fd connections = 3..63  -- sockets that the acceptor hands over
//!
//! recvfrom: fd in @connections                          -- the request
//! sendto: fd in @connections && flags == MSG_NOSIGNAL   -- the answer
//! close: fd in @connections                             -- done
//! futex: op == FUTEX_WAIT_BITSET_PRIVATE && utime == 0  -- wait for the next one
//! futex: op == FUTEX_WAKE_PRIVATE                       -- wake another worker
//! ```
//!
//! `build.rs` is one call:
//!
//! ```no_run
//! # #[cfg(feature = "toolchain")]
//! fn main() -> std::process::ExitCode {
//!     seccomp_policies::build("policies")
//! }
//! # #[cfg(not(feature = "toolchain"))]
//! # fn main() {}
//! ```
//!
//! The program takes the result and confines each thread from inside, before it looks at what strangers send. In a
//! build with the file above, the module is the one line `seccomp_policies::include_policies!();`:
//!
//! ```
//! use seccomp_policies::embed::OnViolation;
//!
//! mod policies {
//!     // seccomp_policies::include_policies!();
//! #   pub mod worker {
//! #       use seccomp_policies::embed::*;
//! #       // RET ALLOW: the example of a filter that refuses nothing.
//! #       const PROGRAM: &[Instruction] = &[Instruction { code: 6, jt: 0, jf: 0, k: 0x7fff_0000 }];
//! #       const fn variants() -> Variants {
//! #           Variants { as_written: PROGRAM, trap: PROGRAM, kill: PROGRAM, errno: PROGRAM, log: PROGRAM }
//! #       }
//! #       pub static POLICY: Embedded = Embedded {
//! #           role: "worker", sources: &[], slots: &[], calls: &[],
//! #           programs: Programs::Filter { filter: variants(), bitmask: variants() },
//! #       };
//! #   }
//! }
//!
//! fn worker() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
//!     seccomp_policies::install(&policies::worker::POLICY, OnViolation::AsWritten)?;
//!     // From here on, whatever happens to this thread, it makes the calls of worker.policy alone.
//!     Ok(())
//! }
//!
//! std::thread::spawn(worker).join().expect("the worker does not panic")?;
//! # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
//! ```
//!
//! `docs/using-the-crate.md` of the repository goes through this with a web server of two roles, which
//! `seccomp-policies/examples/two-roles` holds whole; `docs/policy-language.md` is the language's reference.
//!
//! # What is where
//!
//! | for | look at |
//! |---|---|
//! | a build script | [`build()`], and [`build::Build`] for choices |
//! | a program | [`include_policies!`], [`install()`], [`install_all()`], [`embed::Embedded`], [`embed::OnViolation`] |
//! | policies as values | [`language`]: [`language::load`], [`language::Policy`], [`language::Diagnostics`] |
//! | compilers | [`compile`], [`bpf`] for programs, their interpreter and disassembly |
//! | proofs | [`prove`], [`embed::prove()`] |
//! | other formats | [`import`] and [`export`] |
//! | questions | [`diff`], [`explain`], [`lint`], [`review`], [`simulate`] |
//! | policies of what was seen | [`learn`] |
//!
//! # Features
//!
//! `toolchain`, on by default: everything but [`action`], [`embed`]'s types, [`install`](mod@install) and
//! [`include_policies!`]. A program that only installs what its build script made turns it off, and then depends on
//! little more than libc.
//!
//! # Limits
//!
//! Linux alone; policies compile for 64-bit x86 and Arm. A filter sees the registers of a call and not what pointers
//! among them lead to, so that `openat` is allowed or not, whatever the path. The crate has no `unsafe` of its own.
#![forbid(unsafe_code)]

pub mod action;
#[cfg(feature = "toolchain")]
pub mod bpf;
#[cfg(feature = "toolchain")]
pub mod build;
#[cfg(feature = "toolchain")]
pub mod call;
#[cfg(feature = "toolchain")]
pub mod compile;
#[cfg(feature = "toolchain")]
pub mod constants;
#[cfg(feature = "toolchain")]
pub mod diff;
pub mod embed;
#[cfg(feature = "toolchain")]
pub mod explain;
#[cfg(feature = "toolchain")]
pub mod export;
#[cfg(feature = "toolchain")]
pub mod import;
pub mod install;
#[cfg(feature = "toolchain")]
pub mod language;
#[cfg(feature = "toolchain")]
pub mod learn;
#[cfg(feature = "toolchain")]
pub mod lint;
#[cfg(feature = "toolchain")]
pub mod pattern;
#[cfg(feature = "toolchain")]
pub mod profile;
#[cfg(feature = "toolchain")]
pub mod prove;
#[cfg(feature = "toolchain")]
pub mod review;
#[cfg(feature = "toolchain")]
pub mod simulate;
#[cfg(feature = "toolchain")]
pub mod stats;
#[cfg(feature = "toolchain")]
pub mod syscalls;
mod tier;
#[cfg(feature = "toolchain")]
pub mod trace;
#[cfg(feature = "toolchain")]
pub mod union;

#[cfg(feature = "toolchain")]
pub use build::build;
pub use install::{install, install_all};

/// The policies that [`build()`] made, as a module for each role: `ROLE::POLICY` to install, `ROLE::slot` with the
/// numbers of its descriptors; and `ALL`, a list of every policy. For a module of its own in the program, or a file:
///
/// ```ignore
/// mod policies {
///     seccomp_policies::include_policies!();
/// }
/// ```
///
/// The package needs a build script that calls [`build()`].
#[macro_export]
macro_rules! include_policies {
    () => {
        include!(concat!(env!("OUT_DIR"), "/policies.rs"));
    };
}
