//! The HTTP API in Firecracker's form: what requests say, and what they may say when. Knows no thread and no descriptor.
#![forbid(unsafe_code)]

pub mod model;
