//! What the benchmarks share: blocks of calls in interleaved order, their paired differences, and what is
//! measured: a vCPU thread under a filter, the start of the monitor, and the programs of several compilers.

pub mod binary;
pub mod build_script;
pub mod compilers;
pub mod contest;
pub mod host;
pub mod libseccomp;
pub mod machine;
pub mod peer;
pub mod policies;
pub mod process;
pub mod report;
pub mod statistics;
pub mod table;
pub mod variant;
pub mod vcpu;
