//! Virtio devices over MMIO: "Virtual I/O Device (VIRTIO) Version 1.2", OASIS, section 4.2.2, transport version 2.
//!
//! A device has two sides. Its registers ([`transport::Transport`]) are met by the guest's accesses, on whatever thread
//! takes these; what it does with its queues ([`Device`]) is driven by one other thread. Neither knows a thread or a
//! descriptor: each says to its caller what there is to do.

pub mod balloon;
pub mod block;
pub mod buffers;
pub mod configuration;
pub mod console;
pub mod device;
pub mod net;
pub mod queue;
pub mod rate_limiter;
pub mod register;
pub mod rng;
#[cfg(test)]
pub(crate) mod test_driver;
pub mod transport;
pub mod vsock;
pub mod window;

pub use configuration::Configuration;
pub use device::{Broken, Counts, Device, Features, Identity, MOST_COUNTS, Processed};
pub use queue::Queue;
pub use rate_limiter::{Limiter, Limits, Rate};
pub use transport::{Asked, Request, Transport};
pub use window::Windows;
