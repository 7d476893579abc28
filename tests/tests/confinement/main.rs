//! The confinement, seen from outside: what the kernel says of the monitor's threads while a guest runs, what
//! happens when one asks for more than its role may, and what the embedded policies let through and refuse.

mod doors;
mod filters;
mod memory;
mod numbers;
mod panics;
mod reserve;
mod stopped;
mod tables;
mod threads;
mod violation;
