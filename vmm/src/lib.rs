//! ringfence: a KVM virtual machine monitor in which every thread role has its own seccomp filter.
//!
//! Dependencies point one way: `cli -> role -> report -> api -> machine, devices -> confine -> seccomp-policies`, and
//! `cli -> exec -> report`.

pub mod api;
pub mod audit;
pub mod bench;
pub mod cli;
pub mod confine;
pub mod devices;
pub mod exec;
pub mod host;
pub mod machine;
pub mod observe;
pub mod report;
pub mod role;
pub mod tracepoint;

/// The program's allocator, which serves fenced threads that must not allocate from a small reserve.
#[global_allocator]
static ALLOCATOR: confine::reserve::Allocator = confine::reserve::Allocator;
