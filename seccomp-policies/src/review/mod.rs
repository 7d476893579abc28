//! Several policies side by side, for whoever reviews them: every call that one of them lets through, under which
//! conditions and why, and what each role can do by these calls.
//!
//! Threads of a process share its memory, so that an attacker who has one of them may have others do what it may not.
//! What all roles can do together stands beside each.

mod abilities;

use serde::Serialize;

use crate::explain::Cited;
use crate::language::{Policy, Slot, Tier};
use crate::pattern::is_carried_out;
use crate::prove::{Calls, Decisions, Permission, Space};
use crate::syscalls::{Arch, Syscall, all};

use abilities::{FOREIGN_DESCRIPTOR, abilities, on_foreign_descriptors};

/// Version of the shape of [`Review`] as JSON; it changes when a member changes its meaning or goes away.
pub const SCHEMA: u32 = 1;

/// Policies side by side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Review {
    /// `policies`: what of an audit this is.
    pub report: &'static str,
    /// [`SCHEMA`]
    pub schema: u32,
    /// The roles, in the order in which they were given.
    pub roles: Vec<Role>,
    /// Every call that some role may make, by name.
    pub calls: Vec<Row>,
    /// What can be done by these calls.
    pub abilities: Vec<Ability>,
}

/// A policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Role {
    /// Its name.
    pub role: String,
    /// `strict`, `bitmask` or `filter`.
    pub tier: &'static str,
    /// What becomes of every other call, as a policy spells it.
    pub otherwise: String,
    /// Its descriptors.
    pub slots: Vec<NamedSlot>,
}

/// Descriptors that a policy names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NamedSlot {
    /// The name.
    pub name: String,
    /// The lowest number.
    pub first: u32,
    /// The highest.
    pub last: u32,
    /// What lies there.
    pub reason: String,
}

/// A call, and what each role may do with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Its name.
    pub call: &'static str,
    /// Its number.
    pub number: u32,
    /// A cell for each role, in their order.
    pub cells: Vec<Cell>,
    /// What all roles may do together.
    pub together: Verdict,
}

/// What a role may do with a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cell {
    /// In a word.
    pub verdict: Verdict,
    /// The rules that let it through, or where everything is let through that no rule refuses, those.
    pub rules: Vec<Cited>,
}

/// How far a call is let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Never.
    Refused,
    /// With some arguments.
    Conditional,
    /// Whatever its arguments.
    Allowed,
}

/// Something that can be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ability {
    /// In a reviewer's words: "open a file".
    pub ability: &'static str,
    /// For each role a call by which it can, in their order; none for one that cannot.
    pub by: Vec<Option<String>>,
    /// Whether any of them can.
    pub together: bool,
}

/// A descriptor that some roles have alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedSlot<'a> {
    /// Their names.
    pub roles: Vec<&'a str>,
    /// The descriptor.
    pub slot: &'a NamedSlot,
}

impl NamedSlot {
    /// Its number, or from which to which.
    pub fn numbers(&self) -> String {
        let Self { first, last, .. } = self;
        if first == last { first.to_string() } else { format!("{first}..{last}") }
    }
}

impl Review {
    /// The descriptors of all roles, those that several have alike once.
    pub fn slots(&self) -> Vec<SharedSlot<'_>> {
        let mut shared: Vec<SharedSlot> = Vec::new();
        for Role { role, slots, .. } in &self.roles {
            for slot in slots {
                match shared.iter_mut().find(|known| known.slot == slot) {
                    Some(known) => known.roles.push(role),
                    None => shared.push(SharedSlot { roles: vec![role], slot }),
                }
            }
        }
        shared
    }
}

/// Puts policies of one architecture side by side.
pub fn review(policies: &[Policy]) -> Review {
    let arch = policies.first().map_or(Arch::X86_64, |policy| policy.arch);
    let allowed: Vec<Calls> = policies.iter().map(allowed).collect();
    let together = allowed.iter().fold(Space::new().none(), |every, calls| every.union(calls));
    let mut syscalls: Vec<&'static Syscall> = all(arch).iter().collect();
    syscalls.sort_unstable_by_key(|syscall| syscall.name);
    let rows = syscalls.into_iter().filter_map(|syscall| {
        let verdict = |calls: &Calls| Verdict::of(&calls.of_call(arch.audit_value(), syscall.number));
        let together = verdict(&together);
        let cell = |(policy, calls)| Cell::new(policy, syscall, verdict(calls));
        (together != Verdict::Refused).then(|| Row {
            call: syscall.name,
            number: syscall.number,
            cells: policies.iter().zip(&allowed).map(cell).collect(),
            together,
        })
    });
    Review {
        report: "policies",
        schema: SCHEMA,
        roles: policies.iter().map(Role::new).collect(),
        calls: rows.collect(),
        abilities: by_roles(arch, policies, &allowed),
    }
}

/// Calls that strict mode lets through, whatever rules stand in a policy: `mode1_syscalls`, Linux `kernel/seccomp.c`.
pub(crate) const STRICT: [&str; 4] = ["read", "write", "exit", "rt_sigreturn"];

/// What the kernel carries out without asking anybody. Strict mode is the kernel's own, whatever rules stand in a policy
/// for it (`mode1_syscalls`, Linux `kernel/seccomp.c`).
pub(crate) fn allowed(policy: &Policy) -> Calls {
    if policy.tier != Tier::Strict {
        return Decisions::of_policy(policy).permitted(Permission::Granted);
    }
    let space = Space::new();
    let native = space.of_arch(policy.arch.audit_value());
    let strict = all(policy.arch).iter().filter(|syscall| STRICT.contains(&syscall.name));
    let calls = strict.map(|syscall| native.intersection(&space.numbered(syscall.number)));
    calls.fold(space.none(), |every, calls| every.union(&calls))
}

fn by_roles(arch: Arch, policies: &[Policy], allowed: &[Calls]) -> Vec<Ability> {
    let named = abilities(arch).into_iter().map(|ability| {
        let by: Vec<_> =
            allowed.iter().map(|calls| calls.intersection(&ability.calls).example_text()).collect();
        Ability { ability: ability.name, together: by.iter().any(Option::is_some), by }
    });
    let foreign = policies.iter().zip(allowed);
    let by: Vec<_> = foreign
        .map(|(policy, calls)| calls.intersection(&on_foreign_descriptors(policy)).example_text())
        .collect();
    let foreign = Ability { ability: FOREIGN_DESCRIPTOR, together: by.iter().any(Option::is_some), by };
    named.chain([foreign]).collect()
}

impl Verdict {
    /// As the report has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Conditional => "conditional",
            Self::Allowed => "allowed",
        }
    }

    /// As a cell of a table shows it.
    pub const fn short(self) -> &'static str {
        match self {
            Self::Refused => "-",
            Self::Conditional => "some",
            Self::Allowed => "all",
        }
    }

    fn of(arguments: &Calls) -> Self {
        if arguments.is_empty() {
            Self::Refused
        } else if arguments.is_everything() {
            Self::Allowed
        } else {
            Self::Conditional
        }
    }
}

impl Cell {
    fn new(policy: &Policy, syscall: &Syscall, verdict: Verdict) -> Self {
        let of_call = || policy.rules.iter().filter(|rule| rule.call.number == syscall.number);
        let by_otherwise = is_carried_out(policy.otherwise);
        let decisive = of_call().filter(|rule| is_carried_out(rule.action) != by_otherwise);
        let rules = if verdict == Verdict::Refused { Vec::new() } else { decisive.map(Cited::new).collect() };
        Self { verdict, rules }
    }
}

impl Role {
    fn new(policy: &Policy) -> Self {
        let slot = |Slot { name, first, last, reason }: &Slot| NamedSlot {
            name: name.clone(),
            first: *first,
            last: *last,
            reason: reason.clone(),
        };
        Self {
            role: policy.role.clone(),
            tier: policy.tier.name(),
            otherwise: crate::explain::spelled(policy.otherwise),
            slots: policy.slots.iter().map(slot).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::check_sources;

    fn policy(text: &str) -> Policy {
        check_sources("p", &[("p", text)], Arch::X86_64).unwrap().policy
    }

    fn can<'a>(review: &'a Review, ability: &str) -> &'a Ability {
        review.abilities.iter().find(|known| known.ability == ability).unwrap()
    }

    #[test]
    fn a_call_stands_in_a_row_with_what_each_role_may_do() {
        let reader = policy(
            "role a\ntier filter\notherwise trap\nfd in = 0 -- input\nread: fd == @in -- input\ngetpid: -- who\n",
        );
        let free = policy(
            "role b\ntier filter\notherwise allow\nread: errno EPERM if count > 9 -- no more\ngetpid: kill -- no\n",
        );
        let strict = policy("role c\ntier strict\notherwise kill\nread: -- input\n");
        let review = review(&[reader, free, strict]);
        let row = |name: &str| review.calls.iter().find(|row| row.call == name).unwrap();
        let verdicts = |name: &str| row(name).cells.iter().map(|cell| cell.verdict).collect::<Vec<_>>();
        assert_eq!(verdicts("read"), [Verdict::Conditional, Verdict::Conditional, Verdict::Allowed]);
        assert_eq!(row("read").together, Verdict::Allowed);
        assert_eq!(row("read").cells[0].rules[0].rule, "read: fd == @in");
        assert_eq!(row("read").cells[1].rules[0].rule, "read: errno EPERM if count > 9");
        assert_eq!(verdicts("getpid"), [Verdict::Allowed, Verdict::Refused, Verdict::Refused]);
        assert_eq!(verdicts("exit"), [Verdict::Refused, Verdict::Allowed, Verdict::Allowed]);
        assert!(review.calls.is_sorted_by_key(|row| row.call));
        assert_eq!(review.calls.len(), all(Arch::X86_64).len(), "one of them allows nearly all");
    }

    #[test]
    fn what_roles_can_do_is_derived_from_the_arguments_that_they_may_pass() {
        let text = |rules: &str| {
            policy(&format!("role r\ntier filter\notherwise trap\nfd log = 4..5 -- a log\n{rules}"))
        };
        let policies = [
            text("mmap: (prot & PROT_EXEC) == 0 -- memory\nsocket: family == AF_UNIX -- a socket\n"),
            text("mmap: -- memory\nsocket: family in {AF_UNIX, AF_INET} -- a socket\n"),
            text("write: fd in @log -- the log\nopenat: dfd == AT_FDCWD -- files\n"),
            text("write: fd in {@log, 7} -- the log\n"),
        ];
        let review = review(&policies);
        let by = |ability| can(&review, ability).by.iter().map(Option::is_some).collect::<Vec<_>>();
        assert_eq!(by("map memory"), [true, true, false, false]);
        assert_eq!(by("make memory executable"), [false, true, false, false]);
        assert_eq!(by("reach the network"), [false, true, false, false]);
        assert_eq!(by("make a Unix socket"), [true, true, false, false]);
        assert_eq!(by("open a file"), [false, false, true, false]);
        assert_eq!(by(FOREIGN_DESCRIPTOR), [true, true, false, true], "mmap takes any file");
        assert_eq!(can(&review, FOREIGN_DESCRIPTOR).by[3].as_deref(), Some("write(fd=7)"));
        assert!(!can(&review, "start a process").together);
    }
}
