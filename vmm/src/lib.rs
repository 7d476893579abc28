//! ringfence: a KVM virtual machine monitor in which every thread role has its own seccomp filter.
//!
//! Dependencies point one way: `cli -> role -> machine, devices -> confine -> seccomp-policies`.

pub mod cli;
pub mod confine;
pub mod devices;
pub mod machine;
pub mod role;
