//! The checked tree: a policy whose every name, width and constant has been resolved.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use crate::action::Action;
use crate::call::Call;
use crate::syscalls::{Arch, Syscall, X32_NUMBERS};
pub use crate::tier::Tier;

/// How many bits of an argument register the kernel reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Width {
    /// The lower half of the register; the upper half is ignored, as the kernel ignores it.
    Bits32,
    /// The whole register.
    Bits64,
}

impl Width {
    /// All bits of an argument of this width.
    pub const fn mask(self) -> u64 {
        match self {
            Self::Bits32 => u32::MAX as u64,
            Self::Bits64 => u64::MAX,
        }
    }

    /// The type that a policy writes after an argument to have this many bits of it compared.
    pub const fn type_name(self) -> &'static str {
        match self {
            Self::Bits32 => "u32",
            Self::Bits64 => "u64",
        }
    }
}

/// A comparison of an argument with constants; unsigned. Constants fit the test's width.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Relation {
    /// `argument == value`
    Equal(u64),
    /// `argument != value`
    NotEqual(u64),
    /// `argument < value`
    Less(u64),
    /// `argument <= value`
    LessOrEqual(u64),
    /// `argument > value`
    Greater(u64),
    /// `argument >= value`
    GreaterOrEqual(u64),
    /// `argument & mask == value`; `value` has no bit outside `mask`.
    Masked {
        /// The bits that are compared.
        mask: u64,
        /// What they must be.
        value: u64,
    },
}

impl Relation {
    /// Whether an argument, already cut to its width, stands in this relation.
    pub const fn holds(self, argument: u64) -> bool {
        match self {
            Self::Equal(value) => argument == value,
            Self::NotEqual(value) => argument != value,
            Self::Less(value) => argument < value,
            Self::LessOrEqual(value) => argument <= value,
            Self::Greater(value) => argument > value,
            Self::GreaterOrEqual(value) => argument >= value,
            Self::Masked { mask, value } => argument & mask == value,
        }
    }
}

/// One test of one argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Test {
    /// Index of the argument register, 0 to 5.
    pub argument: u8,
    /// How much of the register is compared.
    pub width: Width,
    /// With what, and how.
    pub relation: Relation,
}

impl Test {
    /// Whether the call's argument passes.
    pub const fn holds(self, call: &Call) -> bool {
        self.relation.holds(call.arguments[self.argument as usize] & self.width.mask())
    }
}

/// When a rule applies. `in` lists, slot ranges and `in ~MASK` are resolved into these.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Condition {
    /// Whatever the arguments.
    Always,
    /// One comparison.
    Test(Test),
    /// Every one of these.
    All(Vec<Condition>),
    /// At least one of these.
    Any(Vec<Condition>),
    /// Not this.
    Not(Box<Condition>),
}

impl Condition {
    /// Whether the call's arguments meet the condition.
    pub fn holds(&self, call: &Call) -> bool {
        match self {
            Self::Always => true,
            Self::Test(test) => test.holds(call),
            Self::All(parts) => parts.iter().all(|part| part.holds(call)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(call)),
            Self::Not(part) => !part.holds(call),
        }
    }
}

/// One line of a policy: a call, when, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The call, on the target that the policy was checked for.
    pub call: &'static Syscall,
    /// When the rule applies.
    pub condition: Condition,
    /// What it decides.
    pub action: Action,
    /// The condition as the formatter prints it; empty for `Always`.
    pub expression: String,
    /// Why the rule is there.
    pub reason: String,
    /// File that holds the rule, as given or included.
    pub file: String,
    /// Line in that file, from 1.
    pub line: u32,
}

/// A named descriptor number, or a range of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// The name after `fd`.
    pub name: String,
    /// Lowest descriptor.
    pub first: u32,
    /// Highest descriptor; equal to `first` for a single slot.
    pub last: u32,
    /// What the descriptor is.
    pub reason: String,
}

/// A checked policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The role's name.
    pub role: String,
    /// The tier that the text asks for.
    pub tier: Tier,
    /// What happens to every other call.
    pub otherwise: Action,
    /// The architecture that the policy was checked for.
    pub arch: Arch,
    /// Descriptor slots, ascending.
    pub slots: Vec<Slot>,
    /// Rules in the order of the text; the first that matches decides.
    pub rules: Vec<Rule>,
}

impl Policy {
    /// The first rule that matches the call: its index in [`Policy::rules`].
    pub fn matching_rule(&self, call: &Call) -> Option<usize> {
        self.rules.iter().position(|rule| rule.call.number == call.number && rule.condition.holds(call))
    }

    /// What the text says of a call: the meaning that every compiled program must have.
    ///
    /// A call that entered the kernel as another architecture's (32-bit on `x86_64`) ends the process,
    /// whatever `otherwise` says, since its numbers mean other calls.
    pub fn decide(&self, call: &Call) -> Action {
        if call.arch != self.arch.audit_value() {
            return Action::KillProcess;
        }
        match self.matching_rule(call) {
            Some(index) => self.rules[index].action,
            None => self.unmatched(call.number),
        }
    }

    /// The rules of each call number, in the order of the text.
    pub fn rules_by_number(&self) -> BTreeMap<u32, Vec<&Rule>> {
        let mut rules: BTreeMap<u32, Vec<&Rule>> = BTreeMap::new();
        for rule in &self.rules {
            rules.entry(rule.call.number).or_default().push(rule);
        }
        rules
    }

    /// What becomes of a call of the policy's architecture that no rule matches: `otherwise`, but for the
    /// [`beyond`](Self::beyond) numbers.
    pub fn unmatched(&self, number: u32) -> Action {
        if self.beyond().is_some_and(|numbers| numbers.contains(&number)) {
            return Action::KillProcess;
        }
        self.otherwise
    }

    /// The numbers of the x32 ABI, where calls by them end the process whatever `otherwise` says: under
    /// `otherwise allow`, since each would carry out a call that a rule refuses by its own number.
    ///
    /// Any other `otherwise` speaks for them as well. Even `log`, which is for trying a policy out: what it lets
    /// through is told.
    pub fn beyond(&self) -> Option<RangeInclusive<u32>> {
        (self.arch == Arch::X86_64 && self.otherwise == Action::Allow).then_some(X32_NUMBERS)
    }
}
