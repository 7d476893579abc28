//! Opening KVM, and checking that it is one that a machine can be built on.
#![forbid(unsafe_code)]

use std::ffi::CString;
use std::io;

use kvm_ioctls::{Cap, Kvm};

/// The device that KVM is opened by.
pub const DEVICE: &str = "/dev/kvm";

/// The only version of the interface that was ever stable (`KVM_API_VERSION`, Linux include/uapi/linux/kvm.h).
pub const API_VERSION: i32 = 12;

/// A capability that a machine cannot do without.
#[derive(Clone, Copy, Debug)]
pub struct Needed {
    /// Which one.
    pub capability: Cap,
    /// Its name in the kernel's header.
    pub name: &'static str,
    /// What the monitor does with it.
    pub purpose: &'static str,
}

/// Every capability that a machine cannot do without; each is there on any x86 kernel since 4.11. (The
/// threads' descriptor tables need 5.9, so that is what errors advise.)
pub const NEEDED: [Needed; 9] = [
    needed(Cap::UserMemory, "KVM_CAP_USER_MEMORY", "to give the guest memory"),
    needed(Cap::Irqchip, "KVM_CAP_IRQCHIP", "for the interrupt controllers"),
    needed(Cap::Pit2, "KVM_CAP_PIT2", "for the timer"),
    needed(Cap::SetTssAddr, "KVM_CAP_SET_TSS_ADDR", "to run a vCPU in real mode"),
    needed(Cap::SetIdentityMapAddr, "KVM_CAP_SET_IDENTITY_MAP_ADDR", "to run a vCPU in real mode"),
    needed(Cap::ExtCpuid, "KVM_CAP_EXT_CPUID", "to say what the processor can do"),
    needed(Cap::Irqfd, "KVM_CAP_IRQFD", "to raise interrupts from another thread"),
    needed(Cap::Ioeventfd, "KVM_CAP_IOEVENTFD", "to learn of queue notifications"),
    needed(Cap::ImmediateExit, "KVM_CAP_IMMEDIATE_EXIT", "to pause a vCPU"),
];

const fn needed(capability: Cap, name: &'static str, purpose: &'static str) -> Needed {
    Needed { capability, name, purpose }
}

/// What to do where there is no device, or no module behind it.
const LOAD_MODULE: &str = "load the module (modprobe kvm_intel or kvm_amd), turn on virtualization in the firmware, \
                           or, inside a virtual machine, nested virtualization on its host";
/// What to do without permission.
const JOIN_GROUP: &str = "add the user to the device's group (usually `usermod -aG kvm USER`, then log in again) or \
                          run as root";
/// What to do with a KVM that is too old, or none.
const NEWER_KERNEL: &str = "use Linux 5.9 or later";

/// Why KVM cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KvmError {
    /// No device.
    #[error("cannot open {path}: there is no such device; {LOAD_MODULE}")]
    Missing {
        /// The device.
        path: String,
    },
    /// A device that this user may not open.
    #[error("cannot open {path}: permission denied; {JOIN_GROUP}")]
    Permission {
        /// The device.
        path: String,
    },
    /// Anything else that open said.
    #[error("cannot open {path}: {source}; {LOAD_MODULE}")]
    Open {
        /// The device.
        path: String,
        /// What open answered.
        source: io::Error,
    },
    /// It answered, but is not the KVM that we know.
    #[error(
        "{path} speaks version {found} of the KVM interface, not {API_VERSION}: it is no KVM device; {NEWER_KERNEL}"
    )]
    ApiVersion {
        /// The device.
        path: String,
        /// What `KVM_GET_API_VERSION` answered; -1 for an error.
        found: i32,
    },
    /// A capability is missing.
    #[error("this host's KVM lacks {name}, which is needed {purpose}; {NEWER_KERNEL}")]
    Capability {
        /// The constant's name.
        name: &'static str,
        /// What for.
        purpose: &'static str,
    },
}

impl KvmError {
    /// What to do about it: the last part of the error's text.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Missing { .. } | Self::Open { .. } => LOAD_MODULE,
            Self::Permission { .. } => JOIN_GROUP,
            Self::ApiVersion { .. } | Self::Capability { .. } => NEWER_KERNEL,
        }
    }

    /// What is wrong, without what to do.
    pub fn problem(&self) -> String {
        let text = self.to_string();
        let problem = text.strip_suffix(self.remedy()).and_then(|text| text.strip_suffix("; "));
        problem.unwrap_or(&text).to_owned()
    }
}

/// Opens `/dev/kvm` and checks version and capabilities.
///
/// # Errors
/// [`KvmError`], with what to do.
pub fn open() -> Result<Kvm, KvmError> {
    open_at(DEVICE)
}

/// Opens the KVM device at `path`, and checks version and capabilities.
///
/// # Errors
/// [`KvmError`], with what to do.
pub fn open_at(path: &str) -> Result<Kvm, KvmError> {
    let name = CString::new(path)
        .map_err(|_| KvmError::Open { path: path.to_owned(), source: io::ErrorKind::InvalidInput.into() })?;
    let kvm = Kvm::new_with_path(&name).map_err(|error| open_error(path, error.errno()))?;
    let found = kvm.get_api_version();
    if found != API_VERSION {
        return Err(KvmError::ApiVersion { path: path.to_owned(), found });
    }
    let lack = missing(&kvm).next();
    match lack {
        None => Ok(kvm),
        Some(lack) => Err(KvmError::Capability { name: lack.name, purpose: lack.purpose }),
    }
}

/// The needed capabilities that this KVM lacks.
pub fn missing(kvm: &Kvm) -> impl Iterator<Item = &'static Needed> {
    NEEDED.iter().filter(|needed| !kvm.check_extension(needed.capability))
}

fn open_error(path: &str, errno: i32) -> KvmError {
    let path = path.to_owned();
    match errno {
        libc::ENOENT => KvmError::Missing { path },
        libc::EACCES | libc::EPERM => KvmError::Permission { path },
        _ => KvmError::Open { path, source: io::Error::from_raw_os_error(errno) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_device_is_an_error_that_names_the_module() {
        let error = open_at("/dev/no-such-kvm").unwrap_err();
        assert!(matches!(error, KvmError::Missing { .. }));
        assert!(error.to_string().contains("modprobe kvm_intel or kvm_amd"), "{error}");
    }

    #[test]
    fn device_that_is_not_kvm_is_an_error_that_names_both_versions() {
        let error = open_at("/dev/null").unwrap_err();
        assert!(matches!(error, KvmError::ApiVersion { found: -1, .. }), "{error}");
    }

    #[test]
    fn refused_open_is_an_error_that_names_the_group() {
        for errno in [libc::EACCES, libc::EPERM] {
            let error = open_error(DEVICE, errno);
            assert!(error.to_string().contains("usermod -aG kvm"), "{error}");
        }
    }

    #[test]
    fn every_error_is_its_problem_and_its_remedy() {
        let path = || "/dev/kvm".to_owned();
        let errors = [
            KvmError::Missing { path: path() },
            KvmError::Permission { path: path() },
            KvmError::Open { path: path(), source: io::Error::from_raw_os_error(libc::ENXIO) },
            KvmError::ApiVersion { path: path(), found: 11 },
            KvmError::Capability { name: "KVM_CAP_PIT2", purpose: "for the timer" },
        ];
        for error in errors {
            assert_eq!(error.to_string(), format!("{}; {}", error.problem(), error.remedy()));
        }
    }

    #[test]
    fn other_failures_to_open_keep_the_reason_of_the_kernel() {
        let error = open_error(DEVICE, libc::ENXIO);
        assert!(error.to_string().contains("No such device or address"), "{error}");
    }
}
