//! The policy language from outside: what its messages say, word for word, and what policies mean.

mod any_text;
mod coverage;
mod directives;
mod files;
mod formatting;
mod includes;
mod limits;
mod meaning;
mod names;
mod reasons;
mod reference;
mod refusals;
mod slots;
mod syntax;
mod tiers;
mod tree;
mod values;
mod widths;

use seccomp_policies::language::{Checked, check_sources};
use seccomp_policies::syscalls::Arch;

/// The three lines before the rules of most policies here.
const HEADER: [&str; 3] = ["role r", "tier filter", "otherwise trap"];

/// What there is to say about a policy with these rules: its errors, or its notes.
fn rules(lines: &[&str]) -> String {
    findings(&[("r.policy", &text(&[&HEADER, lines]))], Arch::X86_64)
}

/// The same on the other target.
fn rules_on_aarch64(lines: &[&str]) -> String {
    findings(&[("r.policy", &text(&[&HEADER, lines]))], Arch::Aarch64)
}

/// What there is to say about a whole policy.
fn policy(lines: &[&str]) -> String {
    findings(&[("r.policy", &text(&[lines]))], Arch::X86_64)
}

/// The same on the other target.
fn policy_on_aarch64(lines: &[&str]) -> String {
    findings(&[("r.policy", &text(&[lines]))], Arch::Aarch64)
}

/// What there is to say about a policy with these rules, and files that it includes.
fn files(root: (&str, &[&str]), others: &[(&str, &[&str])]) -> String {
    let mut sources = vec![(root.0, text(&[&HEADER, root.1]))];
    sources.extend(others.iter().map(|(name, lines)| (*name, text(&[lines]))));
    let sources: Vec<_> = sources.iter().map(|(name, text)| (*name, text.as_str())).collect();
    findings(&sources, Arch::X86_64)
}

fn findings(sources: &[(&str, &str)], arch: Arch) -> String {
    match check_sources(sources[0].0, sources, arch) {
        Ok(checked) => checked.notes.render(false),
        Err(errors) => errors.render(false),
    }
}

/// A policy with these rules, which must hold.
fn checked(lines: &[&str]) -> Checked {
    good(&text(&[&HEADER, lines]), Arch::X86_64)
}

/// A whole policy, which must hold.
fn good(text: &str, arch: Arch) -> Checked {
    check_sources("r.policy", &[("r.policy", text)], arch).unwrap_or_else(|errors| panic!("{text}\n{errors}"))
}

fn text(parts: &[&[&str]]) -> String {
    parts.iter().flat_map(|lines| lines.iter()).flat_map(|line| [*line, "\n"]).collect()
}
