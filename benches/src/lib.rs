//! What the benchmarks share: blocks of calls in interleaved order, their paired differences, and what is
//! measured: a vCPU thread under a filter, and the start of the monitor.

pub mod binary;
pub mod contest;
pub mod host;
pub mod peer;
pub mod process;
pub mod report;
pub mod statistics;
pub mod table;
pub mod variant;
pub mod vcpu;
