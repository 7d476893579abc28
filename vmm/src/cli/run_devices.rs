//! The devices that `ringfence run` gives a guest.

use std::io::{self, Write as _};

use super::run_config::RunConfig;
use crate::api::model::{ConsoleKind, NetworkInterface};
use crate::devices::virtio::Limits;
use crate::machine::layout::MAX_VIRTIO;
use crate::role::devices::{
    BalloonConfig, BalloonError, Devices, Disk, DiskConfig, DiskError, Interface, NetConfig, NetError, Vsock,
    VsockConfig, VsockError,
};

/// Options about devices.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct DeviceArgs {
    /// Give the guest a disk; may be given several times. ro: it is only read. cache=writeback: what the guest flushes
    /// outlives a loss of power; cache=unsafe (the default) promises nothing. A comma of the path is written ,,
    #[arg(long = "disk", value_name = "FILE[,ro][,cache=KIND]", value_parser = DiskConfig::from_text)]
    disks: Vec<DiskConfig>,
    /// Give the guest a network interface by this TAP of the host's, which is made if it is not there and ringfence may;
    /// may be given several times. mac: its address in the guest. mtu: the longest packet, in bytes
    #[arg(long = "net", value_name = "TAP[,mac=ADDRESS][,mtu=BYTES]", value_parser = NetConfig::from_text)]
    interfaces: Vec<NetConfig>,
    /// Give the guest a source of random bytes (virtio-rng)
    #[arg(long)]
    entropy: bool,
    /// What standard input goes to, and the default command line's console: the serial port, or a console device
    /// (virtio-console) beside it [default: serial]
    #[arg(long, value_name = "KIND")]
    console: Option<ConsoleKind>,
    /// Give the guest a memory balloon that it should fill with so many MiB. deflate-on-oom: it may take them back before one of
    /// its processes dies; statistics=SECONDS: it tells of its memory that often; free-page-reporting: what it does not use is
    /// released, too
    #[arg(
        long,
        value_name = "MIB[,OPTION]...",
        value_parser = BalloonConfig::from_text
    )]
    balloon: Option<BalloonConfig>,
    /// Give the guest a keyboard, on which Ctrl-A d presses Ctrl-Alt-Del
    #[arg(long)]
    pub(super) keyboard: bool,
    /// Give the guest a socket device (virtio-vsock) with this address, from 3 on, and the host's end as a Unix socket. To
    /// reach port P of the guest, connect to it and write "CONNECT P" and a new line; the guest reaches port P of the host at
    /// a socket of the same path with _P after it
    #[arg(long, value_name = "CID,SOCKET", value_parser = VsockConfig::from_text)]
    vsock: Option<VsockConfig>,
}

/// Why a device cannot be there.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A disk.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// A network interface.
    #[error(transparent)]
    Net(#[from] NetError),
    /// The balloon.
    #[error(transparent)]
    Balloon(#[from] BalloonError),
    /// The socket device.
    #[error(transparent)]
    Vsock(#[from] VsockError),
    /// More devices than a guest can have.
    #[error(
        "a guest has at most {MAX_VIRTIO} virtio devices here, not {count}: leave some out, or put several disks into \
         one"
    )]
    Count {
        /// What was asked for.
        count: usize,
    },
}

impl DeviceArgs {
    /// Opens what the guest gets: disks and interfaces of the file, then those of the command line.
    ///
    /// # Errors
    /// See [`Error`].
    pub(super) fn open(&self, from_file: &RunConfig) -> Result<Devices, Error> {
        let configs = self.disks(from_file);
        let entropy = self.entropy(from_file);
        let interfaces = [&from_file.interfaces[..], &self.interfaces].concat();
        let console = self.console(from_file) == ConsoleKind::Virtio;
        let balloon = self.balloon(from_file);
        let vsock = self.vsock(from_file);
        let others = [entropy.is_some(), balloon.is_some(), console, vsock.is_some()];
        let count = configs.len() + interfaces.len() + others.into_iter().filter(|there| *there).count();
        if count > MAX_VIRTIO.into() {
            return Err(Error::Count { count });
        }
        let disks = configs.iter().map(open_disk).collect::<Result<_, _>>()?;
        let opened = Interface::open_all(&interfaces)?;
        interfaces
            .iter()
            .zip(&opened)
            .filter(|(_, opened)| opened.made)
            .for_each(|(config, _)| tell_of_made(config));
        // Last, since it leaves a file behind.
        let vsock = vsock.map(Vsock::open).transpose()?;
        let interface_names =
            self.named_interfaces(from_file).into_iter().map(|named| named.iface_id).collect();
        Ok(Devices { entropy, balloon, console, disks, interfaces: opened, vsock, interface_names })
    }

    /// The disks of the file, then those of the command line.
    pub(super) fn disks(&self, from_file: &RunConfig) -> Vec<DiskConfig> {
        let given = self.disks.iter().enumerate().map(|(index, disk)| {
            let id = format!("disk{}", from_file.disks.len() + index);
            DiskConfig { id, ..disk.clone() }
        });
        from_file.disks.iter().cloned().chain(given).collect()
    }

    /// The network interfaces of the file, then those of the command line, as the API shows them.
    pub(super) fn named_interfaces(&self, from_file: &RunConfig) -> Vec<NetworkInterface> {
        let first = from_file.named_interfaces.len();
        let given = (first..).zip(&self.interfaces);
        let named = given.map(|(index, interface)| interface.to_named(format!("net{index}")));
        from_file.named_interfaces.iter().cloned().chain(named).collect()
    }

    /// The socket device: the command line's, or else the file's.
    pub(super) fn vsock<'a>(&'a self, from_file: &'a RunConfig) -> Option<&'a VsockConfig> {
        self.vsock.as_ref().or(from_file.vsock.as_ref())
    }

    /// The balloon.
    pub(super) fn balloon(&self, from_file: &RunConfig) -> Option<BalloonConfig> {
        self.balloon.or(from_file.balloon)
    }

    /// Where the guest's user sits.
    pub(super) fn console(&self, from_file: &RunConfig) -> ConsoleKind {
        self.console.or(from_file.console).unwrap_or_default()
    }

    /// The limits of the entropy device, where there is one.
    pub(super) fn entropy(&self, from_file: &RunConfig) -> Option<Limits> {
        from_file.entropy.or_else(|| self.entropy.then(Limits::default))
    }
}

/// Opens a disk, and says what of it the guest does not see.
fn open_disk(config: &DiskConfig) -> Result<Disk, DiskError> {
    let disk = Disk::open(config)?;
    if disk.remainder > 0 {
        let (path, remainder) = (config.path.display(), disk.remainder);
        // If nobody reads there, nobody reads.
        let _ = writeln!(
            io::stderr(),
            "ringfence: the last {remainder} bytes of {path} are less than a sector, and the guest does not see them"
        );
    }
    Ok(disk)
}

/// Says what is left to do with a TAP that was made.
fn tell_of_made(NetConfig { host_dev_name: name, .. }: &NetConfig) {
    // If nobody reads there, nobody reads.
    let _ = writeln!(
        io::stderr(),
        "ringfence: made the TAP {name}, which goes when this run ends; the host's side of it gets an address by \
         ip address add ADDRESS/24 dev {name}"
    );
}
