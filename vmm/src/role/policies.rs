//! The roles' policies as the build proved and embedded them: a module for each policy in
//! `seccomp-policies/policies`, with its programs and the constants of its descriptor slots.
//!
//! `vmm/build.rs` writes this source; the policies' text is the one place where any of it is said.
#![forbid(unsafe_code)]

seccomp_policies::include_policies!();

#[cfg(test)]
mod tests {
    use seccomp_policies::compile::{Weights, bitmask, optimize, with_otherwise};
    use seccomp_policies::embed::{Embedded, OnViolation, Programs};
    use seccomp_policies::language::{Checked, Tier, check_sources};
    use seccomp_policies::syscalls::Arch;

    use super::{ALL, console, vcpu};

    fn checked(embedded: &Embedded) -> Checked {
        check_sources(embedded.sources[0].0, embedded.sources, Arch::X86_64)
            .expect("the build checked these sources")
    }

    #[test]
    fn embedded_programs_are_what_the_embedded_sources_compile_to() {
        for embedded in ALL {
            let Checked { policy, profile, .. } = checked(embedded);
            let weights = Weights::CacheAware(profile.as_ref());
            let Programs::Filter { filter, bitmask: numbers } = &embedded.programs else { continue };
            for choice in OnViolation::ALL {
                let variant = with_otherwise(&policy, choice.otherwise(policy.otherwise));
                assert_eq!(filter.get(choice), optimize(&variant, &weights).unwrap().instructions());
                assert_eq!(numbers.get(choice), bitmask(&variant).unwrap().instructions());
            }
        }
    }

    #[test]
    fn every_embedded_policy_has_the_tier_and_slots_of_its_sources() {
        for embedded in ALL {
            let policy = checked(embedded).policy;
            assert_eq!((embedded.role, embedded.tier()), (policy.role.as_str(), policy.tier));
            let slots = embedded.slots.iter().map(|slot| (slot.name, slot.first, slot.last));
            assert!(slots.eq(policy.slots.iter().map(|slot| (slot.name.as_str(), slot.first, slot.last))));
        }
    }

    #[test]
    fn every_role_has_a_policy() {
        let roles: Vec<_> = ALL.iter().map(|embedded| embedded.role).collect();
        assert_eq!(roles, ["api", "console", "disk", "io", "io_vsock", "main", "main_api", "vcpu"]);
    }

    #[test]
    fn the_console_is_strict_whatever_tier_is_asked_for() {
        for tier in [Tier::Filter, Tier::Bitmask] {
            assert!(console::POLICY.variants(tier).is_none());
            assert!(vcpu::POLICY.variants(tier).is_some());
        }
    }

    #[test]
    fn slot_constants_come_from_the_text() {
        assert!(vcpu::POLICY.sources[0].1.contains(&format!("fd vcpu = {} ", vcpu::slot::VCPU)));
    }
}
