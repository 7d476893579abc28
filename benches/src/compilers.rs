//! A policy by several compilers. A program is held against the policy before it is counted: one that decides otherwise
//! is not measured as if it did not.
#![forbid(unsafe_code)]

use std::fmt::{self, Display, Formatter};

use seccomp_policies::bpf::Program;
use seccomp_policies::compile::{self, Measure, measure, optimize, reference};
use seccomp_policies::language::Policy;
use seccomp_policies::prove::{Decisions, longest_feasible_path};

use crate::libseccomp::{self, Libseccomp, Tree};
use crate::policies::Named;

/// What is compared, in the order of a table's columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compiler {
    /// The optimizing backend, by the weights of the policy's profile.
    Optimizing,
    /// The reference backend.
    Seccompiler,
    /// Libseccomp, which may search call numbers by a tree.
    Libseccomp(Tree),
}

impl Compiler {
    /// Each of them.
    pub const ALL: [Self; 4] = [
        Self::Optimizing,
        Self::Seccompiler,
        Self::Libseccomp(Tree::Priority),
        Self::Libseccomp(Tree::Binary),
    ];

    /// As a table's head has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Optimizing => "ringfence",
            Self::Seccompiler => "seccompiler",
            Self::Libseccomp(Tree::Priority) => "libseccomp",
            Self::Libseccomp(Tree::Binary) => "libseccomp, tree",
        }
    }
}

/// What came of a policy by one compiler.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The program decides every call as it is to, and this is what it costs.
    Counted(Count),
    /// It does not; a call that shows it, or why there is no telling.
    Differs(String),
    /// There is no program, and why.
    Refused(String),
    /// The compiler is not installed.
    Missing,
}

/// What a program costs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Count {
    /// With the longest path by the structure of the program, a bound.
    pub measure: Measure,
    /// The longest path that a call takes; `None` where that is too complicated to tell.
    pub longest_feasible: Option<usize>,
}

/// A table's cell: length, mean and longest feasible path, or else its bound.
impl Display for Outcome {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Count { measure, longest_feasible } = match self {
            Self::Counted(count) => count,
            Self::Differs(_) => return f.write_str("differs"),
            Self::Refused(_) => return f.write_str("refused"),
            Self::Missing => return f.write_str("missing"),
        };
        let mean = measure.mean.map_or_else(|| "none".to_owned(), |mean| format!("{mean:.1}"));
        let longest =
            longest_feasible.map_or_else(|| format!("≤ {}", measure.longest), |longest| longest.to_string());
        write!(f, "{} / {mean} / {longest}", measure.length)
    }
}

/// Compiles a policy by each of [`Compiler::ALL`], and judges what comes out.
pub fn outcomes(named: &Named, libseccomp: Option<&Libseccomp>) -> [Outcome; 4] {
    let policy = &named.policy;
    let own = |compiled: Result<Program, compile::Error>| match compiled {
        Ok(program) => judge(policy, &Decisions::of_policy(policy), &program),
        Err(error) => Outcome::Refused(error.to_string()),
    };
    Compiler::ALL.map(|compiler| match compiler {
        Compiler::Optimizing => own(optimize(policy, &named.weights())),
        Compiler::Seccompiler => own(reference(policy)),
        Compiler::Libseccomp(tree) => match libseccomp.map(|libseccomp| libseccomp.compile(policy, tree)) {
            Some(Ok(program)) => judge(policy, &libseccomp::meaning(policy), &program),
            Some(Err(error)) => Outcome::Refused(error.to_string()),
            None => Outcome::Missing,
        },
    })
}

/// Counts what a program costs the calls of a policy, if it decides all of them as it is meant to.
fn judge(policy: &Policy, meaning: &Decisions, program: &Program) -> Outcome {
    let decided = match Decisions::of_program(program.instructions()) {
        Ok(decided) => decided,
        Err(error) => return Outcome::Differs(error.to_string()),
    };
    if let Some(difference) = meaning.difference(&decided) {
        let (text, left, right) = (difference.text(), difference.left, difference.right);
        return Outcome::Differs(format!("for {text} it is to say {left}, and says {right}"));
    }
    let longest_feasible = longest_feasible_path(program.instructions()).ok();
    Outcome::Counted(Count { measure: measure(policy, program), longest_feasible })
}

#[cfg(test)]
mod tests {
    use seccomp_policies::language::check_sources;
    use seccomp_policies::syscalls::Arch;

    use super::*;

    fn named(rules: &str) -> Named {
        let text = format!("role measured\ntier filter\notherwise errno EPERM\n{rules}");
        let checked = check_sources("measured.policy", &[("measured.policy", &text)], Arch::X86_64);
        let policy = checked.unwrap_or_else(|findings| panic!("{findings}")).policy;
        Named { name: "measured", policy, profile: None }
    }

    #[test]
    fn our_own_compilers_programs_are_counted_and_the_longest_path_is_one_that_a_call_takes() {
        let named = named("ioctl: fd == 3 && cmd == KVM_RUN -- enter the guest\nexit_group: -- the end");
        let [optimizing, seccompiler, ..] = outcomes(&named, None);
        // By hand: architecture and its test, number and a test for each call, and for ioctl two loads and two tests;
        // three returns.
        let Outcome::Counted(Count { measure, longest_feasible }) = optimizing else {
            panic!("{optimizing:?}")
        };
        assert_eq!((measure.mean, longest_feasible), (Some(9.0), Some(9)), "{measure:?}");
        let Outcome::Counted(Count { measure: other, .. }) = seccompiler else { panic!("{seccompiler:?}") };
        assert!(other.length > measure.length && other.mean > measure.mean, "{other:?} {measure:?}");
    }

    #[test]
    fn a_program_that_decides_otherwise_is_not_counted() {
        let meant = named("write: fd == 3 -- meant");
        let other = reference(&named("write: fd == 4 -- other").policy).unwrap();
        let outcome = judge(&meant.policy, &Decisions::of_policy(&meant.policy), &other);
        let Outcome::Differs(why) = &outcome else { panic!("{outcome:?}") };
        assert_eq!(why, "for write(fd=3) it is to say allow, and says errno 1");
        assert_eq!(outcome.to_string(), "differs");
    }

    #[test]
    fn what_is_not_there_or_does_not_compile_says_so() {
        let outcomes = outcomes(&named("exit_group: -- the end"), None);
        assert!(matches!(outcomes[2..], [Outcome::Missing, Outcome::Missing]), "{outcomes:?}");
        let console = ringfence::role::policies::console::POLICY.sources;
        let strict = check_sources(console[0].0, console, Arch::X86_64).unwrap().policy;
        let [optimizing, ..] =
            super::outcomes(&Named { name: "console", policy: strict, profile: None }, None);
        let Outcome::Refused(why) = optimizing else { panic!("{optimizing:?}") };
        assert!(why.contains("`strict`"), "{why}");
    }

    #[test]
    fn a_cell_says_where_its_longest_path_is_a_bound() {
        let measure = Measure { length: 20, mean: Some(9.25), longest: 12, cached: 1, allowed: 2 };
        let exact = Count { measure, longest_feasible: Some(11) };
        assert_eq!(Outcome::Counted(exact).to_string(), "20 / 9.2 / 11");
        let bound = Count { measure: Measure { mean: None, ..measure }, longest_feasible: None };
        assert_eq!(Outcome::Counted(bound).to_string(), "20 / none / ≤ 12");
    }
}
