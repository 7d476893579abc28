//! What the build proves before it embeds, and what it writes.

mod support;

use seccomp_policies::bpf::{Instruction, Operation};
use seccomp_policies::compile::{Weights, bitmask, optimize, probes, reference, verify, widen};
use seccomp_policies::embed::{Proved, generate, prove};
use seccomp_policies::language::{Checked, Policy, check_sources};
use seccomp_policies::prove::Decisions;
use seccomp_policies::syscalls::Arch;
use support::roles;

fn role(name: &str) -> Policy {
    roles::policy(name, Arch::X86_64)
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
    for name in roles::filtered() {
        let policy = role(&name);
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
    let source = generate(&[proved(text), proved(&text.replace("role net", "role other"))]).expect("names");
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
    let bitmask =
        generate(&[proved("role a\ntier bitmask\notherwise trap\nread: -- input\n")]).expect("names");
    assert!(bitmask.contains("Programs::Bitmask(") && !bitmask.contains("Programs::Filter"), "{bitmask}");
    let strict = generate(&[proved("role a\ntier strict\notherwise kill\nread: -- input\n")]).expect("names");
    assert!(strict.contains("programs: Programs::Strict,") && !strict.contains("code:"), "{strict}");
}

#[test]
fn without_policies_there_is_an_empty_list_of_them() {
    assert!(
        generate(&[])
            .expect("names")
            .contains("pub static ALL: &[&::seccomp_policies::embed::Embedded] = &[];")
    );
}

#[test]
fn a_policys_own_otherwise_has_a_program_and_one_that_is_a_choice_anyway_no_second() {
    let source = |otherwise: &str| {
        let text = format!("role a\ntier bitmask\notherwise {otherwise}\nread: -- input\n");
        generate(&[proved(&text)]).expect("names")
    };
    let own = source("errno ENOSYS");
    assert!(own.contains("const AS_WRITTEN: &[Instruction] = &["), "{own}");
    assert!(own.contains("Variants { as_written: AS_WRITTEN, trap: TRAP,"), "{own}");
    assert!(own.contains("k: 0x50026 }"), "{own}");
    for (otherwise, name) in [("trap", "TRAP"), ("kill", "KILL"), ("errno EPERM", "ERRNO"), ("log", "LOG")] {
        let source = source(otherwise);
        assert!(!source.contains("AS_WRITTEN"), "{source}");
        assert!(source.contains(&format!("Variants {{ as_written: {name}, trap: TRAP,")), "{source}");
    }
}

#[test]
fn names_that_cannot_stand_in_rust_are_refused_with_what_to_do() {
    let refused = |policies: &[&str]| {
        let proved: Vec<Proved> = policies.iter().map(|text| proved(text)).collect();
        generate(&proved).expect_err("no Rust").to_string()
    };
    let role = |name: &str| format!("role {name}\ntier filter\notherwise trap\nread: fd == 3 -- input\n");
    for name in ["self", "Self", "super", "crate", "_"] {
        let message = refused(&[&role(name)]);
        assert!(
            message.starts_with(&format!("no module of Rust can have the name of role `{name}`; ")),
            "{message}"
        );
    }
    insta::assert_snapshot!(refused(&[&role("self")]), @"no module of Rust can have the name of role `self`; give the role, and its file, a name of letters, digits and `_` that is not `self`, `Self`, `super` or `crate`");
    insta::assert_snapshot!(refused(&[&role("net"), &role("net")]), @"roles `net` and `net` would both be the module `net`; give one of them another name");
    let slots = "role a\ntier filter\notherwise trap\nfd tap = 3 -- a\nfd Tap = 4 -- b\nread: fd in {@tap, @Tap} -- input\n";
    insta::assert_snapshot!(refused(&[slots]), @"slots `tap` and `Tap` of role `a` would both be the constant `TAP`; give one of them another name");
}

/// What the generated source takes of this crate, without its own dependencies.
const CRATE: &str = "
#![allow(dead_code)]
extern crate self as seccomp_policies;
pub mod embed {
    pub struct Instruction { pub code: u16, pub jt: u8, pub jf: u8, pub k: u32 }
    pub struct Variants {
        pub as_written: &'static [Instruction], pub trap: &'static [Instruction], pub kill: &'static [Instruction],
        pub errno: &'static [Instruction], pub log: &'static [Instruction],
    }
    pub enum Programs { Strict, Bitmask(Variants), Filter { filter: Variants, bitmask: Variants } }
    pub struct EmbeddedSlot {
        pub name: &'static str, pub first: u32, pub last: u32, pub reason: &'static str,
    }
    pub struct Embedded {
        pub role: &'static str, pub sources: &'static [(&'static str, &'static str)], pub programs: Programs,
        pub slots: &'static [EmbeddedSlot], pub calls: &'static [(u32, &'static str)],
    }
}
";

#[test]
fn every_keyword_of_rust_is_the_name_of_a_role_that_compiles() {
    let keywords = "abstract as async await become box break const continue do dyn else enum extern false final fn for \
                    gen if impl in let loop macro match mod move mut override priv pub ref return static struct trait \
                    true try type typeof unsafe unsized use virtual where while yield union default raw safe auto";
    let policy = |role: &str| {
        let text = format!(
            "role {role}\ntier bitmask\notherwise errno ENOSYS\nfd self = 3 -- a\nfd fn = 4..6 -- b\nread: -- input\n"
        );
        proved(&text)
    };
    let policies: Vec<Proved> = keywords.split_whitespace().map(policy).collect();
    let source = generate(&policies).expect("each has a name");
    assert!(source.contains("pub mod r#loop {") && source.contains("&r#loop::POLICY"), "{source}");
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let file = folder.path().join("policies.rs");
    std::fs::write(&file, format!("{CRATE}\n{source}")).expect("it can be written");
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = std::process::Command::new(rustc)
        .args(["--edition=2024", "--crate-type=lib", "--emit=metadata", "--out-dir"])
        .args([folder.path(), &file])
        .output()
        .expect("the compiler that made this test runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
