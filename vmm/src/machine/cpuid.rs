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
const ECX_VMX: u32 = 1 << 5;
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

/// Bit of leaf `0x8000_0001` (AMD APM volume 3, CPUID).
const ECX_SVM: u32 = 1 << 2;

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
        // The topology leaves are made anew (AMD's newest, 0x8000_0026, is left out): the host's levels are not ours.
        leaves.retain(|leaf| !matches!(leaf.function, 0xb | 0x1f | 0x8000_0026));
        for leaf in &mut leaves {
            match leaf.function {
                1 => {
                    leaf.ecx |= ECX_HYPERVISOR;
                    // A guest that could run guests of its own would reach far more of KVM's code.
                    leaf.ecx &= !ECX_VMX;
                    // KVM keeps OSXSAVE as the guest's CR4 says.
                    leaf.ecx &= !ECX_OSXSAVE;
                    if tsc_deadline {
                        leaf.ecx |= ECX_TSC_DEADLINE;
                    }
                }
                0x8000_0001 => leaf.ecx &= !ECX_SVM,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::{interrupt, kvm};

    fn leaf(function: u32, index: u32) -> kvm_cpuid_entry2 {
        kvm_cpuid_entry2 { function, index, ..Default::default() }
    }

    /// A host's leaves: vendor, features, caches of three levels, topology that is not ours.
    fn host(vendor: [u8; 4]) -> Vec<kvm_cpuid_entry2> {
        let mut leaves = vec![kvm_cpuid_entry2 { eax: 0x1f, ebx: u32::from_le_bytes(vendor), ..leaf(0, 0) }];
        leaves.push(kvm_cpuid_entry2 { ebx: 0x0740_0800, ecx: u32::MAX, edx: 0, ..leaf(1, 0) });
        leaves.push(kvm_cpuid_entry2 { ebx: u32::MAX, ..leaf(7, 0) });
        for (index, level) in [1, 1, 2, 3].into_iter().enumerate() {
            let eax = 1 | level << 5 | 63 << 14 | 31 << 26;
            for function in [4, 0x8000_001d] {
                leaves.push(kvm_cpuid_entry2 { eax, ..leaf(function, u32::try_from(index).unwrap()) });
            }
        }
        for index in 0..5 {
            leaves.push(kvm_cpuid_entry2 { edx: 99, ..leaf(0xb, index) });
        }
        leaves.push(kvm_cpuid_entry2 { eax: u32::MAX, ..leaf(KVM_FEATURES, 0) });
        leaves.push(kvm_cpuid_entry2 { eax: 0x3028, ecx: 0x703f, ..leaf(0x8000_0008, 0) });
        leaves.push(leaf(0x8000_001e, 0));
        leaves.push(kvm_cpuid_entry2 { edx: 99, ..leaf(0x8000_0026, 0) });
        leaves
    }

    fn leaves_of(vendor: [u8; 4], vcpus: u8, id: u8, quirk: Option<Quirk>) -> Vec<kvm_cpuid_entry2> {
        Template::from_leaves(host(vendor), vcpus, true, quirk).leaves_for(id)
    }

    fn find(leaves: &[kvm_cpuid_entry2], function: u32, index: u32) -> kvm_cpuid_entry2 {
        let found: Vec<_> = leaves.iter().filter(|l| (l.function, l.index) == (function, index)).collect();
        assert_eq!(found.len(), 1, "leaf {function:#x}.{index}");
        *found[0]
    }

    #[test]
    fn each_vcpu_has_its_own_apic_id_in_every_leaf_that_has_one() {
        for id in 0..6 {
            let leaves = leaves_of(*b"Auth", 6, id, None);
            let expected = u32::from(id);
            assert_eq!(find(&leaves, 1, 0).ebx, expected << 24 | 6 << 16 | 0x0800);
            for function in [0xb, 0x1f] {
                assert!((0..3).all(|index| find(&leaves, function, index).edx == expected));
            }
            assert_eq!(find(&leaves, 0x8000_001e, 0).eax, expected);
        }
    }

    #[test]
    fn topology_is_one_package_of_cores_with_one_thread() {
        let leaves = leaves_of(*b"Genu", 6, 5, None);
        // Six cores take three bits of the APIC id.
        let threads = find(&leaves, 0xb, 0);
        assert_eq!((threads.eax, threads.ebx, threads.ecx), (0, 1, 0x100));
        let cores = find(&leaves, 0xb, 1);
        assert_eq!((cores.eax, cores.ebx, cores.ecx), (3, 6, 0x201));
        let end = find(&leaves, 0xb, 2);
        assert_eq!((end.eax, end.ebx, end.ecx), (0, 0, 2));
        assert!(leaves.iter().all(|leaf| leaf.edx != 99), "a level of the host's own topology");
    }

    #[test]
    fn only_the_last_cache_is_shared() {
        let leaves = leaves_of(*b"Genu", 6, 0, None);
        for index in 0..3 {
            let eax = find(&leaves, 4, index).eax;
            assert_eq!((eax >> 14 & 0xfff, eax >> 26), (0, 7), "leaf 4.{index}");
        }
        assert_eq!(find(&leaves, 4, 3).eax >> 14 & 0xfff, 7);
        assert_eq!(find(&leaves, 0x8000_001d, 0).eax >> 14 & 0xfff, 0);
        assert_eq!(find(&leaves, 0x8000_001d, 3).eax >> 14 & 0xfff, 7);
        assert_eq!(find(&leaves, 0x8000_001d, 3).eax >> 26, 31, "reserved by AMD, left as it is");
    }

    #[test]
    fn single_vcpu_has_no_threads_to_tell_apart() {
        let leaves = leaves_of(*b"Auth", 1, 0, None);
        assert_eq!(find(&leaves, 1, 0).edx & EDX_HTT, 0);
        assert_eq!(find(&leaves, 0xb, 1).eax, 0);
        assert_eq!(find(&leaves, 0x8000_0008, 0).ecx, 0);
        assert_ne!(find(&leaves_of(*b"Auth", 2, 0, None), 1, 0).edx & EDX_HTT, 0);
    }

    #[test]
    fn count_of_cores_is_in_amd_s_leaf_on_amd_alone() {
        assert_eq!(find(&leaves_of(*b"Auth", 6, 0, None), 0x8000_0008, 0).ecx, 0x3005);
        assert_eq!(find(&leaves_of(*b"Genu", 6, 0, None), 0x8000_0008, 0).ecx, 0x703f);
    }

    #[test]
    fn guest_is_not_offered_guests_of_its_own() {
        let mut leaves = host(*b"Auth");
        assert_ne!(find(&leaves, 1, 0).ecx & ECX_VMX, 0, "the host has it");
        leaves.push(kvm_cpuid_entry2 { function: 0x8000_0001, ecx: u32::MAX, ..Default::default() });
        let leaves = Template::from_leaves(leaves, 1, true, None).leaves_for(0);
        assert_eq!(find(&leaves, 1, 0).ecx & ECX_VMX, 0);
        assert_eq!(find(&leaves, 0x8000_0001, 0).ecx, !ECX_SVM);
    }

    #[test]
    fn vcpu_says_that_it_is_virtual_and_has_the_deadline_timer() {
        let ecx = |deadline| {
            let mut leaves = host(*b"Auth");
            leaves[1].ecx = ECX_OSXSAVE;
            find(&Template::from_leaves(leaves, 1, deadline, None).leaves_for(0), 1, 0).ecx
        };
        assert_eq!(ecx(true), ECX_HYPERVISOR | ECX_TSC_DEADLINE);
        assert_eq!(ecx(false), ECX_HYPERVISOR);
    }

    #[test]
    fn features_that_hang_or_fail_are_masked_under_the_quirk_alone() {
        let plain = leaves_of(*b"Auth", 1, 0, None);
        let masked = leaves_of(*b"Auth", 1, 0, Some(Quirk::EmulatedRing0));
        let gone = |function, register: fn(&kvm_cpuid_entry2) -> u32| {
            register(&find(&plain, function, 0)) & !register(&find(&masked, function, 0))
        };
        assert_eq!(gone(KVM_FEATURES, |leaf| leaf.eax), 1 << 7 | 1 << 9 | 1 << 11);
        assert_eq!(gone(1, |leaf| leaf.ecx), 1 << 13 | 1 << 17 | 1 << 23 | 1 << 26);
        assert_eq!(gone(7, |leaf| leaf.ebx), 1 << 7 | 1 << 20);
    }

    #[test]
    fn kvm_s_signature_is_added_where_the_host_does_not_list_it() {
        let signature = find(&leaves_of(*b"Auth", 1, 0, None), KVM_SIGNATURE, 0);
        let name: Vec<u8> = [signature.ebx, signature.ecx, signature.edx]
            .iter()
            .flat_map(|word| word.to_le_bytes())
            .collect();
        assert_eq!((signature.eax, &name[..]), (KVM_FEATURES, &b"KVMKVMKVM\0\0\0"[..]));
    }

    #[test]
    fn address_bits_are_36_where_the_host_does_not_say() {
        let template = |leaves| Template::from_leaves(leaves, 1, true, None);
        assert_eq!(template(host(*b"Auth")).address_bits(), 0x28);
        assert_eq!(template(vec![]).address_bits(), 36);
    }

    #[test]
    fn this_host_s_kvm_takes_the_leaves_and_gives_them_back() {
        let kvm = kvm::open().expect("this test needs KVM");
        let vm = kvm.create_vm().unwrap();
        interrupt::create(&vm).unwrap();
        let template = Template::new(&kvm, 4, None).unwrap();
        for id in 0..4 {
            let vcpu = vm.create_vcpu(id.into()).unwrap();
            template.set(&vcpu, id).unwrap();
            let back = vcpu.get_cpuid2(KVM_MAX_CPUID_ENTRIES).unwrap();
            let leaf = back.as_slice().iter().find(|leaf| leaf.function == 1).unwrap();
            assert_eq!(leaf.ebx >> 16, u32::from(id) << 8 | 4);
            assert!(back.as_slice().iter().any(|leaf| leaf.function == KVM_SIGNATURE));
        }
    }
}
