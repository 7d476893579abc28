//! What a guest sees. A device knows no thread and no descriptor: it returns what its caller has to do.
#![forbid(unsafe_code)]

pub mod boot_timer;
pub mod exit_port;
pub mod i8042;
pub mod output;
pub mod panic_text;
pub mod ports;
pub mod pvpanic;
pub mod serial;
pub mod sleep;
pub mod virtio;
