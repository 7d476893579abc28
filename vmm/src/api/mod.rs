//! The HTTP API in Firecracker's form: what requests say, what they may say when, and the bytes that carry them. Knows no
//! thread and no descriptor.
#![forbid(unsafe_code)]

pub mod http;
pub mod machine;
pub mod model;
pub mod request;
pub mod response;
pub mod version;

pub use machine::{Machine, State};
pub use request::Request;
pub use response::{Fault, Response, Status};
