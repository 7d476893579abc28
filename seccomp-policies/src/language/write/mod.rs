//! A checked policy as text.

mod expression;
mod simplify;
mod standing;
mod value;

use std::fmt::Write as _;

use super::format::laid_out;
use super::policy::{Condition, Policy, Rule, Slot};
use crate::action::Action;
use crate::constants;
use crate::syscalls::{Arch, Syscall};
use standing::{Standing, standings};

/// What stands where a rule or a slot has no reason: the language asks for one.
const NO_REASON: &str = "no reason was given";

/// The text of a policy, in canonical layout: [`check_sources`](super::check_sources) makes a policy of the same
/// meaning of it.
///
/// A rule that decides nothing, which the language refuses, stands as a comment. Conditions may not alternate between
/// `&&` and `||` more than 60 levels deep, and an error number must be 0 to 4095: the language has no more.
pub fn write(policy: &Policy) -> String {
    let mut text = header(policy);
    for slot in &policy.slots {
        text.push_str(&slot_line(slot));
    }
    text.push('\n');
    let mut decides = false;
    for (rule, standing) in policy.rules.iter().zip(standings(&policy.rules)) {
        decides |= standing == Standing::Decides || standing == Standing::Everything;
        text.push_str(&rule_line(policy, rule, standing));
    }
    if !decides {
        text.push_str(&rule_that_changes_nothing(policy));
    }
    // Layout moves words and changes none; a name that the language cannot read is left as it was written.
    laid_out("policy", &text).unwrap_or(text)
}

/// A condition as the right side of a rule, constants by name where that is certain; empty for one that is always
/// true, `None` for one that never is. `slots` are named where a descriptor is compared with them.
pub fn write_condition(
    arch: Arch,
    call: &'static Syscall,
    slots: &[Slot],
    condition: &Condition,
) -> Option<String> {
    let simple = simplify::simplify(condition);
    if simplify::is_never(&simple) {
        return None;
    }
    Some(expression::Writer { arch, call, slots }.expression(&simple))
}

fn header(policy: &Policy) -> String {
    let tier = policy.tier.name();
    format!("role {}\ntier {tier}\notherwise {}\n\n", policy.role, verdict(policy.otherwise))
}

fn slot_line(slot: &Slot) -> String {
    let Slot { name, first, last, .. } = slot;
    let numbers = if first == last { first.to_string() } else { format!("{first}..{last}") };
    format!("fd {name} = {numbers} -- {}\n", one_line(&slot.reason))
}

fn rule_line(policy: &Policy, rule: &Rule, standing: Standing) -> String {
    let why_not = match standing {
        Standing::Decides | Standing::Everything => "",
        Standing::Never => "# never matches: ",
        Standing::Covered => "# covered by earlier rules: ",
    };
    let condition = match standing {
        Standing::Everything => &Condition::Always,
        _ => &rule.condition,
    };
    let written = write_condition(policy.arch, rule.call, &policy.slots, condition);
    let expression = written.as_deref().unwrap_or(&rule.expression);
    let mut line = format!("{why_not}{}:", rule.call.name);
    if rule.action != Action::Allow {
        // Writing to a string cannot fail.
        let _ = write!(line, " {}", verdict(rule.action));
    }
    if !expression.is_empty() {
        line.push_str(if rule.action == Action::Allow { " " } else { " if " });
        line.push_str(expression);
    }
    let _ = writeln!(line, " -- {}", one_line(&rule.reason));
    line
}

/// A policy needs a rule; this one says of a call what would be said of it anyway.
fn rule_that_changes_nothing(policy: &Policy) -> String {
    let verdict = match policy.otherwise {
        Action::Allow => String::new(),
        other => format!(" {}", verdict(other)),
    };
    format!("exit_group:{verdict} -- as every call; there was no rule, and a policy needs one\n")
}

/// An action as a rule says it.
pub(crate) fn verdict(action: Action) -> String {
    match action {
        Action::Errno(number) => match constants::errno_name(number) {
            Some(name) => format!("errno {name}"),
            None => format!("errno {number}"),
        },
        other => other.to_string(),
    }
}

/// A reason as the rest of a line holds it.
pub(crate) fn one_line(reason: &str) -> String {
    let printable = reason.replace(char::is_control, " ");
    let words: Vec<_> = printable.split_whitespace().collect();
    if words.is_empty() { NO_REASON.to_owned() } else { words.join(" ") }
}
