//! KVM's requests: `include/uapi/linux/kvm.h`, in the selection that `kvm-ioctls` makes.
//!
//! The size in a request's number is that of the structure that it takes. Structures that are the same on both
//! targets are measured here; the size of one that only one target has is a number, which a test compares with
//! `kvm-bindings`.

use std::mem::size_of;

use kvm_bindings as kvm;

use super::family::family;
use super::ioctl::{NONE, READ, WRITE, request};

/// A request without an argument, or with a plain number.
const fn plain(number: i64) -> i64 {
    request(NONE, kvm::KVMIO as i64, number, 0)
}

/// A request that takes a `T`.
const fn taking<T>(direction: i64, number: i64) -> i64 {
    sized(direction, number, size_of::<T>())
}

/// A request that takes a structure of so many bytes.
const fn sized(direction: i64, number: i64, bytes: usize) -> i64 {
    request(direction, kvm::KVMIO as i64, number, bytes)
}

family! {
    /// Requests to `/dev/kvm`, virtual machines, vCPUs and devices.
    REQUESTS: Kind::Values;
    same {
        KVM_GET_API_VERSION = plain(0x00);
        KVM_CREATE_VM = plain(0x01);
        KVM_CHECK_EXTENSION = plain(0x03);
        KVM_GET_VCPU_MMAP_SIZE = plain(0x04);
        KVM_CREATE_VCPU = plain(0x41);
        KVM_GET_DIRTY_LOG = taking::<kvm::kvm_dirty_log>(WRITE, 0x42);
        KVM_SET_USER_MEMORY_REGION = taking::<kvm::kvm_userspace_memory_region>(WRITE, 0x46);
        KVM_SET_USER_MEMORY_REGION2 = taking::<kvm::kvm_userspace_memory_region2>(WRITE, 0x49);
        KVM_CREATE_GUEST_MEMFD = taking::<kvm::kvm_create_guest_memfd>(READ | WRITE, 0xd4);
        KVM_CREATE_IRQCHIP = plain(0x60);
        KVM_IRQ_LINE = taking::<kvm::kvm_irq_level>(WRITE, 0x61);
        KVM_REGISTER_COALESCED_MMIO = taking::<kvm::kvm_coalesced_mmio_zone>(WRITE, 0x67);
        KVM_UNREGISTER_COALESCED_MMIO = taking::<kvm::kvm_coalesced_mmio_zone>(WRITE, 0x68);
        KVM_SET_GSI_ROUTING = taking::<kvm::kvm_irq_routing>(WRITE, 0x6a);
        KVM_IRQFD = taking::<kvm::kvm_irqfd>(WRITE, 0x76);
        KVM_IOEVENTFD = taking::<kvm::kvm_ioeventfd>(WRITE, 0x79);
        KVM_RUN = plain(0x80);
        KVM_GET_MP_STATE = taking::<kvm::kvm_mp_state>(READ, 0x98);
        KVM_SET_MP_STATE = taking::<kvm::kvm_mp_state>(WRITE, 0x99);
        KVM_ENABLE_CAP = taking::<kvm::kvm_enable_cap>(WRITE, 0xa3);
        KVM_SIGNAL_MSI = taking::<kvm::kvm_msi>(WRITE, 0xa5);
        KVM_GET_ONE_REG = taking::<kvm::kvm_one_reg>(WRITE, 0xab);
        KVM_SET_ONE_REG = taking::<kvm::kvm_one_reg>(WRITE, 0xac);
        KVM_SET_MEMORY_ATTRIBUTES = taking::<kvm::kvm_memory_attributes>(WRITE, 0xd2);
        KVM_CREATE_DEVICE = taking::<kvm::kvm_create_device>(READ | WRITE, 0xe0);
        KVM_SET_DEVICE_ATTR = taking::<kvm::kvm_device_attr>(WRITE, 0xe1);
        KVM_GET_DEVICE_ATTR = taking::<kvm::kvm_device_attr>(WRITE, 0xe2);
        KVM_HAS_DEVICE_ATTR = taking::<kvm::kvm_device_attr>(WRITE, 0xe3);
    }
    each {
        KVM_SET_GUEST_DEBUG = 0x4048_ae9b / 0x4208_ae9b;
        KVM_GET_VCPU_EVENTS = 0x8040_ae9f / 0x8040_ae9f;
        KVM_SET_VCPU_EVENTS = 0x4040_aea0 / 0x4040_aea0;
    }
    x86_64 {
        KVM_GET_MSR_INDEX_LIST = sized(READ | WRITE, 0x02, 4);
        KVM_GET_SUPPORTED_CPUID = sized(READ | WRITE, 0x05, 8);
        KVM_GET_EMULATED_CPUID = sized(READ | WRITE, 0x09, 8);
        KVM_GET_MSR_FEATURE_INDEX_LIST = sized(READ | WRITE, 0x0a, 4);
        KVM_SET_TSS_ADDR = plain(0x47);
        KVM_SET_IDENTITY_MAP_ADDR = sized(WRITE, 0x48, 8);
        KVM_GET_IRQCHIP = sized(READ | WRITE, 0x62, 520);
        KVM_SET_IRQCHIP = sized(READ, 0x63, 520);
        KVM_CREATE_PIT2 = sized(WRITE, 0x77, 64);
        KVM_SET_CLOCK = sized(WRITE, 0x7b, 48);
        KVM_GET_CLOCK = sized(READ, 0x7c, 48);
        KVM_GET_PIT2 = sized(READ, 0x9f, 112);
        KVM_SET_PIT2 = sized(WRITE, 0xa0, 112);
        KVM_MEMORY_ENCRYPT_OP = sized(READ | WRITE, 0xba, 8);
        KVM_MEMORY_ENCRYPT_REG_REGION = sized(READ, 0xbb, 16);
        KVM_MEMORY_ENCRYPT_UNREG_REGION = sized(READ, 0xbc, 16);
        KVM_SET_MSR_FILTER = sized(WRITE, 0xc6, 392);
        KVM_GET_REGS = sized(READ, 0x81, 144);
        KVM_SET_REGS = sized(WRITE, 0x82, 144);
        KVM_GET_SREGS = sized(READ, 0x83, 312);
        KVM_SET_SREGS = sized(WRITE, 0x84, 312);
        KVM_TRANSLATE = sized(READ | WRITE, 0x85, 24);
        KVM_GET_MSRS = sized(READ | WRITE, 0x88, 8);
        KVM_SET_MSRS = sized(WRITE, 0x89, 8);
        KVM_GET_FPU = sized(READ, 0x8c, 416);
        KVM_SET_FPU = sized(WRITE, 0x8d, 416);
        KVM_GET_LAPIC = sized(READ, 0x8e, 1024);
        KVM_SET_LAPIC = sized(WRITE, 0x8f, 1024);
        KVM_SET_CPUID2 = sized(WRITE, 0x90, 8);
        KVM_GET_CPUID2 = sized(READ | WRITE, 0x91, 8);
        KVM_NMI = plain(0x9a);
        KVM_GET_DEBUGREGS = sized(READ, 0xa1, 128);
        KVM_SET_DEBUGREGS = sized(WRITE, 0xa2, 128);
        KVM_SET_TSC_KHZ = plain(0xa2);
        KVM_GET_TSC_KHZ = plain(0xa3);
        KVM_GET_XSAVE = sized(READ, 0xa4, 4096);
        KVM_SET_XSAVE = sized(WRITE, 0xa5, 4096);
        KVM_GET_XSAVE2 = sized(READ, 0xcf, 4096);
        KVM_GET_XCRS = sized(READ, 0xa6, 392);
        KVM_SET_XCRS = sized(WRITE, 0xa7, 392);
        KVM_KVMCLOCK_CTRL = plain(0xad);
        KVM_SMI = plain(0xb7);
        KVM_GET_NESTED_STATE = sized(READ | WRITE, 0xbe, 128);
        KVM_SET_NESTED_STATE = sized(WRITE, 0xbf, 128);
    }
    aarch64 {
        KVM_ARM_VCPU_INIT = sized(WRITE, 0xae, 32);
        KVM_ARM_PREFERRED_TARGET = sized(READ, 0xaf, 32);
        KVM_GET_REG_LIST = sized(READ | WRITE, 0xb0, 8);
        KVM_ARM_VCPU_FINALIZE = sized(WRITE, 0xc2, 4);
    }
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;
    use crate::constants::value;
    use crate::syscalls::Arch;

    /// The size that a request's number carries.
    fn bytes(name: &str) -> usize {
        let number = value(Arch::X86_64, name).unwrap_or_else(|| panic!("{name} is missing"));
        usize::try_from(number >> 16 & 0x3fff).unwrap()
    }

    macro_rules! sizes {
        ($($name:ident: $structure:ident;)*) => {
            #[test]
            fn requests_of_one_target_carry_the_size_of_their_structure() {
                $(assert_eq!(bytes(stringify!($name)), size_of::<kvm::$structure>(), stringify!($name));)*
            }
        };
    }

    sizes! {
        KVM_GET_MSR_INDEX_LIST: kvm_msr_list;
        KVM_GET_SUPPORTED_CPUID: kvm_cpuid2;
        KVM_GET_EMULATED_CPUID: kvm_cpuid2;
        KVM_GET_MSR_FEATURE_INDEX_LIST: kvm_msr_list;
        KVM_GET_IRQCHIP: kvm_irqchip;
        KVM_SET_IRQCHIP: kvm_irqchip;
        KVM_CREATE_PIT2: kvm_pit_config;
        KVM_SET_CLOCK: kvm_clock_data;
        KVM_GET_CLOCK: kvm_clock_data;
        KVM_GET_PIT2: kvm_pit_state2;
        KVM_SET_PIT2: kvm_pit_state2;
        KVM_MEMORY_ENCRYPT_REG_REGION: kvm_enc_region;
        KVM_MEMORY_ENCRYPT_UNREG_REGION: kvm_enc_region;
        KVM_SET_MSR_FILTER: kvm_msr_filter;
        KVM_GET_REGS: kvm_regs;
        KVM_SET_REGS: kvm_regs;
        KVM_GET_SREGS: kvm_sregs;
        KVM_SET_SREGS: kvm_sregs;
        KVM_TRANSLATE: kvm_translation;
        KVM_GET_MSRS: kvm_msrs;
        KVM_SET_MSRS: kvm_msrs;
        KVM_GET_FPU: kvm_fpu;
        KVM_SET_FPU: kvm_fpu;
        KVM_GET_LAPIC: kvm_lapic_state;
        KVM_SET_LAPIC: kvm_lapic_state;
        KVM_SET_CPUID2: kvm_cpuid2;
        KVM_GET_CPUID2: kvm_cpuid2;
        KVM_GET_VCPU_EVENTS: kvm_vcpu_events;
        KVM_SET_VCPU_EVENTS: kvm_vcpu_events;
        KVM_GET_DEBUGREGS: kvm_debugregs;
        KVM_SET_DEBUGREGS: kvm_debugregs;
        KVM_GET_XSAVE: kvm_xsave;
        KVM_GET_XSAVE2: kvm_xsave;
        KVM_SET_XSAVE: kvm_xsave;
        KVM_GET_XCRS: kvm_xcrs;
        KVM_SET_XCRS: kvm_xcrs;
        KVM_SET_GUEST_DEBUG: kvm_guest_debug;
        KVM_GET_NESTED_STATE: kvm_nested_state;
        KVM_SET_NESTED_STATE: kvm_nested_state;
    }
}
