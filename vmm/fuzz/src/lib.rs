//! What each fuzz target does with an input, and what must hold whatever the input is.
//!
//! The targets in `fuzz_targets/` hand the fuzzer's bytes to these functions; the monitor's own tests
//! (`vmm/tests/fuzzing.rs`) hand the seeds of `seeds/` to them, without a fuzzer.

pub mod balloon;
pub mod block;
pub mod clock;
pub mod config;
pub mod console;
pub mod guest;
pub mod http;
pub mod input;
pub mod net;
pub mod rng;
pub mod routes;
pub mod session;
pub mod streams;
pub mod transport;
pub mod vsock;

/// A target: it panics where something does not hold, and says whether the input got as far as there is something to
/// check.
pub type Target = fn(&[u8]) -> bool;

/// Every target, by the name of its file and of its folder of seeds.
pub const TARGETS: [(&str, Target); 9] = [
    ("balloon", balloon::balloon),
    ("block", block::block),
    ("config", config::config),
    ("console", console::console),
    ("http", http::http),
    ("net", net::net),
    ("rng", rng::rng),
    ("transport", transport::transport),
    ("vsock", vsock::vsock),
];
