//! A machine's configuration in a file: the part of Firecracker's configuration format that exists here.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

use crate::machine::{HugePages, MAX_VCPUS};

/// What a configuration file asks for.
#[derive(Debug, Default)]
pub(super) struct RunConfig {
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(rename = "boot-source")]
    boot_source: BootSource,
    #[serde(rename = "machine-config", default)]
    machine_config: MachineConfig,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BootSource {
    kernel_image_path: PathBuf,
    initrd_path: Option<PathBuf>,
    boot_args: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct MachineConfig {
    #[serde(default, deserialize_with = "vcpu_count")]
    vcpu_count: Option<u8>,
    mem_size_mib: Option<u32>,
    huge_pages: Option<HugePagesName>,
}

/// Firecracker's names, and one of ours for transparent huge pages.
#[derive(Clone, Copy, Deserialize)]
enum HugePagesName {
    None,
    #[serde(rename = "2M")]
    Explicit2M,
    Transparent,
}

impl From<HugePagesName> for HugePages {
    fn from(name: HugePagesName) -> Self {
        match name {
            HugePagesName::None => Self::Off,
            HugePagesName::Explicit2M => Self::Explicit2M,
            HugePagesName::Transparent => Self::Transparent,
        }
    }
}

/// In words of the subject and not of a type.
fn vcpu_count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u8>, D::Error> {
    let Some(count) = Option::<u64>::deserialize(deserializer)? else { return Ok(None) };
    let small = u8::try_from(count).ok().filter(|count| (1..=MAX_VCPUS).contains(count));
    let refused = || D::Error::custom(format_args!("a machine has 1 to {MAX_VCPUS} vCPUs here, not {count}"));
    small.map(Some).ok_or_else(refused)
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

    fn parse(text: &str) -> Result<Self, serde_json::Error> {
        let Document { boot_source, machine_config } = serde_json::from_str(text)?;
        Ok(Self {
            kernel: Some(boot_source.kernel_image_path),
            initrd: boot_source.initrd_path,
            command_line: boot_source.boot_args,
            vcpus: machine_config.vcpu_count,
            memory_mib: machine_config.mem_size_mib,
            huge_pages: machine_config.huge_pages.map(HugePages::from),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_member_that_is_not_there_yet_is_refused_by_name() {
        let error = RunConfig::parse(r#"{"boot-source":{"kernel_image_path":"x"},"drives":[]}"#).unwrap_err();
        assert!(error.to_string().contains("unknown field `drives`"), "{error}");
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
