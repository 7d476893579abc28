//! What holds the thread that is measured, from no filter to a crowded one.
#![forbid(unsafe_code)]

use std::fmt::Write as _;

use ringfence::confine::install::{Fencing, Hold, OnViolation, Tier};
use ringfence::role::policies::vcpu;
use seccomp_policies::bpf::{Fault, Program, interpret};
use seccomp_policies::call::Call;
use seccomp_policies::compile::{self, Weights, optimize, reference};
use seccomp_policies::language::{Checked, Diagnostics, check_sources};
use seccomp_policies::syscalls::{Arch, by_name};

use crate::vcpu::KVM_RUN_REQUEST;

/// One of the things that are compared.
#[derive(Clone, Copy, Debug)]
pub struct Variant {
    /// As tables and Criterion's history have it.
    pub name: &'static str,
    /// What is installed.
    pub hold: Hold,
}

/// Why a variant could not be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The vCPU's policy has no line for the call.
    #[error("the vCPU's policy has no line that begins with `ioctl`, before which rules could be put")]
    NoRule,
    /// The crowded policy does not hold.
    #[error("the vCPU's policy with {rules} more rules does not hold:\n{findings}")]
    Check {
        /// How many were added.
        rules: u32,
        /// What the checker said.
        findings: Diagnostics,
    },
    /// It does not compile.
    #[error("the vCPU's policy with {rules} more rules does not compile")]
    Compile {
        /// How many were added.
        rules: u32,
        /// What the backend said.
        source: compile::Error,
    },
}

/// Every variant, the baseline first, and right after it the same again: what differs between those two is what
/// the method cannot see.
///
/// # Errors
/// See [`Error`].
pub fn all() -> Result<[Variant; 8], Error> {
    let embedded = |tier| Fencing { tier, on_violation: OnViolation::Trap }.hold(&vcpu::POLICY);
    Ok([
        Variant { name: "no filter", hold: Hold::Unconfined },
        Variant { name: "no filter, again", hold: Hold::Unconfined },
        Variant { name: "bitmask tier", hold: embedded(Tier::Bitmask) },
        Variant { name: "filter tier", hold: embedded(Tier::Filter) },
        Variant { name: "filter tier among 400 rules", hold: among(400)? },
        Variant { name: "seccompiler's filter", hold: behind(0)? },
        Variant { name: "seccompiler's behind 40 rules", hold: behind(40)? },
        Variant { name: "seccompiler's behind 400 rules", hold: behind(400)? },
    ])
}

/// First of the descriptors that the unrelated rules name; far above every slot of the vCPU.
const FIRST_UNRELATED: u32 = 1000;

/// The vCPU's policy with unrelated rules after its rule for `KVM_RUN`, as the build compiles what is embedded: of a
/// call's rules the first counts as the frequent one.
fn among(rules: u32) -> Result<Hold, Error> {
    let Checked { policy, profile, .. } = crowded(rules, Side::After)?;
    held(rules, optimize(&policy, &Weights::CacheAware(profile.as_ref())))
}

/// The vCPU's policy with unrelated rules before its rule for `KVM_RUN`, by the reference backend, which tests them in
/// that order.
fn behind(rules: u32) -> Result<Hold, Error> {
    held(rules, reference(&crowded(rules, Side::Before)?.policy))
}

fn held(rules: u32, program: Result<Program, compile::Error>) -> Result<Hold, Error> {
    let program = program.map_err(|source| Error::Compile { rules, source })?;
    // A thread keeps its filter for life, and so does the benchmark.
    Ok(Hold::Program(Box::leak(program.instructions().into())))
}

/// Where unrelated rules are put, seen from the one for `KVM_RUN`.
#[derive(Clone, Copy)]
enum Side {
    Before,
    After,
}

/// The rules are for the same call, with other descriptors: seccompiler tests calls in the order of their numbers, of
/// which only 16 are below that of ioctl, and passes all rules of another call in one step.
fn crowded(rules: u32, side: Side) -> Result<Checked, Error> {
    let (name, text) = vcpu::POLICY.sources[0];
    let own = text.find("\nioctl").ok_or(Error::NoRule)? + 1;
    let place = match side {
        Side::Before => own,
        Side::After => text[own..].find('\n').map_or(text.len(), |end| own + end + 1),
    };
    let mut crowd = String::new();
    for descriptor in (FIRST_UNRELATED..).take(rules as usize) {
        // Writing to a string cannot fail.
        let _ = writeln!(crowd, "ioctl: fd == {descriptor} && cmd == TCGETS -- not KVM_RUN");
    }
    let text = format!("{}{crowd}{}", &text[..place], &text[place..]);
    let mut sources = vcpu::POLICY.sources.to_vec();
    sources[0].1 = &text;
    check_sources(name, &sources, Arch::X86_64).map_err(|findings| Error::Check { rules, findings })
}

/// `KVM_RUN` as a filter sees it, on the vCPU's slot and with the argument that the kernel asks for.
pub fn kvm_run() -> Call {
    Call {
        number: by_name(Arch::X86_64, "ioctl").map_or(u32::MAX, |call| call.number),
        arch: Arch::X86_64.audit_value(),
        instruction_pointer: 0,
        arguments: [u64::from(vcpu::slot::VCPU.unsigned_abs()), KVM_RUN_REQUEST, 0, 0, 0, 0],
    }
}

impl Variant {
    /// Instructions of the program; `None` without one.
    pub fn length(&self) -> Option<usize> {
        match self.hold {
            Hold::Program(program) => Some(program.len()),
            Hold::Unconfined | Hold::Strict => None,
        }
    }

    /// Instructions that this call passes on its way to the program's answer; `None` without a program.
    ///
    /// # Errors
    /// A [`Fault`] would be a defect of the compiler.
    pub fn executed(&self, call: &Call) -> Result<Option<usize>, Fault> {
        match self.hold {
            Hold::Program(program) => Ok(Some(interpret(program, call)?.executed)),
            Hold::Unconfined | Hold::Strict => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use seccomp_policies::action::Action;

    use super::*;

    fn programs() -> impl Iterator<Item = Variant> {
        all().unwrap().into_iter().filter(|variant| variant.length().is_some())
    }

    #[test]
    fn every_program_allows_kvm_run_on_the_slot_and_nowhere_else() {
        let elsewhere = Call { arguments: [4, KVM_RUN_REQUEST, 0, 0, 0, 0], ..kvm_run() };
        for variant in programs() {
            let Hold::Program(program) = variant.hold else { continue };
            let allowed = |call| interpret(program, &call).unwrap().value == Action::Allow.to_return_value();
            assert!(allowed(kvm_run()), "{}", variant.name);
            // The bitmask looks at numbers alone.
            assert_eq!(allowed(elsewhere), variant.name == "bitmask tier", "{}", variant.name);
        }
    }

    #[test]
    fn seccompiler_passes_every_rule_put_before_on_the_way_and_the_optimizing_backend_none() {
        let executed: Vec<_> =
            programs().map(|variant| variant.executed(&kvm_run()).unwrap().unwrap()).collect();
        let [bitmask, filter, among, alone, forty, four_hundred] = executed[..] else {
            panic!("{executed:?}")
        };
        assert!(bitmask < filter && filter < alone, "{executed:?}");
        assert_eq!(among, filter, "the optimizing backend passes none");
        let per_rule = (forty - alone) / 40;
        assert!(per_rule >= 2, "a load or a jump and a test: {executed:?}");
        assert_eq!((forty - alone, four_hundred - alone), (40 * per_rule, 400 * per_rule));
    }

    #[test]
    fn a_crowded_policy_keeps_the_rules_of_the_vcpu() {
        let own =
            check_sources(vcpu::POLICY.sources[0].0, vcpu::POLICY.sources, Arch::X86_64).unwrap().policy;
        for side in [Side::Before, Side::After] {
            assert_eq!(crowded(0, side).unwrap().policy, own);
            assert_eq!(crowded(40, side).unwrap().policy.rules.len(), own.rules.len() + 40);
        }
    }
}
