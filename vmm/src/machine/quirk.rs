//! Hosts whose KVM differs from the ordinary, each difference under one name, and what a guest needs there.
#![forbid(unsafe_code)]

use std::arch::x86_64::__cpuid;

/// Which quirk to assume.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum QuirkChoice {
    /// Look at the host.
    #[default]
    Auto,
    /// None, whatever the host.
    None,
    /// [`Quirk::EmulatedRing0`], whatever the host.
    EmulatedRing0,
}

/// A known difference of a host's KVM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quirk {
    /// A paravirtual KVM without VMX or SVM: guest ring 3 runs on the processor, ring 0 in KVM's instruction
    /// emulator, which lacks some instructions and in which hypercalls hang. See docs/kvm-notes.md.
    EmulatedRing0,
}

impl Quirk {
    /// The quirk's name, as `--quirk` takes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::EmulatedRing0 => "emulated-ring0",
        }
    }

    /// What the quirk is, in a sentence.
    pub fn description(self) -> &'static str {
        match self {
            Self::EmulatedRing0 => {
                "KVM without VMX or SVM: guest kernels run in an emulator, some instructions are missing"
            }
        }
    }
}

impl QuirkChoice {
    /// The quirk to build the machine for, if any.
    pub fn resolve(self) -> Option<Quirk> {
        match self {
            Self::Auto => detect(),
            Self::None => None,
            Self::EmulatedRing0 => Some(Quirk::EmulatedRing0),
        }
    }
}

/// The quirk of this host. Call it where KVM works: a processor without either extension runs no ordinary KVM, so
/// one that works all the same is the paravirtual kind.
pub fn detect() -> Option<Quirk> {
    let vmx = leaf_1_says_vmx(__cpuid(1).ecx);
    let svm = __cpuid(0x8000_0000).eax >= 0x8000_0001 && leaf_8000_0001_says_svm(__cpuid(0x8000_0001).ecx);
    (!vmx && !svm).then_some(Quirk::EmulatedRing0)
}

/// Intel SDM volume 2, CPUID leaf 1: ECX bit 5.
fn leaf_1_says_vmx(ecx: u32) -> bool {
    ecx & (1 << 5) != 0
}

/// AMD64 Architecture Programmer's Manual volume 3, CPUID `Fn8000_0001`: ECX bit 2.
fn leaf_8000_0001_says_svm(ecx: u32) -> bool {
    ecx & (1 << 2) != 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn choice_overrides_what_the_host_is() {
        assert_eq!(QuirkChoice::None.resolve(), None);
        assert_eq!(QuirkChoice::EmulatedRing0.resolve(), Some(Quirk::EmulatedRing0));
    }

    #[test]
    fn detection_agrees_with_the_flags_that_linux_shows() {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap();
        let flags = cpuinfo.lines().find(|line| line.starts_with("flags")).unwrap();
        let extension = flags.split_whitespace().any(|flag| flag == "vmx" || flag == "svm");
        assert_eq!(detect().is_none(), extension);
    }
}
