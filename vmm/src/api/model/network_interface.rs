//! `network-interfaces`

use serde::de::{Deserializer, Error as _};
use serde::{Deserialize, Serialize, Serializer};

use super::RateLimiter;
use crate::devices::virtio::net::{MTUS, Mac};

/// A network interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkInterface {
    /// What the user calls it.
    pub iface_id: String,
    /// The TAP.
    pub host_dev_name: String,
    /// Its address in the guest; without one the guest makes one up.
    #[serde(default, deserialize_with = "mac", skip_serializing_if = "Option::is_none")]
    pub guest_mac: Option<Mac>,
    /// The longest packet in one frame, in bytes.
    #[serde(default, deserialize_with = "mtu", skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u16>,
    /// How much comes to the guest in a time.
    pub rx_rate_limiter: Option<RateLimiter>,
    /// How much goes from it in a time.
    pub tx_rate_limiter: Option<RateLimiter>,
}

/// `PATCH /network-interfaces/{iface_id}`: what is absent stays as it is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkInterfaceUpdate {
    /// Which interface.
    pub iface_id: String,
    /// How much comes to the guest in a time from now on.
    pub rx_rate_limiter: Option<RateLimiter>,
    /// How much goes from it in a time from now on.
    pub tx_rate_limiter: Option<RateLimiter>,
}

fn mac<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Mac>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| text.parse().map_err(D::Error::custom)).transpose()
}

impl Serialize for Mac {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// In words of the subject and not of a type.
fn mtu<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u16>, D::Error> {
    let Some(bytes) = Option::<u64>::deserialize(deserializer)? else { return Ok(None) };
    let mtu = u16::try_from(bytes).ok().filter(|mtu| MTUS.contains(mtu));
    let refused =
        || D::Error::custom(format_args!("an MTU is {} to {} bytes, not {bytes}", MTUS.start(), MTUS.end()));
    mtu.map(Some).ok_or_else(refused)
}
