//! What the build proves before it embeds, and what it writes.

mod support;

use std::path::Path;

use seccomp_policies::bpf::{Instruction, Operation};
use seccomp_policies::compile::{Weights, bitmask, optimize, probes, reference, verify, widen};
use seccomp_policies::embed::{Proved, generate, prove};
use seccomp_policies::language::{Checked, Policy, check_sources, load};
use seccomp_policies::prove::Decisions;
use seccomp_policies::syscalls::Arch;

fn role(name: &str) -> Policy {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies").join(name).with_extension("policy");
    load(&path, Arch::X86_64).unwrap_or_else(|findings| panic!("{findings}")).policy
}

fn proved(text: &str) -> Proved {
    let checked = check_sources("test.policy", &[("test.policy", text)], Arch::X86_64);
    let Checked { policy, sources, profile, .. } = checked.unwrap_or_else(|findings| panic!("{findings}"));
    prove(&policy, &Weights::CacheAware(profile.as_ref()), sources).expect("the compilers are right")
}

/// Which instructions some path executes.
fn reached(program: &[Instruction]) -> Vec<bool> {
    let mut reached = vec![false; program.len()];
    reached[0] = true;
    for at in 0..program.len() {
        if !reached[at] {
            continue;
        }
        match Operation::decode(&program[at]).expect("a valid program") {
            Operation::ReturnConstant(_) | Operation::ReturnA => {}
            Operation::Jump(distance) => reached[at + 1 + distance as usize] = true,
            Operation::Branch { then, otherwise, .. } => {
                reached[at + 1 + usize::from(then)] = true;
                reached[at + 1 + usize::from(otherwise)] = true;
            }
            _ => reached[at + 1] = true,
        }
    }
    reached
}

/// The program with one thing wrong, at each place where that changes what it means.
fn with_a_defect(program: &[Instruction]) -> Vec<(String, Vec<Instruction>)> {
    let mut defective = Vec::new();
    for (at, reached) in reached(program).into_iter().enumerate() {
        let mut add = |what: &str, change: fn(&mut Instruction)| {
            let mut changed = program.to_vec();
            change(&mut changed[at]);
            defective.push((format!("{what} at {at}"), changed));
        };
        match Operation::decode(&program[at]) {
            Some(Operation::Branch { then, otherwise, .. }) if reached && then != otherwise => {
                add("a constant too high", |instruction| instruction.k = instruction.k.wrapping_add(1));
                add("a constant too low", |instruction| instruction.k = instruction.k.wrapping_sub(1));
                add("ways exchanged", |instruction| {
                    std::mem::swap(&mut instruction.jt, &mut instruction.jf);
                });
            }
            Some(Operation::ReturnConstant(_)) if reached => {
                add("another return", |instruction| instruction.k ^= libc::SECCOMP_RET_ERRNO);
            }
            Some(Operation::Load(..)) if reached => {
                add("another word", |instruction| instruction.k ^= 4);
            }
            _ => {}
        }
    }
    defective
}

fn is_proved_equal(program: &[Instruction], policy: &Policy) -> bool {
    Decisions::of_program(program).is_ok_and(|decided| decided == Decisions::of_policy(policy))
}

#[test]
fn the_build_notices_any_wrong_constant_load_jump_or_return_in_a_roles_program() {
    for name in ["io", "main", "vcpu"] {
        let policy = role(name);
        let calls = probes(&policy);
        for (program, meaning) in [
            (reference(&policy).unwrap(), policy.clone()),
            (optimize(&policy, &Weights::default()).unwrap(), policy.clone()),
            (bitmask(&policy).unwrap(), widen(&policy)),
        ] {
            assert_eq!(verify(program.instructions(), &meaning, &calls), Ok(()));
            for (defect, defective) in with_a_defect(program.instructions()) {
                // A search may leave a constant several choices that mean the same.
                let noticed = || verify(&defective, &meaning, &calls).is_err();
                assert!(
                    noticed() || is_proved_equal(&defective, &meaning),
                    "{name}, {} instructions: {defect} goes unnoticed",
                    program.len()
                );
            }
        }
    }
}

#[test]
fn a_disagreement_names_the_call_and_both_answers() {
    let policy = role("vcpu");
    let mut program = reference(&policy).unwrap().instructions().to_vec();
    program.last_mut().expect("never empty").k = libc::SECCOMP_RET_ALLOW;
    let error =
        verify(&program, &policy, &probes(&policy)).expect_err("it lets everything through").to_string();
    assert!(error.contains("the policy says trap, its program returns 0x7fff0000"), "{error}");
}

#[test]
fn generated_source_has_a_module_for_each_role_and_a_constant_for_each_slot() {
    let text = "role net\ntier filter\notherwise trap\nfd tap = 3 -- the \"tap\" \\ device\nfd queues = 4..6 -- queues\n\
                read: fd == @tap -- a packet\nwrite: fd in @queues && count == 8 -- wake\n";
    let source = generate(&[proved(text), proved(&text.replace("role net", "role other"))]);
    for part in [
        "pub mod net {",
        "pub mod other {",
        "pub static POLICY: Embedded",
        "Programs::Filter {",
        "#[doc = \"the \\\"tap\\\" \\\\ device\"]",
        "pub const TAP: ::std::os::fd::RawFd = 3;",
        "pub const QUEUES: ::std::ops::RangeInclusive<::std::os::fd::RawFd> = 4..=6;",
        "calls: &[(0, \"read\"), (1, \"write\")]",
        "[&net::POLICY, &other::POLICY]",
    ] {
        assert!(source.contains(part), "{part} is missing from {source}");
    }
}

#[test]
fn a_policy_of_numbers_has_one_kind_of_program_and_a_strict_one_none() {
    let bitmask = generate(&[proved("role a\ntier bitmask\notherwise trap\nread: -- input\n")]);
    assert!(bitmask.contains("Programs::Bitmask(") && !bitmask.contains("Programs::Filter"), "{bitmask}");
    let strict = generate(&[proved("role a\ntier strict\notherwise kill\nread: -- input\n")]);
    assert!(strict.contains("programs: Programs::Strict,") && !strict.contains("code:"), "{strict}");
}

#[test]
fn without_policies_there_is_an_empty_list_of_them() {
    assert!(generate(&[]).contains("pub static ALL: &[&::seccomp_policies::embed::Embedded] = &[];"));
}
