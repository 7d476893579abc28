//! What the benchmarks share: variants side by side as Criterion's benchmarks, the start of the monitor, the programs of several
//! compilers, and what ways a disk's requests could go. How confinement is measured is `ringfence::bench`.

pub mod binary;
pub mod build_script;
pub mod client;
pub mod compilers;
pub mod contest;
pub mod libseccomp;
pub mod machine;
pub mod neighbour;
pub mod network;
pub mod policies;
pub mod process;
pub mod qemu;
pub mod report;
pub mod requests;
pub mod ring;
pub mod synthetic;
pub mod table;

use std::fmt::Display;

/// A benchmark that cannot measure has nothing to go on with: it says why, and ends.
pub fn or_stop<T, E: Display>(result: Result<T, E>) -> T {
    result.unwrap_or_else(|error| {
        eprintln!("cannot measure: {error}");
        std::process::exit(1)
    })
}
