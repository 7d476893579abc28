//! The confinement, seen from outside: what the kernel says of the monitor's threads while a guest runs, what
//! happens when one asks for more than its role may, and what the embedded policies let through and refuse.

mod filters;
mod memory;
mod tables;
mod threads;
