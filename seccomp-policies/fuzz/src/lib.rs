//! What each fuzz target does with an input, and what must hold whatever the input is.
//!
//! The targets in `fuzz_targets/` hand the fuzzer's bytes to these functions; the crate's own tests
//! (`tests/fuzzing.rs`) hand the seeds of `seeds/` to them, without a fuzzer.

pub mod backends;
pub mod choices;
pub mod imports;
pub mod languages;
pub mod patterns;
pub mod profiles;
pub mod programs;
pub mod traces;

/// A target: it panics where something does not hold, and says whether the input was taken, not refused.
pub type Target = fn(&[u8]) -> bool;

/// Every target, by the name of its file and of its folder of seeds.
pub const TARGETS: [(&str, Target); 12] = [
    ("backends", backends::backends),
    ("firecracker", imports::firecracker),
    ("language", languages::language),
    ("lxc", imports::lxc),
    ("minijail", imports::minijail),
    ("oci", imports::oci),
    ("pattern", patterns::pattern),
    ("profile", profiles::profile),
    ("programs", programs::programs),
    ("raw", imports::raw),
    ("report", traces::report),
    ("strace", traces::strace),
];
