//! Firecracker's API, driven from outside: a machine's whole life, what is refused, hostile clients.
#![forbid(unsafe_code)]

mod changes;
mod command_line;
mod curl;
mod devices;
mod document;
mod hostile;
mod life;
mod observed;
mod refused;

use guest_images::bare;

/// The image of an embedded guest.
fn image(name: &str) -> &'static [u8] {
    bare::find(name).unwrap_or_else(|| panic!("no guest {name}")).image
}
