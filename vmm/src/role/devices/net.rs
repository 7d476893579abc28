//! A network interface's TAP, opened and set up.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::net::UnixDatagram;

use rustix::io::Errno;

use crate::api::model::{NetworkInterface, RateLimiter};
use crate::devices::virtio::net::{HEADER_BYTES, MTUS, Mac, MacError, Properties, Rates};

/// What an interface is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetConfig {
    /// The TAP on the host.
    pub host_dev_name: String,
    /// What the guest is told.
    pub properties: Properties,
    /// How much it does in a time.
    pub rates: Rates,
}

impl From<NetworkInterface> for NetConfig {
    fn from(interface: NetworkInterface) -> Self {
        let properties = Properties { mac: interface.guest_mac, mtu: interface.mtu };
        let rates = Rates {
            receive: interface.rx_rate_limiter.unwrap_or_default().into(),
            transmit: interface.tx_rate_limiter.unwrap_or_default().into(),
        };
        Self { host_dev_name: interface.host_dev_name, properties, rates }
    }
}

impl NetConfig {
    /// The interface as the API shows it.
    pub fn to_named(&self, iface_id: String) -> NetworkInterface {
        NetworkInterface {
            iface_id,
            host_dev_name: self.host_dev_name.clone(),
            guest_mac: self.properties.mac,
            mtu: self.properties.mtu,
            rx_rate_limiter: RateLimiter::of(self.rates.receive),
            tx_rate_limiter: RateLimiter::of(self.rates.transmit),
        }
    }
}

/// An open interface.
#[derive(Debug)]
pub struct Interface {
    /// The TAP, which nobody else can open while this one is open.
    pub tap: File,
    /// What the guest is told.
    pub properties: Properties,
    /// How much it does in a time.
    pub rates: Rates,
    /// The TAP was not there before, and goes when the last descriptor of it does.
    pub made: bool,
}

/// Why a TAP cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No interface can be called so.
    #[error("`{name}` cannot be the name of a TAP: {why}")]
    Name {
        /// What was given.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// There is nothing to open TAPs by.
    #[error("cannot open {DEVICE} for the TAP {name}: {source}{}", advice(source))]
    Device {
        /// The TAP.
        name: String,
        /// The system's reason.
        source: io::Error,
    },
    /// Somebody else has it.
    #[error(
        "the TAP {name} is in use: another process, or another interface of this machine, has it open; give each machine its own"
    )]
    InUse {
        /// The TAP.
        name: String,
    },
    /// It is some other interface.
    #[error(
        "{name} is a network interface, but no TAP with one queue; name another, or one that is not there yet"
    )]
    Kind {
        /// The interface.
        name: String,
    },
    /// It is not there, and may not be made.
    #[error(
        "there is no TAP {name}, and to make one takes CAP_NET_ADMIN; as root: ip tuntap add dev {name} mode tap user NAME, \
         ip link set {name} up"
    )]
    Make {
        /// The TAP.
        name: String,
    },
    /// It is another user's.
    #[error(
        "the TAP {name} belongs to another user; as root: ip tuntap add dev … mode tap user NAME makes one for NAME"
    )]
    Owner {
        /// The TAP.
        name: String,
    },
    /// Two that a network could not tell apart.
    #[error(
        "two interfaces have the MAC address {mac}: {first} and {second}; give each its own, or leave it out"
    )]
    Mac {
        /// The address.
        mac: Mac,
        /// Their TAPs.
        first: String,
        /// The other.
        second: String,
    },
    /// Some other step.
    #[error("{what} of the TAP {name} failed: {source}")]
    Step {
        /// What was tried.
        what: &'static str,
        /// The TAP.
        name: String,
        /// The system's reason.
        source: io::Error,
    },
}

/// What makes TAPs, Linux `Documentation/networking/tuntap.rst`.
const DEVICE: &str = "/dev/net/tun";

fn advice(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::NotFound => {
            "; as root: modprobe tun, and where a container has no such file, mknod it (c 10 200)"
        }
        io::ErrorKind::PermissionDenied => {
            "; whoever runs a machine with a network needs to read and write that file"
        }
        _ => "",
    }
}

impl Interface {
    /// Opens the TAPs of a machine.
    ///
    /// # Errors
    /// See [`Error`]; before any is opened, where two have the same address, as under Firecracker.
    pub fn open_all(configs: &[NetConfig]) -> Result<Vec<Self>, Error> {
        for (index, config) in configs.iter().enumerate() {
            let Some(mac) = config.properties.mac else { continue };
            if let Some(other) = configs[..index].iter().find(|other| other.properties.mac == Some(mac)) {
                let (first, second) = (other.host_dev_name.clone(), config.host_dev_name.clone());
                return Err(Error::Mac { mac, first, second });
            }
        }
        configs.iter().map(Self::open).collect()
    }

    /// Opens a TAP by its name, or makes it where none is there and this process may: then it is brought up, with the guest's
    /// MTU.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn open(config: &NetConfig) -> Result<Self, Error> {
        let name = config.host_dev_name.clone();
        let interface = Named::new(&name)?;
        let device = File::options().read(true).write(true).custom_flags(libc::O_NONBLOCK).open(DEVICE);
        let tap = device.map_err(|source| Error::Device { name: name.clone(), source })?;
        let made = !interface.is_there();
        let mode = libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_VNET_HDR;
        interface.call(&tap, libc::TUNSETIFF, Setting::Flags(mode)).map_err(|errno| match errno {
            Errno::BUSY => Error::InUse { name: name.clone() },
            Errno::INVAL if !made => Error::Kind { name: name.clone() },
            Errno::PERM if made => Error::Make { name: name.clone() },
            Errno::PERM => Error::Owner { name: name.clone() },
            errno => Error::Step { what: "opening", name: name.clone(), source: errno.into() },
        })?;
        let failed = |what| {
            let name = name.clone();
            move |source: io::Error| Error::Step { what, name, source }
        };
        let step = |what, result: Result<(), Errno>| result.map_err(|errno| failed(what)(errno.into()));
        step("setting the length of headers", set_header_bytes(&tap))?;
        if made {
            // Any socket will do.
            let socket = UnixDatagram::unbound().map_err(failed("making a socket for the settings"))?;
            if let Some(mtu) = config.properties.mtu {
                // Linux ETH_MAX_MTU less an Ethernet header, drivers/net/tun.c.
                let what = "setting the MTU, which of a TAP is at most 65521,";
                step(what, interface.call(&socket, libc::SIOCSIFMTU as libc::Ioctl, Setting::Mtu(mtu)))?;
            }
            let up = Setting::Flags(libc::IFF_UP);
            step("bringing up", interface.call(&socket, libc::SIOCSIFFLAGS as libc::Ioctl, up))?;
        }
        Ok(Self { tap, properties: config.properties, rates: config.rates, made })
    }
}

/// An interface of this network namespace by its name, which is one that an interface may have.
struct Named(CString);

/// What is set of an interface.
#[derive(Clone, Copy)]
enum Setting {
    Flags(libc::c_int),
    Mtu(u16),
}

impl Named {
    /// Linux `dev_valid_name()`, `net/core/dev.c`.
    fn new(name: &str) -> Result<Self, Error> {
        let refused = |why| Err(Error::Name { name: name.to_owned(), why });
        match name {
            "" | "." | ".." => refused("no interface is called so"),
            _ if name.len() >= libc::IFNAMSIZ => refused("it is longer than 15 bytes"),
            _ if name.contains(|letter: char| letter.is_whitespace() || "/:\0".contains(letter)) => {
                refused("it holds white space, a colon, a slash or a NUL")
            }
            _ if name.contains('%') => refused("the kernel would choose a name in place of the %"),
            _ => CString::new(name).map(Self).or_else(|_| refused("it holds a NUL")),
        }
    }

    fn is_there(&self) -> bool {
        // SAFETY: the name ends with a NUL and outlives the call, which keeps no pointer to it.
        unsafe { libc::if_nametoindex(self.0.as_ptr()) != 0 }
    }

    /// Sets something of the interface of this name.
    fn call(
        &self,
        on: &impl std::os::fd::AsRawFd,
        request: libc::Ioctl,
        setting: Setting,
    ) -> Result<(), Errno> {
        // SAFETY: all of its members are integers, arrays of them and pointers, for which zeros are a value.
        let mut asked: libc::ifreq = unsafe { std::mem::zeroed() };
        for (place, byte) in asked.ifr_name.iter_mut().zip(self.0.to_bytes()) {
            *place = byte.cast_signed();
        }
        match setting {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "the kernel has 16 bits for flags, and all are in these"
            )]
            Setting::Flags(flags) => asked.ifr_ifru.ifru_flags = flags as libc::c_short,
            Setting::Mtu(mtu) => asked.ifr_ifru.ifru_mtu = mtu.into(),
        }
        // SAFETY: each request that comes here reads and writes one `ifreq`, and keeps no pointer to it.
        let result = unsafe { libc::ioctl(on.as_raw_fd(), request, &raw mut asked) };
        if result < 0 { Err(last_errno()) } else { Ok(()) }
    }
}

fn set_header_bytes(tap: &File) -> Result<(), Errno> {
    let bytes = libc::c_int::try_from(HEADER_BYTES).expect("a header is short");
    // SAFETY: the request reads one `int`, and keeps no pointer to it.
    let result = unsafe { libc::ioctl(tap.as_raw_fd(), libc::TUNSETVNETHDRSZ, &raw const bytes) };
    if result < 0 { Err(last_errno()) } else { Ok(()) }
}

fn last_errno() -> Errno {
    Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::IO)
}

/// What is wrong with the text of an interface.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetTextError {
    /// No name.
    #[error("an interface is TAP[,mac=ADDRESS][,mtu=BYTES], and this names no TAP")]
    NoName,
    /// An option that is not known.
    #[error("`{0}` is no option of an interface: these are mac=ADDRESS and mtu=BYTES")]
    Option(String),
    /// Its address.
    #[error(transparent)]
    Mac(#[from] MacError),
    /// Its MTU.
    #[error("an MTU is {least} to {most} bytes, not `{0}`", least = MTUS.start(), most = MTUS.end())]
    Mtu(String),
}

impl NetConfig {
    /// An interface as the command line has it: `TAP[,mac=ADDRESS][,mtu=BYTES]`.
    ///
    /// # Errors
    /// See [`NetTextError`].
    pub fn from_text(text: &str) -> Result<Self, NetTextError> {
        let mut parts = text.split(',');
        let name = parts.next().filter(|name| !name.is_empty()).ok_or(NetTextError::NoName)?;
        let mut properties = Properties::default();
        for option in parts {
            match option.split_once('=') {
                Some(("mac", address)) => properties.mac = Some(address.parse::<Mac>()?),
                Some(("mtu", bytes)) => {
                    let mtu = bytes.parse().ok().filter(|mtu| MTUS.contains(mtu));
                    properties.mtu = Some(mtu.ok_or_else(|| NetTextError::Mtu(bytes.to_owned()))?);
                }
                _ => return Err(NetTextError::Option(option.to_owned())),
            }
        }
        Ok(Self { host_dev_name: name.to_owned(), properties, rates: Rates::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_as_text_is_a_tap_and_options() {
        let interface = NetConfig::from_text("tap0,mac=06:00:ac:10:00:02,mtu=1400").unwrap();
        assert_eq!(interface.host_dev_name, "tap0");
        assert_eq!(interface.properties.mac.map(|mac| mac.to_string()).as_deref(), Some("06:00:ac:10:00:02"));
        assert_eq!(interface.properties.mtu, Some(1400));
        assert_eq!(
            NetConfig::from_text("tap0").map(|interface| interface.properties),
            Ok(Properties::default())
        );
        assert_eq!(NetConfig::from_text(",mtu=1400"), Err(NetTextError::NoName));
        assert_eq!(NetConfig::from_text("tap0,up"), Err(NetTextError::Option("up".into())));
        assert!(matches!(NetConfig::from_text("tap0,mac=01:00:00:00:00:01"), Err(NetTextError::Mac(_))));
        for mtu in ["67", "65536", "", "-1"] {
            let text = format!("tap0,mtu={mtu}");
            assert_eq!(NetConfig::from_text(&text), Err(NetTextError::Mtu(mtu.into())), "{text}");
        }
    }

    #[test]
    fn what_no_interface_can_be_called_is_refused_before_anything_is_asked() {
        for name in ["", "..", "a_name_of_sixteen", "a b", "a/b", "a:b", "tap%d", "tap\0"] {
            let (properties, rates) = (Properties::default(), Rates::default());
            let config = NetConfig { host_dev_name: name.into(), properties, rates };
            assert!(matches!(Interface::open(&config), Err(Error::Name { .. })), "{name:?}");
        }
        assert!(Named::new("fifteen_letters").is_ok());
    }
}
