//! What the black-box tests share: the built binary, a run of it, and what the kernel says about its threads.
//!
//! Nothing here knows how the monitor works; it is driven by its command line and watched through `/proc` and
//! `ptrace`.

pub mod api;
pub mod binary;
pub mod browser;
pub mod child;
pub mod image;
pub mod kernel;
pub mod linux;
pub mod network;
pub mod policy;
pub mod procfs;
pub mod ptrace;
pub mod run;
pub mod schema;
pub mod terminal;
pub mod wait;
