//! What a policy allows and probably should not, and what will be hard to find out once it is in use.
//!
//! Everything here is decided exactly, from the set of calls that each rule allows: a rule that an earlier one leaves
//! nothing dangerous is not reported.

mod allowed;
mod arguments;
mod dangerous;
mod failures;
mod flags;
mod restart;
mod unused;

use crate::language::{Diagnostic, Diagnostics, Policy, Source};
use allowed::Allowed;

pub use unused::Used;

/// A kind of finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lint {
    /// A call on a descriptor, whichever it is.
    OpenDescriptor,
    /// A call that does many things, of which an argument selects one, whatever that argument is.
    UnpinnedArgument,
    /// A call by which others have broken out, or which few programs need.
    DangerousCall,
    /// Memory that may be made executable.
    ExecutableMemory,
    /// A process or a thread in a new namespace.
    NewNamespace,
    /// An answer that keeps a refusal from being noticed, or makes a program go on wrongly.
    HiddenFailure,
    /// A timed call, and no `restart_syscall`.
    MissingRestart,
    /// A rule for a call that no profile has.
    UnusedRule,
}

impl Lint {
    /// Every lint.
    pub const ALL: [Self; 8] = [
        Self::OpenDescriptor,
        Self::UnpinnedArgument,
        Self::DangerousCall,
        Self::ExecutableMemory,
        Self::NewNamespace,
        Self::HiddenFailure,
        Self::MissingRestart,
        Self::UnusedRule,
    ];

    /// The name by which a user turns it off.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OpenDescriptor => "open-descriptor",
            Self::UnpinnedArgument => "unpinned-argument",
            Self::DangerousCall => "dangerous-call",
            Self::ExecutableMemory => "executable-memory",
            Self::NewNamespace => "new-namespace",
            Self::HiddenFailure => "hidden-failure",
            Self::MissingRestart => "missing-restart",
            Self::UnusedRule => "unused-rule",
        }
    }

    /// What it is about, in a line.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::OpenDescriptor => "a call on a descriptor, whichever it is",
            Self::UnpinnedArgument => "ioctl, mmap, prctl, socket and such, asked to do anything",
            Self::DangerousCall => "a call by which others broke out, or that few programs need",
            Self::ExecutableMemory => "mmap or mprotect that may make memory executable",
            Self::NewNamespace => "clone that may make namespaces, and every clone3",
            Self::HiddenFailure => "an answer that keeps a refusal from being noticed",
            Self::MissingRestart => "a wait that restart_syscall continues, which is refused",
            Self::UnusedRule => "a rule for a call that no --profile has",
        }
    }

    /// The lint of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|lint| lint.name() == name)
    }
}

/// What was found in a policy, in the order of its text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// The lint of each finding.
    pub lints: Vec<Lint>,
    /// The findings, as warnings.
    pub diagnostics: Diagnostics,
}

/// Looks at a policy. `sources` are the texts that it was read from, as its notes have them; without the one of a rule,
/// the finding names its line. `used`: what profiles say, if there are any. `silent`: kinds of findings to leave out.
pub fn lint(policy: &Policy, sources: &[Source], used: Option<&Used>, silent: &[Lint]) -> Findings {
    let allowed = Allowed::of(policy);
    let mut found: Vec<Finding> = Vec::new();
    found.extend(arguments::open_descriptors(&allowed));
    found.extend(arguments::unpinned(&allowed));
    found.extend(dangerous::calls(&allowed));
    found.extend(flags::executable_memory(&allowed));
    found.extend(flags::namespaces(&allowed));
    found.extend(failures::hidden(policy));
    found.extend(restart::missing(&allowed));
    found.extend(used.into_iter().flat_map(|used| unused::rules(policy, used)));
    found.retain(|finding| !silent.contains(&finding.lint));
    found.sort_by_key(|finding| (finding.rule, finding.lint));
    let diagnostics = found.iter().map(|finding| finding.diagnostic(policy, sources)).collect();
    Findings {
        lints: found.iter().map(|finding| finding.lint).collect(),
        diagnostics: Diagnostics::new(diagnostics, sources.to_vec()),
    }
}

/// A finding before it has a place.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Finding {
    lint: Lint,
    /// The rule that it is about; `None` for `otherwise`.
    rule: Option<usize>,
    title: String,
    /// At the place.
    label: String,
    help: String,
}

impl Finding {
    fn diagnostic(&self, policy: &Policy, sources: &[Source]) -> Diagnostic {
        let Self { lint, rule, title, label, help } = self;
        let title = format!("{title} [{}]", lint.name());
        let rule = rule.map(|index| &policy.rules[index]);
        let place = match rule {
            Some(rule) => place(sources, &rule.file, |line, _| line == rule.line),
            None => {
                sources.first().and_then(|first| place(sources, &first.name, |_, text| says_otherwise(text)))
            }
        };
        let finding = match (place, rule) {
            (Some((source, span)), _) => Diagnostic::error(title, source, span, label.as_str()),
            (None, Some(rule)) => Diagnostic::unplaced(format!("{}:{}: {title}", rule.file, rule.line)),
            (None, None) => Diagnostic::unplaced(title),
        };
        finding.help(help.as_str()).into_warning()
    }
}

fn says_otherwise(line: &str) -> bool {
    line.split_whitespace().next() == Some("otherwise")
}

/// The code of the first line that is meant, without the reason and the comment behind it.
fn place(
    sources: &[Source],
    file: &str,
    is_meant: impl Fn(u32, &str) -> bool,
) -> Option<(usize, std::ops::Range<usize>)> {
    let (index, source) = sources.iter().enumerate().find(|(_, source)| source.name == file)?;
    let mut start = 0;
    for (number, line) in (1..).zip(source.text.split_inclusive('\n')) {
        if is_meant(number, line) {
            let code = line.find(" -- ").or_else(|| line.find(" #")).map_or(line, |end| &line[..end]);
            let first = start + code.len() - code.trim_start().len();
            return Some((index, first..first + code.trim().len()));
        }
        start += line.len();
    }
    None
}

#[cfg(test)]
mod tests;
