//! A machine's configuration in a file: the part of Firecracker's configuration format that exists here.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use serde::de::Error as _;

use crate::api::model::{Configuration, ConsoleKind, Logger, Metrics, NetworkInterface, PartUuid, Serial};
use crate::devices::virtio::Limits;
use crate::machine::HugePages;
use crate::role::devices::{BalloonConfig, DiskConfig, NetConfig, VsockConfig};

/// What a configuration file asks for.
#[derive(Debug, Default)]
pub struct RunConfig {
    /// `boot-source.kernel_image_path`
    pub kernel: Option<PathBuf>,
    /// `boot-source.initrd_path`
    pub initrd: Option<PathBuf>,
    /// `boot-source.boot_args`
    pub command_line: Option<String>,
    /// `machine-config.vcpu_count`
    pub vcpus: Option<u8>,
    /// `machine-config.mem_size_mib`
    pub memory_mib: Option<u32>,
    /// `machine-config.huge_pages`
    pub huge_pages: Option<HugePages>,
    /// `drives`, in their order, the root device first
    pub disks: Vec<DiskConfig>,
    /// `drives[].is_root_device`: there is one, which may be only read
    pub root: Option<Root>,
    /// `network-interfaces`, in their order
    pub interfaces: Vec<NetConfig>,
    /// The same as they stand there, with their names
    pub named_interfaces: Vec<NetworkInterface>,
    /// `entropy`, with its rate limiter
    pub entropy: Option<Limits>,
    /// `balloon`
    pub balloon: Option<BalloonConfig>,
    /// `vsock`
    pub vsock: Option<VsockConfig>,
    /// `console.kind`
    pub console: Option<ConsoleKind>,
    /// `logger`
    pub logger: Option<Logger>,
    /// `metrics`
    pub metrics: Option<Metrics>,
    /// `serial`
    pub serial: Option<Serial>,
}

/// The first disk is the kernel's root device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    /// It is only read.
    pub read_only: bool,
    /// The partition, or the whole disk.
    pub partuuid: Option<PartUuid>,
}

impl Root {
    /// As Firecracker tells the kernel.
    pub(super) fn parameters(&self) -> String {
        let access = if self.read_only { "ro" } else { "rw" };
        match &self.partuuid {
            Some(partition) => format!("root=PARTUUID={} {access}", partition.as_str()),
            None => format!("root=/dev/vda {access}"),
        }
    }
}

/// Why a configuration file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be read.
    #[error("cannot read the configuration {}: {source}; give --config a JSON file", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// It is not what it should be.
    #[error("{}: {source}; docs/run-config.md shows the format", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        source: serde_json::Error,
    },
}

/// No configuration comes near; /dev/zero has no end.
const MOST_BYTES: u64 = 1024 * 1024;

fn read_text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    // A byte more, by which a longer one is known.
    File::open(path)?.take(MOST_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MOST_BYTES {
        return Err(io::Error::other(format!("it is longer than {MOST_BYTES} bytes")));
    }
    Ok(text)
}

impl RunConfig {
    /// Reads a configuration file. Paths in it are taken from the current folder, as Firecracker does.
    ///
    /// # Errors
    /// See [`Error`]; a member that is not known here is one.
    pub(super) fn read(path: &Path) -> Result<Self, Error> {
        let text = read_text(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
        Self::parse(&text).map_err(|source| Error::Format { path: path.to_owned(), source })
    }

    /// The same from the text of such a file.
    ///
    /// # Errors
    /// What is wrong in it, and where.
    pub fn parse(text: &str) -> Result<Self, serde_json::Error> {
        Self::of(serde_json::from_str(text)?).map_err(serde_json::Error::custom)
    }

    /// The same from a configuration that is read already.
    ///
    /// # Errors
    /// What contradicts itself in it, in words.
    pub(super) fn of(configuration: Configuration) -> Result<Self, &'static str> {
        let Configuration {
            boot_source,
            machine_config,
            mut drives,
            network_interfaces,
            entropy,
            balloon,
            vsock,
            console,
            logger,
            metrics,
            serial,
            // What is absent here.
            cpu_config: _,
            mmds_config: _,
            pmem: _,
            memory_hotplug: _,
        } = configuration;
        let roots = drives.iter().filter(|drive| drive.is_root_device);
        let root = only(
            roots.map(|drive| Root { read_only: drive.is_read_only, partuuid: drive.partuuid.clone() }),
        )?;
        // The kernel is told of it as /dev/vda.
        drives.sort_by_key(|drive| !drive.is_root_device);
        Ok(Self {
            kernel: Some(boot_source.kernel_image_path),
            initrd: boot_source.initrd_path,
            command_line: boot_source.boot_args,
            root,
            vcpus: machine_config.vcpu_count,
            memory_mib: machine_config.mem_size_mib,
            huge_pages: machine_config.huge_pages.map(HugePages::from),
            disks: drives.into_iter().map(DiskConfig::from).collect(),
            named_interfaces: network_interfaces.clone(),
            interfaces: network_interfaces.into_iter().map(NetConfig::from).collect(),
            entropy: entropy.map(|entropy| entropy.rate_limiter.unwrap_or_default().into()),
            balloon: balloon.map(BalloonConfig::from),
            vsock: vsock.map(VsockConfig::from),
            console: console.map(|console| console.kind),
            logger,
            metrics,
            serial,
        })
    }
}

/// The one value that there may be.
fn only<T>(mut values: impl Iterator<Item = T>) -> Result<Option<T>, &'static str> {
    let first = values.next();
    if values.next().is_some() { Err("several drives are the root device; one may be") } else { Ok(first) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::devices::virtio::Rate;
    use crate::devices::virtio::block::Cache;

    #[test]
    fn firecracker_s_own_example_of_a_machine_is_understood() {
        let config = RunConfig::parse(
            r#"{
                "boot-source": { "kernel_image_path": "vmlinux", "boot_args": "console=ttyS0", "initrd_path": null },
                "machine-config": { "vcpu_count": 2, "mem_size_mib": 1024, "huge_pages": "2M" }
            }"#,
        )
        .unwrap();
        assert_eq!(config.kernel.as_deref(), Some(Path::new("vmlinux")));
        assert_eq!((config.vcpus, config.memory_mib), (Some(2), Some(1024)));
        assert_eq!(config.huge_pages, Some(HugePages::Explicit2M));
        assert_eq!(config.initrd, None);
    }

    #[test]
    fn drives_are_disks_with_the_root_device_first_and_on_the_command_line() {
        let text = r#"{
            "boot-source": { "kernel_image_path": "vmlinux", "boot_args": "console=ttyS0" },
            "drives": [
                { "drive_id": "data", "path_on_host": "data.img", "is_root_device": false, "cache_type": "Writeback" },
                { "drive_id": "root", "path_on_host": "root.ext4", "is_root_device": true, "is_read_only": true,
                    "io_engine": "Async" }
            ]
        }"#;
        let config = RunConfig::parse(text).unwrap();
        let disk = |id: &str, path: &str, read_only, cache| DiskConfig {
            path: path.into(),
            id: id.into(),
            read_only,
            cache,
            limits: Limits::default(),
            own_thread: read_only,
        };
        assert_eq!(
            config.disks,
            [
                disk("root", "root.ext4", true, Cache::Unsafe),
                disk("data", "data.img", false, Cache::Writeback)
            ]
        );
        assert_eq!(config.command_line.as_deref(), Some("console=ttyS0"));
        assert_eq!(config.root.unwrap().parameters(), "root=/dev/vda ro");
        let error = RunConfig::parse(&text.replace("false", "true")).unwrap_err().to_string();
        assert!(error.contains("several drives are the root device"), "{error}");
        let error = RunConfig::parse(&text.replace("is_read_only", "read_only")).unwrap_err().to_string();
        assert!(error.contains("unknown field `read_only`"), "{error}");
    }

    #[test]
    fn a_file_that_names_all_of_firecracker_s_members_is_taken_where_they_ask_for_nothing() {
        let text = r#"{
            "boot-source": { "kernel_image_path": "vmlinux", "boot_args": "quiet", "initrd_path": null },
            "drives": [{
                "drive_id": "rootfs", "partuuid": null, "is_root_device": true, "cache_type": "Unsafe",
                "is_read_only": false, "path_on_host": "root.ext4", "io_engine": "Sync", "rate_limiter": null,
                "socket": null
            }],
            "machine-config": {
                "vcpu_count": 2, "mem_size_mib": 1024, "smt": false, "track_dirty_pages": false, "huge_pages": "None",
                "cpu_template": "None"
            },
            "cpu-config": null, "balloon": null, "network-interfaces": [], "vsock": null, "mmds-config": null,
            "entropy": null, "pmem": [], "memory-hotplug": null, "logger": null, "metrics": null, "serial": null
        }"#;
        let parse = |written: &str, instead: &str| {
            assert!(text.contains(written), "{written}");
            RunConfig::parse(&text.replace(written, instead)).map_err(|error| error.to_string())
        };
        let root = |config: RunConfig| config.root.unwrap().parameters();
        assert_eq!(root(parse("", "").unwrap()), "root=/dev/vda rw");
        let partition = r#""partuuid": "0eaa91a0-01""#;
        assert_eq!(root(parse(r#""partuuid": null"#, partition).unwrap()), "root=PARTUUID=0eaa91a0-01 rw");
        let own_thread = |config: RunConfig| config.disks[0].own_thread;
        assert!(!own_thread(parse("", "").unwrap()));
        assert!(own_thread(parse(r#""Sync""#, r#""Async""#).unwrap()));
        for (written, instead, why) in [
            (r#""partuuid": null"#, r#""partuuid": "1 init=/x""#, "`1 init=/x` is none"),
            (r#""Sync""#, r#""sync""#, "`sync`, expected `Sync` or `Async`"),
            (r#""socket": null"#, r#""socket": "v.sock""#, "no vhost-user disks"),
            (r#""cpu-config": null"#, r#""cpu-config": {}"#, "no CPU templates"),
            (r#""mmds-config": null"#, r#""mmds-config": {}"#, "no metadata service"),
            (r#""pmem": []"#, r#""pmem": [{"id": "p"}]"#, "no pmem devices"),
            (r#""memory-hotplug": null"#, r#""memory-hotplug": {}"#, "cannot be plugged in"),
        ] {
            let error = parse(written, instead).unwrap_err();
            assert!(error.contains(why), "{instead}: {error}");
        }
    }

    #[test]
    fn a_network_interface_has_a_tap_and_may_have_an_address_and_an_mtu() {
        let parse = |members| {
            let interface = format!(r#"{{"iface_id":"net1","host_dev_name":"tap0"{members}}}"#);
            RunConfig::parse(&format!(
                r#"{{"boot-source":{{"kernel_image_path":"x"}},"network-interfaces":[{interface}]}}"#
            ))
        };
        let interfaces = |text| NetConfig::from_text(text).map(|interface| vec![interface]);
        let full = parse(r#","guest_mac":"06:00:AC:10:00:02","mtu":1400"#).unwrap();
        assert_eq!(Ok(full.interfaces), interfaces("tap0,mac=06:00:ac:10:00:02,mtu=1400"));
        assert_eq!(Ok(parse(r#","guest_mac":null"#).unwrap().interfaces), interfaces("tap0"));
        for (members, expected) in [
            (r#","guest_mac":"06:00""#, "`06:00` is no MAC address"),
            (r#","guest_mac":"01:00:00:00:00:01""#, "the address of a group"),
            (r#","mtu":65536"#, "an MTU is 68 to 65535 bytes, not 65536"),
            (r#","rx_rate_limiter":{"size":1}"#, "unknown field `size`"),
        ] {
            let error = parse(members).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn an_entropy_device_is_there_if_its_member_is() {
        let parse =
            |entropy| RunConfig::parse(&format!(r#"{{"boot-source":{{"kernel_image_path":"x"}}{entropy}}}"#));
        assert_eq!(parse("").unwrap().entropy, None);
        assert_eq!(parse(r#","entropy":null"#).unwrap().entropy, None);
        assert_eq!(parse(r#","entropy":{}"#).unwrap().entropy, Some(Limits::default()));
        let limited = r#","entropy":{"rate_limiter":{"bandwidth":{"size":1000,"one_time_burst":500,"refill_time":100}}}"#;
        let rate = Rate { size: 1000, refill: Duration::from_millis(100), burst: 500 };
        assert_eq!(parse(limited).unwrap().entropy, Some(Limits { bandwidth: Some(rate), operations: None }));
        let error = parse(r#","entropy":{"rate":{}}"#).unwrap_err();
        assert!(error.to_string().contains("unknown field `rate`"), "{error}");
    }

    #[test]
    fn a_console_device_is_there_if_its_kind_is_named() {
        let parse = |console: &str| {
            RunConfig::parse(&format!(r#"{{"boot-source":{{"kernel_image_path":"x"}},"console":{console}}}"#))
        };
        assert_eq!(parse("null").unwrap().console, None);
        assert_eq!(parse(r#"{"kind":"virtio"}"#).unwrap().console, Some(ConsoleKind::Virtio));
        assert_eq!(parse(r#"{"kind":"serial"}"#).unwrap().console, Some(ConsoleKind::Serial));
        let error = parse("{}").unwrap_err().to_string();
        assert!(error.contains("missing field `kind`"), "{error}");
    }

    #[test]
    fn a_socket_device_has_firecracker_s_names() {
        let parse = |vsock: &str| {
            RunConfig::parse(&format!(r#"{{"boot-source":{{"kernel_image_path":"x"}},"vsock":{vsock}}}"#))
        };
        let config = VsockConfig { cid: 3, path: "./v.sock".into() };
        let written = r#"{"guest_cid":3,"uds_path":"./v.sock","vsock_id":"vsock0"}"#;
        assert_eq!(parse(written).unwrap().vsock, Some(config));
        assert_eq!(parse("null").unwrap().vsock, None);
        let error = parse(r#"{"guest_cid":3}"#).unwrap_err().to_string();
        assert!(error.contains("missing field `uds_path`"), "{error}");
    }

    #[test]
    fn a_member_that_is_not_known_is_refused_by_name() {
        let error = RunConfig::parse(r#"{"boot-source":{"kernel_image_path":"x"},"tpm":{}}"#).unwrap_err();
        assert!(error.to_string().contains("unknown field `tpm`"), "{error}");
    }

    #[test]
    fn a_number_of_vcpus_out_of_range_is_refused_in_words() {
        for count in ["0", "33", "300", "4294967296"] {
            let text = format!(
                r#"{{"boot-source":{{"kernel_image_path":"x"}},"machine-config":{{"vcpu_count":{count}}}}}"#
            );
            let error = RunConfig::parse(&text).unwrap_err().to_string();
            assert!(error.contains(&format!("1 to 32 vCPUs here, not {count}")), "{error}");
        }
        let without = r#"{"boot-source":{"kernel_image_path":"x"},"machine-config":{"vcpu_count":null}}"#;
        assert_eq!(RunConfig::parse(without).unwrap().vcpus, None);
    }
}
