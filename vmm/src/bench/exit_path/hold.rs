//! What holds a vCPU's thread, from no filter to a crowded one, and what people use who want to see each call.

use std::fmt::Write as _;

use libc::{SECCOMP_RET_ALLOW, SECCOMP_RET_LOG, SECCOMP_RET_TRAP};
use seccomp_policies::bpf::write::{ARCH, NUMBER, argument, branch, load, ret};
use seccomp_policies::bpf::{Comparison, Instruction};
use seccomp_policies::call::Call;
use seccomp_policies::language::Checked;

use super::supervisor;
use super::thread::{Held, KVM_RUN_REQUEST};
use crate::bench::Error;
use crate::bench::variant::{self, Other, Part, Variant};
use crate::confine::Tier;
use crate::confine::install::Hold;
use crate::role::policies::vcpu;

/// Who else has a hand in a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Company {
    /// Nobody.
    Nobody,
    /// The kernel's log.
    Log,
    /// An event filter, opened for the block alone.
    Event,
    /// A supervisor that is asked about each call.
    Supervisor,
    /// A tracer that stops the thread twice with each call.
    Tracer,
}

/// A variant and how it is done.
#[derive(Clone, Debug)]
pub(super) struct Way {
    pub(super) variant: Variant,
    pub(super) held: Held,
    pub(super) company: Company,
}

/// Names that others ask for.
pub const BASELINE: &str = "no filter";
/// The vCPU's policy as a run has it.
pub const FILTER: &str = "filter tier";
/// The same tests by hand.
pub const BY_HAND: &str = "written by hand";
/// The same policy by seccompiler's order.
pub const REFERENCE: &str = "seccompiler";

/// Every variant, the baseline first. What `others` allow no `KVM_RUN` is left out, and named.
///
/// `processors`: where a thread and who is asked about its calls may run.
///
/// # Errors
/// [`Error::Check`], [`Error::Compile`]
pub(super) fn all(others: &[Other], processors: &[usize]) -> Result<(Vec<Way>, Vec<String>), Error> {
    let call = kvm_run();
    let unheld = |name, part, company| {
        let held = match company {
            Company::Supervisor => Held::Supervised(processors.to_vec()),
            Company::Tracer => Held::Free(Hold::Unconfined, processors.to_vec()),
            _ => Held::By(Hold::Unconfined),
        };
        Way { variant: Variant::new(name, part), held, company }
    };
    let held = |name: &str, hold| Way {
        variant: Variant::by(name, hold, &call),
        held: Held::By(hold),
        company: Company::Nobody,
    };
    let own = variant::policy(&vcpu::POLICY)?;
    let mut supervised = unheld("asked of a supervisor", Part::Subject, Company::Supervisor);
    supervised.variant = Variant::held("asked of a supervisor", &supervisor::program(), &call);
    let mut ways = vec![
        unheld(BASELINE, Part::Baseline, Company::Nobody),
        unheld("no filter, again", Part::Control, Company::Nobody),
        unheld("no filter, with work", Part::Planted, Company::Nobody),
        unheld("that work alone", Part::Work, Company::Nobody),
        held("bitmask tier", variant::embedded(&vcpu::POLICY, Tier::Bitmask)),
        held(FILTER, variant::embedded(&vcpu::POLICY, Tier::Filter)),
        held(BY_HAND, Hold::Program(by_hand().leak())),
        held("filter tier, 400 rules", variant::optimized(&crowded(400, Side::After)?)?),
        held(REFERENCE, variant::by_reference(&own)?),
        held("seccompiler, 40 rules", variant::by_reference(&crowded(40, Side::Before)?)?),
        held("seccompiler, 400 rules", variant::by_reference(&crowded(400, Side::Before)?)?),
    ];
    let mut left_out = Vec::new();
    for other in others {
        let program = other.instructions();
        if variant::allows(program, &call) && waiting().iter().all(|call| variant::allows(program, call)) {
            ways.push(held(&other.name, Hold::Program(program)));
        } else {
            left_out.push(other.name.clone());
        }
    }
    let logging = Hold::Program(Box::leak(Box::new([ret(SECCOMP_RET_LOG)])));
    ways.extend([
        Way { company: Company::Log, ..held("each call logged", logging) },
        unheld("event filter watching", Part::Subject, Company::Event),
        supervised,
        unheld("traced (ptrace)", Part::Subject, Company::Tracer),
    ]);
    Ok((ways, left_out))
}

/// First of the descriptors that the unrelated rules name; far above every slot of the vCPU.
const FIRST_UNRELATED: u32 = 1000;

/// Where unrelated rules are put, seen from the one for `KVM_RUN`.
#[derive(Clone, Copy)]
enum Side {
    Before,
    After,
}

/// The vCPU's policy with unrelated rules. They are for the same call, with other descriptors: seccompiler tests calls in the
/// order of their numbers, of which only 16 are below that of ioctl, and passes all rules of another call in one step.
fn crowded(rules: u32, side: Side) -> Result<Checked, Error> {
    let (name, text) = vcpu::POLICY.sources[0];
    let own = text.find("\nioctl").map_or(text.len(), |before| before + 1);
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
    variant::checked(name, &sources)
}

/// `KVM_RUN` as a filter sees it, on the vCPU's slot and with the argument that the kernel asks for.
pub fn kvm_run() -> Call {
    variant::call("ioctl", [u64::from(vcpu::slot::VCPU.unsigned_abs()), KVM_RUN_REQUEST, 0, 0, 0, 0])
}

/// By which calls the measuring thread waits for its orders and says that it is done: those of the standard library's locks, futex
/// operations `FUTEX_WAIT_BITSET` without a limit of time and `FUTEX_WAKE`, private (Linux `include/uapi/linux/futex.h`).
fn waiting() -> [Call; 2] {
    let private = |operation: i32| u64::from((operation | libc::FUTEX_PRIVATE_FLAG).unsigned_abs());
    let any = u64::from(u32::MAX);
    [
        variant::call("futex", [0, private(libc::FUTEX_WAIT_BITSET), 0, 0, 0, any]),
        variant::call("futex", [0, private(libc::FUTEX_WAKE), 1, 0, 0, 0]),
    ]
}

/// What a person would write who has `KVM_RUN` in mind: nine instructions on its way, the least that tests the architecture,
/// the number, the descriptor and the request.
fn by_hand() -> Vec<Instruction> {
    let (call, futex) = (kvm_run(), variant::call("futex", [0; 6]));
    let equal = |constant, then, otherwise| branch(Comparison::Equal, constant, then, otherwise);
    let low = |value: u64| u32::try_from(value & u64::from(u32::MAX)).unwrap_or_default();
    vec![
        load(ARCH),
        equal(call.arch, 0, 7),
        load(NUMBER),
        equal(call.number, 0, 4),
        load(argument(0)),
        equal(low(call.arguments[0]), 0, 3),
        load(argument(1)),
        equal(low(call.arguments[1]), 2, 1),
        equal(futex.number, 1, 0),
        ret(SECCOMP_RET_TRAP),
        ret(SECCOMP_RET_ALLOW),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn programs() -> Vec<(String, &'static [Instruction])> {
        let program = |way: Way| match way.held {
            Held::By(Hold::Program(program)) => Some((way.variant.name, program)),
            _ => None,
        };
        all(&[], &[]).unwrap().0.into_iter().filter_map(program).collect()
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of one call's")]
    fn executed(name: &str) -> usize {
        let ways = all(&[], &[]).unwrap().0;
        let way = ways.iter().find(|way| way.variant.name == name);
        way.and_then(|way| way.variant.executed).unwrap_or_else(|| panic!("{name}")) as usize
    }

    #[test]
    fn every_program_lets_kvm_run_through_on_the_slot_and_nowhere_else() {
        let elsewhere = Call { arguments: [4, KVM_RUN_REQUEST, 0, 0, 0, 0], ..kvm_run() };
        for (name, program) in programs() {
            if name == "each call logged" {
                continue;
            }
            assert!(variant::allows(program, &kvm_run()), "{name}");
            // The bitmask looks at numbers alone.
            assert_eq!(variant::allows(program, &elsewhere), name == "bitmask tier", "{name}");
        }
    }

    #[test]
    fn what_is_written_by_hand_takes_nine_instructions_and_refuses_other_calls() {
        assert_eq!(executed(BY_HAND), 9);
        let program = by_hand();
        assert!(variant::allows(&program, &variant::call("futex", [0; 6])));
        assert!(!variant::allows(&program, &variant::call("openat", [0; 6])));
        let other_request = Call { arguments: [3, 0, 0, 0, 0, 0], ..kvm_run() };
        assert!(!variant::allows(&program, &other_request));
        assert!(!variant::allows(&program, &Call { arch: 0, ..kvm_run() }));
    }

    #[test]
    fn seccompiler_passes_every_rule_put_before_on_the_way_and_the_optimizing_backend_none() {
        assert_eq!(executed("bitmask tier"), 0, "the kernel has it in its cache");
        assert!(executed(FILTER) < executed(REFERENCE));
        assert_eq!(executed("filter tier, 400 rules"), executed(FILTER));
        let [alone, forty, four_hundred] =
            [REFERENCE, "seccompiler, 40 rules", "seccompiler, 400 rules"].map(executed);
        let per_rule = (forty - alone) / 40;
        assert!(per_rule >= 2, "a load or a jump and a test: {per_rule}");
        assert_eq!((forty - alone, four_hundred - alone), (40 * per_rule, 400 * per_rule));
    }

    #[test]
    fn a_crowded_policy_keeps_the_rules_of_the_vcpu() {
        let own = variant::policy(&vcpu::POLICY).unwrap().policy;
        for side in [Side::Before, Side::After] {
            assert_eq!(crowded(0, side).unwrap().policy, own);
            assert_eq!(crowded(40, side).unwrap().policy.rules.len(), own.rules.len() + 40);
        }
    }

    #[test]
    fn a_filter_of_the_vcpu_itself_is_not_left_out() {
        let Hold::Program(program) = variant::embedded(&vcpu::POLICY, Tier::Filter) else {
            panic!("a filter")
        };
        let (ways, left_out) = all(&[Other::new("its own".into(), program)], &[]).unwrap();
        assert!(left_out.is_empty() && ways.iter().any(|way| way.variant.name == "its own"), "{left_out:?}");
    }

    #[test]
    fn a_program_of_somebody_else_that_allows_no_kvm_run_is_left_out_and_named() {
        let refusing = Other::new("refusing".into(), &[ret(SECCOMP_RET_TRAP)]);
        let allowing = Other::new("allowing".into(), &[ret(SECCOMP_RET_ALLOW)]);
        let (ways, left_out) = all(&[refusing, allowing], &[]).unwrap();
        assert_eq!(left_out, ["refusing"]);
        let allowing = ways.iter().find(|way| way.variant.name == "allowing").unwrap();
        assert_eq!((allowing.variant.instructions, allowing.variant.executed), (Some(1), Some(0.0)));
    }
}
