//! Model-specific registers of a vCPU that starts.
#![forbid(unsafe_code)]

use kvm_bindings::{Msrs, kvm_msr_entry};
use kvm_ioctls::VcpuFd;

/// Register, value at the start and name. Numbers from Linux arch/x86/include/asm/msr-index.h.
const AT_START: [(u32, u64, &str); 11] = [
    (0x10, 0, "IA32_TIME_STAMP_COUNTER"),
    (0x174, 0, "IA32_SYSENTER_CS"),
    (0x175, 0, "IA32_SYSENTER_ESP"),
    (0x176, 0, "IA32_SYSENTER_EIP"),
    // Fast string operations on (bit 0), as after a processor's reset.
    (0x1a0, 1, "IA32_MISC_ENABLE"),
    // Memory types on (bit 11), write-back (6) for all that no range register names: all memory is cached, and the
    // holes for MMIO are KVM's affair.
    (0x2ff, 1 << 11 | 6, "IA32_MTRR_DEF_TYPE"),
    (0xc000_0081, 0, "IA32_STAR"),
    (0xc000_0082, 0, "IA32_LSTAR"),
    (0xc000_0083, 0, "IA32_CSTAR"),
    (0xc000_0084, 0, "IA32_FMASK"),
    (0xc000_0102, 0, "IA32_KERNEL_GS_BASE"),
];

/// Why the registers could not be set.
#[derive(Debug, thiserror::Error)]
pub enum MsrError {
    /// The call failed.
    #[error("KVM cannot set the model-specific registers of a vCPU: {0}")]
    Set(kvm_ioctls::Error),
    /// KVM stopped at a register that it does not have.
    #[error("KVM refuses the model-specific register {name} ({index:#x}) with the value {value:#x}")]
    Refused {
        /// Its name.
        name: &'static str,
        /// Its number.
        index: u32,
        /// The value that was tried.
        value: u64,
    },
}

/// Sets the registers of a vCPU.
///
/// # Errors
/// [`MsrError`], which names the register.
pub fn set(vcpu: &VcpuFd) -> Result<(), MsrError> {
    let entries = AT_START.map(|(index, data, _)| kvm_msr_entry { index, data, ..Default::default() });
    let msrs = Msrs::from_entries(&entries).expect("eleven entries fit KVM's limit of 256");
    let count = vcpu.set_msrs(&msrs).map_err(MsrError::Set)?;
    match AT_START.get(count) {
        None => Ok(()),
        Some(&(index, value, name)) => Err(MsrError::Refused { name, index, value }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::{interrupt, kvm};

    #[test]
    fn vcpu_reads_back_what_was_set() {
        let vm = kvm::open().expect("this test needs KVM").create_vm().unwrap();
        interrupt::create(&vm).unwrap();
        let vcpu = vm.create_vcpu(0).unwrap();
        set(&vcpu).unwrap();
        // The time stamp counter runs on, so it is left out.
        let indices = AT_START.iter().skip(1);
        let entries: Vec<_> = indices
            .clone()
            .map(|(index, _, _)| kvm_msr_entry { index: *index, ..Default::default() })
            .collect();
        let mut msrs = Msrs::from_entries(&entries).unwrap();
        assert_eq!(vcpu.get_msrs(&mut msrs).unwrap(), entries.len());
        for (entry, (_, value, name)) in msrs.as_slice().iter().zip(indices) {
            assert_eq!(entry.data, *value, "{name}");
        }
    }
}
