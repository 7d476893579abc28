//! Interrupt controllers and timer, all in the kernel: two PICs, an I/O APIC, a local APIC for each vCPU, a PIT.
#![forbid(unsafe_code)]

use kvm_bindings::{KVM_PIT_SPEAKER_DUMMY, kvm_lapic_state, kvm_pit_config};
use kvm_ioctls::{VcpuFd, VmFd};

use super::layout::{KVM_IDENTITY_MAP, KVM_TSS};

/// Offsets of the local vector table's entries for the two interrupt pins (Intel SDM volume 3, table 12-1).
const LVT_LINT0: usize = 0x350;
const LVT_LINT1: usize = 0x360;
/// Delivery mode, bits 10 to 8, and the mask bit of such an entry (SDM volume 3, figure 12-8).
const DELIVERY_MODE: u32 = 7 << 8;
const DELIVER_NMI: u32 = 4 << 8;
const DELIVER_EXTINT: u32 = 7 << 8;
const MASKED: u32 = 1 << 16;

/// Why interrupt controllers or timer could not be made.
#[derive(Debug, thiserror::Error)]
pub enum InterruptError {
    /// A KVM call failed.
    #[error("KVM cannot {what}: {source}")]
    Kvm {
        /// What was asked.
        what: &'static str,
        /// What it answered.
        source: kvm_ioctls::Error,
    },
}

fn kvm(what: &'static str) -> impl FnOnce(kvm_ioctls::Error) -> InterruptError {
    move |source| InterruptError::Kvm { what, source }
}

/// Creates the interrupt controllers and the timer. Must come before the first vCPU (KVM api.rst 4.24).
///
/// # Errors
/// [`InterruptError`].
pub fn create(vm: &VmFd) -> Result<(), InterruptError> {
    vm.set_identity_map_address(KVM_IDENTITY_MAP).map_err(kvm("place its identity map page"))?;
    vm.set_tss_address(usize::try_from(KVM_TSS).unwrap_or_default()).map_err(kvm("place its TSS pages"))?;
    vm.create_irq_chip().map_err(kvm("create the interrupt controllers"))?;
    // The speaker flag makes KVM answer port 0x61 itself: guests calibrate their clock with the PIT through it.
    let config = kvm_pit_config { flags: KVM_PIT_SPEAKER_DUMMY, ..Default::default() };
    vm.create_pit2(config).map_err(kvm("create the timer (PIT)"))
}

/// Wires the two interrupt pins of a vCPU's local APIC as PC firmware leaves them: LINT0 to the PIC, LINT1 to NMI.
///
/// # Errors
/// [`InterruptError`].
pub fn wire_local_apic(vcpu: &VcpuFd) -> Result<(), InterruptError> {
    let mut lapic = vcpu.get_lapic().map_err(kvm("read a local APIC"))?;
    wire(&mut lapic, LVT_LINT0, DELIVER_EXTINT);
    wire(&mut lapic, LVT_LINT1, DELIVER_NMI);
    vcpu.set_lapic(&lapic).map_err(kvm("set a local APIC"))
}

fn wire(lapic: &mut kvm_lapic_state, register: usize, mode: u32) {
    let value = read(lapic, register) & !(DELIVERY_MODE | MASKED) | mode;
    for (byte, to) in value.to_le_bytes().into_iter().zip(&mut lapic.regs[register..]) {
        *to = byte.cast_signed();
    }
}

fn read(lapic: &kvm_lapic_state, register: usize) -> u32 {
    u32::from_le_bytes(std::array::from_fn(|i| lapic.regs[register + i].cast_unsigned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::kvm::open;

    #[test]
    fn pins_of_every_local_apic_are_wired_to_the_pic_and_nmi() {
        let vm = open().expect("this test needs KVM").create_vm().unwrap();
        create(&vm).unwrap();
        for id in 0..2 {
            let vcpu = vm.create_vcpu(id).unwrap();
            wire_local_apic(&vcpu).unwrap();
            let lapic = vcpu.get_lapic().unwrap();
            assert_eq!(read(&lapic, LVT_LINT0), DELIVER_EXTINT);
            assert_eq!(read(&lapic, LVT_LINT1), DELIVER_NMI);
        }
    }

    #[test]
    fn wiring_changes_delivery_mode_and_mask_alone() {
        let mut lapic = kvm_lapic_state::default();
        lapic.regs[LVT_LINT0..LVT_LINT0 + 4].copy_from_slice(&[0x31, 0x25, 0x01, 0]);
        wire(&mut lapic, LVT_LINT0, DELIVER_EXTINT);
        assert_eq!(read(&lapic, LVT_LINT0), 0x2731);
    }

    #[test]
    fn controllers_cannot_be_created_twice_and_the_error_says_which_step_failed() {
        let vm = open().expect("this test needs KVM").create_vm().unwrap();
        create(&vm).unwrap();
        let error = create(&vm).unwrap_err();
        assert!(error.to_string().starts_with("KVM cannot create the interrupt controllers"), "{error}");
    }
}
