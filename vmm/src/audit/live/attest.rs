//! Whether a thread is held to what was meant: by the build of this program, or by a policy that the user names.
#![forbid(unsafe_code)]

use seccomp_policies::bpf::Instruction;
use seccomp_policies::embed::{Embedded, OnViolation};
use seccomp_policies::language::{Policy, Tier};
use seccomp_policies::prove::{Decisions, Difference, Permission};
use seccomp_policies::syscalls::Arch;

use super::process::{Mode, Thread};
use crate::role::policies::{ALL, api, console, disk, io, io_vsock, main, main_api, vcpu};

/// What a thread's filters were found to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// A program of the build, byte for byte.
    Build {
        /// The role.
        role: &'static str,
        /// How much of its policy the program looks at.
        tier: Tier,
        /// What becomes of other calls.
        on_violation: OnViolation,
    },
    /// Seccomp's strict mode, as the role asks for it.
    Strict {
        /// The role.
        role: &'static str,
    },
    /// Main, before it gave birth to a machine: no guest code has run.
    NotFencedYet,
    /// Programs other than the expected, which decide the same of every call.
    Equal {
        /// Whose policy.
        role: String,
    },
    /// Something else: a deviation, in words.
    Deviates(String),
    /// Nobody has said what this thread should be held to.
    Unexpected,
}

/// What threads a run of ours has, by which it is seen what they should be held to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// One serves an API, so that main may do more.
    pub has_api: bool,
    /// There are vCPUs: a machine was started.
    pub has_machine: bool,
}

impl Run {
    /// By the names of its threads.
    pub(crate) fn of<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut run = Self { has_api: false, has_machine: false };
        for name in names {
            run.has_api |= name == "rf-api";
            run.has_machine |= is_numbered(name, "rf-vcpu");
        }
        run
    }
}

/// The roles that a thread of ours of this name can have; none for another's.
pub(crate) fn roles(thread: &str, run: Run) -> Vec<&'static Embedded> {
    match thread {
        "rf-main" if run.has_api => vec![&main_api::POLICY],
        "rf-main" => vec![&main::POLICY],
        "rf-io" => vec![&io::POLICY, &io_vsock::POLICY],
        "rf-api" => vec![&api::POLICY],
        "rf-console" => vec![&console::POLICY],
        name if is_numbered(name, "rf-vcpu") => vec![&vcpu::POLICY],
        name if is_numbered(name, "rf-disk") => vec![&disk::POLICY],
        _ => Vec::new(),
    }
}

fn is_numbered(thread: &str, name: &str) -> bool {
    thread.strip_prefix(name).is_some_and(|number| number.parse::<u8>().is_ok())
}

/// Whether a process is a run of ours, by the name of its first thread, which it has whatever its file is called.
pub fn is_ours(name: &str) -> bool {
    name == "rf-main"
}

/// What becomes of other calls, as the command line names it.
pub fn choice_name(choice: OnViolation) -> &'static str {
    match choice {
        OnViolation::AsWritten => "as written",
        OnViolation::Trap => "trap",
        OnViolation::Kill => "kill",
        OnViolation::Errno => "errno",
        OnViolation::Log => "log",
    }
}

/// The policy of a role by its name.
pub fn policy_of(role: &str) -> Option<&'static Embedded> {
    ALL.iter().copied().find(|policy| policy.role == role)
}

/// Looks at a thread of a run of ours. `programs`: in the order in which they were installed.
pub fn by_build(thread: &Thread, programs: &[Vec<Instruction>], run: Run) -> Finding {
    let roles = roles(&thread.name, run);
    let [first, ..] = roles.as_slice() else {
        return Finding::Deviates("no role of ringfence has a thread of this name".into());
    };
    match (thread.mode, programs) {
        (Mode::Strict, _) => match roles.iter().find(|role| role.tier() == Tier::Strict) {
            Some(role) => Finding::Strict { role: role.role },
            None => {
                Finding::Deviates(format!("it is in strict mode, and {} is held by a filter", first.role))
            }
        },
        (Mode::Off, _) if first.role == main_api::POLICY.role && !run.has_machine => Finding::NotFencedYet,
        (Mode::Off | Mode::Unknown, _) => {
            Finding::Deviates("nothing holds it: it may make every call".into())
        }
        (Mode::Filter, [program]) => by_program(&roles, program),
        (Mode::Filter, programs) => Finding::Deviates(format!(
            "it has {} filters, and a thread of ringfence has one: others were there before it started, or came later",
            programs.len()
        )),
    }
}

/// A program of the build, and what it is for.
struct Variant {
    role: &'static Embedded,
    tier: Tier,
    on_violation: OnViolation,
    program: &'static [Instruction],
}

/// Every program that a thread of these roles may have: by each choice of what becomes of other calls, since the policy's own
/// is one of them.
fn variants(roles: &[&'static Embedded]) -> Vec<Variant> {
    let choices = OnViolation::ALL.into_iter().filter(|choice| *choice != OnViolation::AsWritten);
    let mut variants = Vec::new();
    for role in roles.iter().copied() {
        for tier in [Tier::Filter, Tier::Bitmask] {
            let Some(programs) = role.variants(tier) else { continue };
            variants.extend(choices.clone().map(|on_violation| Variant {
                role,
                tier,
                on_violation,
                program: programs.get(on_violation),
            }));
        }
    }
    variants
}

fn by_program(roles: &[&'static Embedded], program: &[Instruction]) -> Finding {
    let own = variants(roles);
    if let Some(same) = own.iter().find(|variant| variant.program == program) {
        let Variant { role, tier, on_violation, .. } = same;
        return Finding::Build { role: role.role, tier: *tier, on_violation: *on_violation };
    }
    if let Some(other) = variants(ALL).iter().find(|variant| variant.program == program) {
        return Finding::Deviates(format!("it has the filter of {}, another role", other.role.role));
    }
    let decided = match Decisions::of_program(program) {
        Ok(decided) => decided,
        Err(error) => {
            return Finding::Deviates(format!(
                "its filter is not of this build, and cannot be compared: {error}"
            ));
        }
    };
    let mut nearest = None;
    for Variant { role, on_violation, program, .. } in own {
        let Ok(meant) = Decisions::of_program(program) else { continue };
        let Some(difference) = decided.difference(&meant) else {
            return Finding::Equal { role: role.role.into() };
        };
        if on_violation == OnViolation::Trap {
            nearest.get_or_insert((role, meant, difference));
        }
    }
    match nearest {
        Some((role, meant, difference)) => {
            Finding::Deviates(in_words(&decided, &meant, &difference, role.role))
        }
        None => Finding::Deviates("its filter is not of this build".into()),
    }
}

/// How the filters of a thread differ from what was meant, most telling first.
fn in_words(decided: &Decisions, meant: &Decisions, difference: &Difference, role: &str) -> String {
    let more = decided.at_most(meant).err();
    let less = meant.at_most(decided).err();
    match (more, less) {
        (Some(more), less) => format!(
            "its filter allows what {role} may not: {} ({}){}",
            more.text(),
            count_of_calls(&more),
            if less.is_some() { "; and refuses some of what it may" } else { "" }
        ),
        (None, Some(less)) => {
            format!("its filter refuses what {role} may do: {} ({})", less.text(), count_of_calls(&less))
        }
        (None, None) => {
            format!("its filter allows what {role} may, and answers another call differently: {difference}")
        }
    }
}

/// In how many calls of the table two decisions differ.
fn count_of_calls(difference: &Difference) -> String {
    let arch = Arch::X86_64;
    let calls = seccomp_policies::syscalls::all(arch).iter();
    match calls.filter(|call| difference.calls.contains_number(arch.audit_value(), call.number)).count() {
        1 => "in this call alone".into(),
        count => format!("in {count} calls"),
    }
}

/// Looks at a thread that is to be held to a policy: at all its filters together.
pub fn by_policy(mode: Mode, programs: &[Vec<Instruction>], policy: &Policy) -> Finding {
    if mode == Mode::Strict {
        return if policy.tier == Tier::Strict {
            Finding::Equal { role: policy.role.clone() }
        } else {
            Finding::Deviates(format!("it is in strict mode, and {} is held by a filter", policy.role))
        };
    }
    if programs.is_empty() {
        return Finding::Deviates("nothing holds it: it may make every call".into());
    }
    match together(programs) {
        Err(error) => Finding::Deviates(format!("its filters cannot be compared: {error}")),
        Ok(decided) => {
            let meant = Decisions::of_policy(policy);
            match decided.difference(&meant) {
                None => Finding::Equal { role: policy.role.clone() },
                Some(difference) => Finding::Deviates(in_words(&decided, &meant, &difference, &policy.role)),
            }
        }
    }
}

/// What programs decide together.
///
/// # Errors
/// One that has no description of a reasonable size.
pub fn together(programs: &[Vec<Instruction>]) -> Result<Decisions, seccomp_policies::prove::Error> {
    let each: Result<Vec<_>, _> = programs.iter().map(|program| Decisions::of_program(program)).collect();
    Ok(Decisions::combine(&each?))
}

/// How many calls are let through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allowed {
    /// Of the process's own kind, 64-bit calls or 32-bit ones, whatever their arguments.
    pub whatever_the_arguments: usize,
    /// The same with some arguments, and refused with others.
    pub by_arguments: usize,
    /// Of 32-bit calls (`int 0x80`), which a 64-bit process can make as well, with some arguments or all.
    pub of_32_bits: usize,
}

/// `AUDIT_ARCH_I386` (Linux `include/uapi/linux/audit.h`).
const I386: u32 = 0x4000_0003;

/// More numbers than the table of 32-bit calls has (Linux `arch/x86/entry/syscalls/syscall_32.tbl`: 471 in 6.18).
const I386_NUMBERS: u32 = 512;

impl Allowed {
    pub(super) fn by(decided: &Decisions, is_32_bit: bool) -> Self {
        let allowed = decided.permitted(Permission::Granted);
        let counts = |arch: u32, numbers: &mut dyn Iterator<Item = u32>| {
            let by_entry = allowed.of_entry(arch);
            let (mut whole, mut part) = (0, 0);
            for number in numbers {
                let arguments = by_entry.of_call(arch, number);
                if arguments.is_everything() {
                    whole += 1;
                } else if !arguments.is_empty() {
                    part += 1;
                }
            }
            (whole, part)
        };
        let of_32_bits = counts(I386, &mut (0..I386_NUMBERS));
        let arch = Arch::X86_64;
        let mut numbers = seccomp_policies::syscalls::all(arch).iter().map(|call| call.number);
        let own = if is_32_bit { of_32_bits } else { counts(arch.audit_value(), &mut numbers) };
        Self { whatever_the_arguments: own.0, by_arguments: own.1, of_32_bits: of_32_bits.0 + of_32_bits.1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decisions(policy: &str) -> Decisions {
        let checked = seccomp_policies::language::check_sources("p", &[("p", policy)], Arch::X86_64).unwrap();
        Decisions::of_policy(&checked.policy)
    }

    #[test]
    fn calls_are_counted_by_what_is_asked_of_their_arguments() {
        let few = decisions(
            "role r\ntier filter\notherwise trap\ngetpid: -- a\nread: fd == 0 -- b\nwrite: errno EPERM -- c\n",
        );
        let counted = Allowed { whatever_the_arguments: 1, by_arguments: 1, of_32_bits: 0 };
        assert_eq!(Allowed::by(&few, false), counted);
        assert_eq!(Allowed::by(&few, true), Allowed::default());
        let everything = [Instruction { code: 6, jt: 0, jf: 0, k: 0x7fff_0000 }];
        let open = Allowed::by(&Decisions::of_program(&everything).unwrap(), false);
        assert_eq!(open.whatever_the_arguments, seccomp_policies::syscalls::all(Arch::X86_64).len());
        assert_eq!((open.by_arguments, open.of_32_bits), (0, 512));
    }

    #[test]
    fn main_may_do_more_where_there_is_an_api_and_nowhere_else() {
        let thread = Thread {
            tid: 1,
            name: "rf-main".into(),
            mode: Mode::Filter,
            no_new_privileges: true,
            capabilities: 0,
            tracer: 0,
            has_ended: false,
            is_kernel_worker: false,
        };
        let program =
            |policy: &Embedded| vec![policy.variants(Tier::Filter).unwrap().get(OnViolation::Trap).to_vec()];
        let found = |policy: &Embedded, has_api| {
            by_build(&thread, &program(policy), Run { has_api, has_machine: true })
        };
        assert!(matches!(found(&main::POLICY, false), Finding::Build { role: "main", .. }));
        assert!(matches!(found(&main_api::POLICY, true), Finding::Build { role: "main_api", .. }));
        for (policy, has_api, role) in [
            (&main_api::POLICY, false, "main_api"),
            (&main::POLICY, true, "main"),
            (&vcpu::POLICY, true, "vcpu"),
        ] {
            let expected = Finding::Deviates(format!("it has the filter of {role}, another role"));
            assert_eq!(found(policy, has_api), expected);
        }
    }
}
