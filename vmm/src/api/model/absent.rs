//! Members of Firecracker's that ask for what is not here. They may be left out, be `null`, or be an empty list; a value is
//! refused with what to do instead.

use std::convert::Infallible;

use serde::de::{Deserialize, Deserializer, Error as _};

/// A value of none: the type of a member that can only be absent.
macro_rules! absent {
    ($($(#[$attribute:meta])* $name:ident: $words:literal;)*) => {$(
        $(#[$attribute])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name(Infallible);

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
                Err(D::Error::custom($words))
            }
        }
    )*};
}

absent! {
    /// `cpu-config`: features of another processor.
    CpuConfig: "cpu-config: there are no CPU templates here, a guest gets the host's processor; leave it out or send null";
    /// `mmds-config`: a service by which a guest learns of itself.
    MmdsConfig: "mmds-config: there is no metadata service here; leave it out or send null";
    /// One of `pmem`: a file that a guest maps.
    Pmem: "pmem: there are no pmem devices here; name the file as a drive, and leave the member out or send an empty list";
    /// `memory-hotplug`: memory that comes and goes.
    MemoryHotplug: "memory-hotplug: memory cannot be plugged in here; a balloon gives some back. Leave it out or send null";
    /// `drives[].socket`: a disk that another process serves.
    VhostUserSocket: "socket: there are no vhost-user disks here; name a file by path_on_host, and leave it out or send null";
}

/// Takes a switch that can only be off; otherwise says these words.
pub(super) fn only_false<'de, D: Deserializer<'de>>(
    deserializer: D,
    words: &str,
) -> Result<Option<bool>, D::Error> {
    let value = Option::<bool>::deserialize(deserializer)?;
    if value == Some(true) { Err(D::Error::custom(words)) } else { Ok(value) }
}
