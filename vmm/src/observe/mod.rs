//! What a run tells of itself while it lasts: a log for people and metrics for machines, in Firecracker's forms. Nothing here knows a
//! thread; `role::main` writes, since it alone has the files.
#![forbid(unsafe_code)]

pub mod firecracker;
pub mod level;
pub mod line;
pub mod metrics;
pub mod outlet;
pub mod prometheus;

pub use level::Level;
pub use line::{Line, Utc};
pub use metrics::{Group, Value};
pub use outlet::Outlet;
