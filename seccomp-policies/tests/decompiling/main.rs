//! Programs read back into policies, and into tables where they are none.

#[path = "../support/mod.rs"]
mod support;

mod x32;

use insta::assert_snapshot;
use proptest::prelude::*;
use seccomp_policies::action::Action;
use seccomp_policies::bpf::{Instruction, Program};
use seccomp_policies::compile::{bitmask, reference};
use seccomp_policies::import::{Format, Imported, Options, raw, read_bytes};
use seccomp_policies::language::{Condition, Diagnostics, Policy, Relation, Width, check_sources, write};
use seccomp_policies::prove::{Decisions, Space};
use seccomp_policies::syscalls::{Arch, by_name};
use support::arbitrary;
use support::program::{load as load_word, op, ret, when};
use support::roles;

const NATIVE: u32 = 0xc000_003e;
const I386: u32 = 0x4000_0003;
const ALLOW: u32 = 0x7fff_0000;
const KILL: u32 = 0x8000_0000;

fn import(bytes: &[u8], options: &Options) -> Result<Imported, Diagnostics> {
    read_bytes("p.bpf", bytes, Some(Format::Raw), options)
}

fn x86_64() -> Options {
    Options { arch: Some(Arch::X86_64), ..Options::default() }
}

/// The policy that a program is, and that its text is again.
fn decompiled(program: &Program, arch: Arch) -> Policy {
    let options = Options { arch: Some(arch), ..Options::default() };
    let imported = import(&program.bytes(), &options).unwrap_or_else(|errors| panic!("{errors}"));
    let policy = imported.policies.into_iter().next().expect("one policy");
    let text = write(&policy);
    let read = check_sources("p", &[("p", &text)], arch).unwrap_or_else(|errors| panic!("{text}\n{errors}"));
    assert_eq!(Decisions::of_policy(&read.policy), Decisions::of_policy(&policy), "{text}");
    policy
}

#[test]
fn every_program_of_every_role_is_decompiled_to_an_equal_policy() {
    for role in roles::filtered() {
        for arch in [Arch::X86_64, Arch::Aarch64] {
            let source = roles::policy(&role, arch);
            for program in [reference(&source), bitmask(&source)] {
                let program = program.expect("a program");
                let policy = decompiled(&program, arch);
                let meant = Decisions::of_program(program.instructions()).expect("decisions");
                assert_eq!(Decisions::of_policy(&policy), meant, "{role} on {arch}");
            }
            let policy = decompiled(&reference(&source).expect("a program"), arch);
            assert_eq!(Decisions::of_policy(&policy), Decisions::of_policy(&source), "{role} on {arch}");
        }
    }
}

#[test]
fn either_byte_order_and_every_listing_give_the_same_policy() {
    let program = guarded(&[load_word(0), when(libc::BPF_JEQ, 0, 0, 1), ret(ALLOW), ret(KILL)]);
    let little = program.bytes();
    let mut big = little.clone();
    for instruction in big.chunks_exact_mut(8) {
        instruction[0..2].reverse();
        instruction[4..8].reverse();
    }
    let hexadecimal = little.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
    let rows = program
        .instructions()
        .iter()
        .map(|it| format!("{{ {:#x}, {}, {}, {:#x} }},\n", it.code, it.jt, it.jf, it.k));
    let listing: String = rows.collect();
    let texts: Vec<String> = [little, big, hexadecimal.into_bytes(), listing.into_bytes()]
        .iter()
        .map(|bytes| write(&import(bytes, &x86_64()).unwrap_or_else(|errors| panic!("{errors}")).policies[0]))
        .collect();
    assert!(texts[0].contains("read:"), "{}", texts[0]);
    assert!(texts.iter().all(|text| *text == texts[0]));
}

/// The instructions, after a test that kills calls by other entries.
fn guarded(instructions: &[Instruction]) -> Program {
    let guard = [load_word(4), when(libc::BPF_JEQ, NATIVE, 1, 0), ret(KILL)];
    Program::new([&guard, instructions].concat()).expect("a program")
}

fn said(program: &Program, options: &Options) -> String {
    match import(&program.bytes(), options) {
        Ok(imported) => format!("{}\n{}", imported.notes.render(false), write(&imported.policies[0])),
        Err(errors) => errors.render(false),
    }
}

#[test]
fn conditions_come_back_as_people_write_them() {
    // ioctl: fd == 3 and cmd one of two, both halves of cmd compared; write: count at most 8.
    let program = guarded(&[
        load_word(0),
        when(libc::BPF_JEQ, 16, 0, 6),
        load_word(16),
        when(libc::BPF_JEQ, 3, 0, 10),
        load_word(28),
        when(libc::BPF_JEQ, 0, 0, 8),
        load_word(24),
        when(libc::BPF_JEQ, 0x5401, 5, 6),
        when(libc::BPF_JEQ, 1, 0, 5),
        load_word(36),
        when(libc::BPF_JGT, 0, 3, 0),
        load_word(32),
        when(libc::BPF_JGT, 8, 1, 0),
        ret(ALLOW),
        ret(KILL),
    ]);
    let policy = decompiled(&program, Arch::X86_64);
    let rules: Vec<_> =
        policy.rules.iter().map(|rule| format!("{}: {}", rule.call.name, rule.expression)).collect();
    assert_eq!(rules, ["write: count <= 8", "ioctl: fd == 3 && cmd:u64 == TCGETS"]);
}

#[test]
fn alternatives_of_different_width_come_back() {
    // ioctl: fd == 3 and cmd, of which both halves are compared, one value or at most 8.
    let program = guarded(&[
        load_word(0),
        when(libc::BPF_JEQ, 16, 0, 8),
        load_word(16),
        when(libc::BPF_JEQ, 3, 0, 6),
        load_word(28),
        when(libc::BPF_JEQ, 0, 0, 4),
        load_word(24),
        when(libc::BPF_JEQ, 0x5401, 1, 0),
        when(libc::BPF_JGT, 8, 1, 0),
        ret(ALLOW),
        ret(KILL),
    ]);
    let policy = decompiled(&program, Arch::X86_64);
    let meant = Decisions::of_program(program.instructions()).expect("decisions");
    assert_eq!(Decisions::of_policy(&policy), meant);
    // Sets with the same members are equal, however they came about.
    let space = Space::new();
    let rule = policy.rules.iter().find(|rule| rule.call.name == "ioctl").expect("a rule");
    assert!(meant.allowed().of_call(NATIVE, 16) == space.calls(&rule.condition));
    let test = |width, relation| arbitrary::test(1, width, relation);
    let either = Condition::Any(vec![
        Condition::All(vec![
            test(Width::Bits64, Relation::Equal(0x5401)),
            arbitrary::test(0, Width::Bits32, Relation::Equal(3)),
        ]),
        Condition::All(vec![
            Condition::Not(Box::new(test(Width::Bits64, Relation::Equal(0x5401)))),
            Condition::Not(Box::new(test(Width::Bits64, Relation::Greater(8)))),
            arbitrary::test(0, Width::Bits32, Relation::Equal(3)),
        ]),
    ]);
    assert!(meant.allowed().of_call(NATIVE, 16) == space.calls(&either));
}

#[test]
fn bytes_that_are_no_program_are_refused() {
    let message = |bytes: &[u8]| import(bytes, &x86_64()).unwrap_err().render(false);
    assert_snapshot!(message(&[0x20, 0, 0]), @"error: 3 bytes are no program: an instruction has 8");
    assert_snapshot!(message(&Program::new(vec![load_word(0), ret(ALLOW)]).expect("a program").bytes()[..8]), @r#"
    error: the kernel would refuse this program
     --> p.bpf:1:1
      |
    1 |    0  A = nr
      | ^^^^^^^^^^^^ the last instruction must return
    "#);
    assert_snapshot!(message(b"0x20 0 0 4\nBPF_STMT(BPF_RET, 0)\n"), @r#"
    error: this line is no instruction
     --> p.bpf:2:1
      |
    2 | BPF_STMT(BPF_RET, 0)
      | ^^^^^^^^^^^^^^^^^^^^ not `CODE JT JF K`
      |
      = help: as in `0x20 0x00 0x00 0x00000004` or `{ 0x20, 0, 0, 0x4 },`; a program may also be bytes, or bytes in hexadecimal
    "#);
}

#[test]
fn a_program_is_read_as_it_is_before_its_comparisons_are_cut_to_what_the_kernel_reads() {
    let text = "role r\ntier filter\notherwise trap\nread: fd:u64 == 3 -- input\n";
    let source = check_sources("r", &[("r", text)], Arch::X86_64).expect("a policy").policy;
    let program = reference(&source).expect("a program");
    let said = |kernel_widths| said(&program, &Options { kernel_widths, ..Options::default() });
    assert!(said(false).contains("read: fd:u64 == 3 "), "{}", said(false));
    let cut = said(true);
    assert!(cut.contains("read: fd == 3 ") && cut.contains("1 rule compares more bits"), "{cut}");
}

#[test]
fn what_a_policy_cannot_say_is_named() {
    let tracer = guarded(&[load_word(0), when(libc::BPF_JEQ, 0, 0, 1), ret(0x7ff0_0000), ret(0x0003_0007)]);
    assert_snapshot!(said(&tracer, &x86_64()), @r#"
    error: a policy cannot hand calls to a tracer
     --> p.bpf:6:1
      |
    6 |    5  return TRACE(0)
      | ^^^^^^^^^^^^^^^^^^^^^ this action
      |
      = help: where losses are taken, the call fails with ENOSYS, as it does where no tracer is

    error: a policy cannot hand a number to the handler of SIGSYS
     --> p.bpf:7:1
      |
    7 |    6  return TRAP
      | ^^^^^^^^^^^^^^^^^ si_errno is 7
      |
      = help: where losses are taken, the handler is given none
      = help: a decision table says what the program does, where rules cannot
    "#);
    let unnamed = guarded(&[
        load_word(0),
        when(libc::BPF_JGE, 0x4000_0000, 3, 0),
        when(libc::BPF_JEQ, 5000, 0, 1),
        ret(ALLOW),
        ret(0x0005_0001),
        ret(KILL),
    ]);
    assert_snapshot!(said(&unnamed, &x86_64()), @r#"
    error: number 5000 gets `allow`, and x86_64 has no call of that number
     --> p.bpf:1:1
      |
    1 |    0  A = arch
      | ^^^^^^^^^^^^^^ the program
      |
      = help: a policy has rules for calls that have a name

    error: calls of the x32 ABI get `kill`, and others without a rule `errno 1`
     --> p.bpf:1:1
      |
    1 |    0  A = arch
      | ^^^^^^^^^^^^^^ the program
      |
      = help: a policy has rules for calls that have a name
      = help: a decision table says what the program does, where rules cannot
    "#);
    let anywhere = Program::new(vec![load_word(0), when(libc::BPF_JEQ, 0, 0, 1), ret(ALLOW), ret(KILL)])
        .expect("a program");
    assert_snapshot!(said(&anywhere, &Options::default()), @r#"
    error: calls by the entry of architecture 0x40000003 can get `allow`
     --> p.bpf:1:1
      |
    1 |    0  A = nr
      | ^^^^^^^^^^^^ the program
      |
      = help: a policy is for the calls of one architecture, here x86_64, and ends a process that uses another's entry
      = help: a decision table says what the program does, where rules cannot
    "#);
    assert_snapshot!(said(&anywhere, &x86_64()), @r#"
    note: calls by the entry of architecture 0x40000003 can get `allow`
     --> p.bpf:1:1
      |
    1 |    0  A = nr
      | ^^^^^^^^^^^^ the program
      |
      = help: a policy is for the calls of one architecture, here x86_64, and ends a process that uses another's entry

    role p
    tier filter
    otherwise kill

    read:  -- decompiled from p.bpf
    "#);
    let place = guarded(&[
        load_word(0),
        when(libc::BPF_JEQ, 0, 0, 3),
        load_word(8),
        when(libc::BPF_JEQ, 5, 0, 1),
        ret(ALLOW),
        ret(KILL),
    ]);
    assert_snapshot!(said(&place, &x86_64()), @r#"
    error: what the program answers to `read` is no condition of its arguments
     --> p.bpf:1:1
      |
    1 |    0  A = arch
      | ^^^^^^^^^^^^^^ the program
      |
      = help: it depends on the architecture, the number or the instruction pointer of a call, not on its arguments alone
      = help: a decision table says what the program does, where rules cannot
    "#);
}

#[test]
fn a_program_for_two_entries_has_a_table() {
    let program = Program::new(vec![
        load_word(4),
        when(libc::BPF_JEQ, I386, 7, 0),
        when(libc::BPF_JEQ, NATIVE, 0, 8),
        load_word(0),
        when(libc::BPF_JEQ, 231, 5, 0),
        when(libc::BPF_JEQ, 16, 0, 5),
        load_word(24),
        when(libc::BPF_JEQ, 0x5401, 2, 3),
        ret(ALLOW),
        load_word(0),
        ret(0x7ff0_0001),
        ret(KILL),
    ])
    .expect("a program");
    let table = raw::table("p.bpf", &program.bytes(), &x86_64()).expect("a table");
    assert!(table.complete);
    assert_snapshot!(table.to_string(), @r#"
    x86_64     0..15                    kill
    x86_64     ioctl (16)               trace 1  if cmd == TCGETS
    x86_64     ioctl (16)               kill  if cmd != TCGETS
    x86_64     17..230                  kill
    x86_64     exit_group (231)         trace 1
    x86_64     232..4294967295          kill
    i386       0..4294967295            trace 1
    any other  0..4294967295            kill
    "#);
    let json = serde_json::to_value(&table).expect("plain data");
    assert_eq!(json["schema"], 1);
    assert_eq!(json["rows"][0]["entry"], "x86_64");
}

#[test]
fn a_table_says_what_it_does_not_say() {
    let complete =
        |program: &Program| raw::table("p", &program.bytes(), &x86_64()).expect("a table").complete;
    let odd_entry = [load_word(4), when(libc::BPF_JEQ, 5, 0, 1), ret(ALLOW), ret(KILL)];
    assert!(!complete(&Program::new(odd_entry.to_vec()).expect("a program")));
    let place = [load_word(8), when(libc::BPF_JEQ, 5, 0, 1), ret(ALLOW), ret(KILL)];
    assert!(!complete(&guarded(&place)));
    assert!(complete(&guarded(&[ret(ALLOW)])));
}

/// The lower bits of an argument as an error number: each is an answer, and each would be looked for in every call.
#[test]
fn a_program_that_returns_what_it_computes_is_given_up() {
    let program = |mask| {
        Program::new(vec![
            load_word(16),
            op(libc::BPF_ALU | libc::BPF_AND, mask),
            op(libc::BPF_ALU | libc::BPF_OR, libc::SECCOMP_RET_TRAP),
            op(libc::BPF_RET | libc::BPF_A, 0),
        ])
        .expect("a program")
    };
    assert_snapshot!(import(&program(0x1ff).bytes(), &x86_64()).unwrap_err().render(false), @r"
    error: the program gives more than 256 answers
     --> p.bpf:4:1
      |
    4 |    3  return A
      | ^^^^^^^^^^^^^^ a computed one
      |
      = help: a policy has an answer for each rule, which no argument changes
    ");
    assert!(raw::table("p.bpf", &program(0x3fff).bytes(), &x86_64()).is_err());
    assert!(raw::table("p.bpf", &program(0x7).bytes(), &x86_64()).is_ok());
}

proptest! {
    #[test]
    fn any_policy_of_real_calls_survives_compilation_and_decompilation(
        conditions in prop::collection::vec((0..4_usize, arbitrary::condition(), arbitrary::action()), 1..5),
        otherwise in arbitrary::action(),
    ) {
        let calls = ["read", "ioctl", "mmap", "futex"];
        let rules = conditions.into_iter().map(|(call, condition, action)| {
            arbitrary::rule(by_name(Arch::X86_64, calls[call]).expect("a call"), condition, action)
        });
        let source = arbitrary::policy(otherwise, rules.collect());
        let Ok(program) = reference(&source) else { return Ok(()) };
        let options = x86_64();
        match import(&program.bytes(), &options) {
            Ok(imported) => {
                prop_assert_eq!(Decisions::of_policy(&imported.policies[0]), Decisions::of_policy(&source));
            }
            // A function of the arguments that single comparisons of the program do not make up is said to be one.
            Err(errors) => prop_assert!(errors.render(false).contains("is no condition"), "{}", errors),
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = import(&bytes, &Options { lossy: true, ..Options::default() });
    }

    #[test]
    fn a_program_with_bytes_changed_is_read_or_refused(at in 0..96_usize, byte in any::<u8>()) {
        let program = guarded(&[
            load_word(0), when(libc::BPF_JEQ, 16, 0, 5), load_word(28), when(libc::BPF_JEQ, 0, 0, 3),
            load_word(24), when(libc::BPF_JEQ, 0x5401, 0, 1), ret(ALLOW), ret(KILL), ret(KILL),
        ]);
        let mut bytes = program.bytes();
        bytes[at] = byte;
        let _ = import(&bytes, &Options { lossy: true, ..Options::default() });
        let _ = raw::table("p", &bytes, &x86_64());
    }
}

#[test]
fn actions_of_the_source_survive() {
    let call = |name| by_name(Arch::X86_64, name).expect("a call");
    let always = Condition::Always;
    let rules = [
        ("read", Action::Allow),
        ("write", Action::Errno(2)),
        ("open", Action::Log),
        ("close", Action::KillThread),
    ];
    let rules = rules.map(|(name, action)| arbitrary::rule(call(name), always.clone(), action));
    let source = arbitrary::policy(Action::Trap, rules.to_vec());
    let policy = decompiled(&reference(&source).expect("a program"), Arch::X86_64);
    assert_eq!(Decisions::of_policy(&policy), Decisions::of_policy(&source));
}
