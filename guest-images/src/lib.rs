//! Guest images for the monitor: [`bare`] are small bare-metal programs, built with this package and
//! embedded in it; `linux/` beside the sources holds the recipe of a Linux guest.
#![forbid(unsafe_code)]

pub mod bare;
