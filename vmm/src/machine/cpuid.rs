//! What a vCPU says of itself: the processor features that KVM supports on this host, with the machine's topology,
//! KVM's paravirtual leaves, and less where a quirk of the host demands it.
#![forbid(unsafe_code)]

use kvm_bindings::{CpuId, KVM_MAX_CPUID_ENTRIES, kvm_cpuid_entry2};
use kvm_ioctls::{Cap, Kvm, VcpuFd};

use super::quirk::Quirk;

/// `KVM_CPUID_FLAG_SIGNIFCANT_INDEX` (Linux arch/x86/include/uapi/asm/kvm.h): the entry is for one value of ECX.
const SIGNIFICANT_INDEX: u32 = 1;

/// KVM's signature leaf and its features (Linux Documentation/virt/kvm/x86/cpuid.rst).
const KVM_SIGNATURE: u32 = 0x4000_0000;
const KVM_FEATURES: u32 = 0x4000_0001;

/// Paravirtual features that make the guest execute a hypercall (bits of leaf `0x4000_0001`, EAX): `PV_UNHALT`,
/// `PV_TLB_FLUSH`, `PV_SEND_IPI`. Hypercalls hang where ring 0 is emulated.
const HYPERCALL_FEATURES: u32 = 1 << 7 | 1 << 9 | 1 << 11;

/// Bits of leaf 1 (Intel SDM volume 2, CPUID).
const ECX_CX16: u32 = 1 << 13;
const ECX_PCID: u32 = 1 << 17;
const ECX_POPCNT: u32 = 1 << 23;
const ECX_TSC_DEADLINE: u32 = 1 << 24;
const ECX_XSAVE: u32 = 1 << 26;
const ECX_OSXSAVE: u32 = 1 << 27;
const ECX_HYPERVISOR: u32 = 1 << 31;
const EDX_HTT: u32 = 1 << 28;
/// Bits of leaf 7, subleaf 0.
const EBX_SMEP: u32 = 1 << 7;
const EBX_SMAP: u32 = 1 << 20;

/// EBX of leaf 0 on processors with AMD's topology leaves: the first four characters of `AuthenticAMD`, `HygonGenuine`.
const AMD_VENDORS: [u32; 2] = [u32::from_le_bytes(*b"Auth"), u32::from_le_bytes(*b"Hygo")];

/// Why CPUID could not be set.
#[derive(Debug, thiserror::Error)]
pub enum CpuidError {
    /// KVM does not say what it supports.
    #[error("KVM does not say which processor features it supports: {0}")]
    Supported(kvm_ioctls::Error),
    /// KVM does not take what was made of it.
    #[error("KVM refuses the processor features of vCPU {vcpu}: {source}")]
    Set {
        /// Which vCPU.
        vcpu: u8,
        /// What it answered.
        source: kvm_ioctls::Error,
    },
    /// More leaves than the structure holds.
    #[error("this host's KVM has {count} CPUID leaves, more than {KVM_MAX_CPUID_ENTRIES}")]
    TooMany {
        /// How many.
        count: usize,
    },
}

/// The leaves that are the same for every vCPU of a machine.
#[derive(Clone, Debug)]
pub struct Template {
    leaves: Vec<kvm_cpuid_entry2>,
    vcpus: u8,
    amd: bool,
}

impl Template {
    /// Asks KVM what it supports and prepares it for a machine with `vcpus` vCPUs.
    ///
    /// # Errors
    /// [`CpuidError::Supported`].
    pub fn new(kvm: &Kvm, vcpus: u8, quirk: Option<Quirk>) -> Result<Self, CpuidError> {
        let supported = kvm.get_supported_cpuid(KVM_MAX_CPUID_ENTRIES).map_err(CpuidError::Supported)?;
        let tsc_deadline = kvm.check_extension(Cap::TscDeadlineTimer);
        Ok(Self::from_leaves(supported.as_slice().to_vec(), vcpus, tsc_deadline, quirk))
    }

    fn from_leaves(
        mut leaves: Vec<kvm_cpuid_entry2>,
        vcpus: u8,
        tsc_deadline: bool,
        quirk: Option<Quirk>,
    ) -> Self {
        add_kvm_leaves(&mut leaves);
        // The topology leaves are made anew: how many subleaves the host's topology has says nothing of ours.
        leaves.retain(|leaf| !matches!(leaf.function, 0xb | 0x1f));
        for leaf in &mut leaves {
            match leaf.function {
                1 => {
                    leaf.ecx |= ECX_HYPERVISOR;
                    // KVM keeps OSXSAVE as the guest's CR4 says.
                    leaf.ecx &= !ECX_OSXSAVE;
                    if tsc_deadline {
                        leaf.ecx |= ECX_TSC_DEADLINE;
                    }
                }
                // Four threads each with a core of their own share nothing but the last cache.
                4 | 0x8000_001d => share_caches(leaf, vcpus),
                _ => {}
            }
            if quirk == Some(Quirk::EmulatedRing0) {
                mask_for_emulated_ring0(leaf);
            }
        }
        let amd = leaves.iter().any(|leaf| leaf.function == 0 && AMD_VENDORS.contains(&leaf.ebx));
        Self { leaves, vcpus, amd }
    }

    /// Physical address bits that a guest may use: leaf `0x8000_0008`, EAX bits 7 to 0; 36 where that leaf is missing
    /// (SDM volume 3, section 4.1.4).
    pub fn address_bits(&self) -> u8 {
        let leaf = self.leaves.iter().find(|leaf| leaf.function == 0x8000_0008);
        leaf.map_or(36, |leaf| leaf.eax.to_le_bytes()[0])
    }

    /// The leaves of the vCPU with APIC id `id`.
    fn leaves_for(&self, id: u8) -> Vec<kvm_cpuid_entry2> {
        let mut leaves = self.leaves.clone();
        for leaf in &mut leaves {
            set_topology(leaf, id, self.vcpus, self.amd);
        }
        let max = leaves.iter().find(|leaf| leaf.function == 0).map_or(0, |leaf| leaf.eax);
        for function in [0xb, 0x1f].into_iter().filter(|function| *function <= max) {
            leaves.extend(extended_topology(function, id, self.vcpus));
        }
        leaves
    }

    /// Sets the leaves of vCPU `id` (its APIC id as well).
    ///
    /// # Errors
    /// [`CpuidError`].
    pub fn set(&self, vcpu: &VcpuFd, id: u8) -> Result<(), CpuidError> {
        let leaves = self.leaves_for(id);
        let cpuid = CpuId::from_entries(&leaves).map_err(|_| CpuidError::TooMany { count: leaves.len() })?;
        vcpu.set_cpuid2(&cpuid).map_err(|source| CpuidError::Set { vcpu: id, source })
    }
}

/// Adds the leaf by which a guest knows KVM, where `KVM_GET_SUPPORTED_CPUID` does not list it.
fn add_kvm_leaves(leaves: &mut Vec<kvm_cpuid_entry2>) {
    if leaves.iter().any(|leaf| leaf.function == KVM_SIGNATURE) {
        return;
    }
    let word = |text: &[u8; 4]| u32::from_le_bytes(*text);
    let (ebx, ecx, edx) = (word(b"KVMK"), word(b"VMKV"), word(b"M\0\0\0"));
    leaves.push(kvm_cpuid_entry2 {
        function: KVM_SIGNATURE,
        eax: KVM_FEATURES,
        ebx,
        ecx,
        edx,
        ..Default::default()
    });
    if !leaves.iter().any(|leaf| leaf.function == KVM_FEATURES) {
        leaves.push(kvm_cpuid_entry2 { function: KVM_FEATURES, ..Default::default() });
    }
}

/// Clears the features whose instructions the emulator lacks, and those that would make a hypercall.
fn mask_for_emulated_ring0(leaf: &mut kvm_cpuid_entry2) {
    match (leaf.function, leaf.index) {
        (1, _) => leaf.ecx &= !(ECX_CX16 | ECX_PCID | ECX_POPCNT | ECX_XSAVE),
        (7, 0) => leaf.ebx &= !(EBX_SMEP | EBX_SMAP),
        (KVM_FEATURES, _) => leaf.eax &= !HYPERCALL_FEATURES,
        _ => {}
    }
}

/// APIC id bits that tell `vcpus` processors apart: `vcpus` rounded up to a power of two.
fn id_bits(vcpus: u8) -> u32 {
    u32::from(vcpus).next_power_of_two().trailing_zeros()
}

/// Leaf 4 (Intel) and `0x8000_001d` (AMD), one subleaf a cache: bits 25 to 14 of EAX are the APIC ids that share it, less
/// one; bits 7 to 5 its level. Bits 31 to 26 are, in leaf 4 alone, the ids of the package's cores, less one.
fn share_caches(leaf: &mut kvm_cpuid_entry2, vcpus: u8) {
    let (kind, level) = (leaf.eax & 0x1f, leaf.eax >> 5 & 7);
    if kind == 0 {
        return;
    }
    let ids = (1u32 << id_bits(vcpus)) - 1;
    let shared = if level >= 3 { ids } else { 0 };
    leaf.eax = leaf.eax & !(0xfff << 14) | shared << 14;
    if leaf.function == 4 {
        leaf.eax = leaf.eax & !(0x3f << 26) | ids << 26;
    }
}

/// The topology in leaves that have other contents too: one package of `vcpus` cores with one thread each.
fn set_topology(leaf: &mut kvm_cpuid_entry2, id: u8, vcpus: u8, amd: bool) {
    let (id, count) = (u32::from(id), u32::from(vcpus));
    match leaf.function {
        // EBX: APIC id in bits 31 to 24, logical processors of the package in 23 to 16, the rest as the host has it.
        1 => {
            leaf.ebx = leaf.ebx & 0xffff | id << 24 | count << 16;
            leaf.edx = if vcpus > 1 { leaf.edx | EDX_HTT } else { leaf.edx & !EDX_HTT };
        }
        // AMD APM volume 3, Fn8000_0008, ECX: size of the core id in bits 15 to 12, cores less one in 7 to 0. Intel
        // reserves the register.
        0x8000_0008 if amd => {
            leaf.ecx = leaf.ecx & !0xf0ff | id_bits(vcpus) << 12 | (count - 1);
        }
        // AMD APM volume 3, Fn8000_001E: extended APIC id, core id with one thread a core, the only node.
        0x8000_001e => (leaf.eax, leaf.ebx, leaf.ecx, leaf.edx) = (id, id, 0, 0),
        _ => {}
    }
}

/// Leaves 0xb and 0x1f (SDM volume 2): a level for threads, one for cores, and the end. EAX: bits of the APIC id below
/// the next level; EBX: processors at this level; ECX: subleaf and kind of level (1 threads, 2 cores); EDX: APIC id.
fn extended_topology(function: u32, id: u8, vcpus: u8) -> [kvm_cpuid_entry2; 3] {
    let levels = [(0, 1, 1 << 8), (id_bits(vcpus), u32::from(vcpus), 2 << 8), (0, 0, 0)];
    let mut index = 0;
    levels.map(|(eax, ebx, kind)| {
        let leaf = kvm_cpuid_entry2 {
            function,
            index,
            flags: SIGNIFICANT_INDEX,
            eax,
            ebx,
            ecx: kind | index,
            edx: u32::from(id),
            ..Default::default()
        };
        index += 1;
        leaf
    })
}
