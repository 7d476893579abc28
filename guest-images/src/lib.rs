//! Guest images for the monitor: [`bare`] are small bare-metal programs, built with this package and
//! embedded in it; [`linux`] is the recipe of a Linux guest, which `linux/` beside the sources holds.
#![forbid(unsafe_code)]

pub mod bare;
pub mod linux;
