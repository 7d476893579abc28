//! The rules of a filter.

use std::collections::HashSet;

use super::condition;
use crate::action::Action;
use crate::import::draft::DraftRule;
use crate::import::json::{Array, Reader, Value, place};
use crate::language::{Condition, Diagnostic};
use crate::syscalls::{self, Arch, Syscall};

const WHAT: &str = "a rule";

/// The rules in their order.
///
/// A rule without `args` allows its call only where no other rule of the call has any: seccompiler keeps the
/// alternatives of each call in a list, and such a rule adds nothing to it.
pub(super) fn rules(reader: &mut Reader, rules: &Array, action: Action, arch: Arch) -> Vec<DraftRule> {
    let read: Vec<_> = rules.elements.iter().filter_map(|value| rule(reader, value, action, arch)).collect();
    let tested: HashSet<u32> =
        read.iter().filter(|rule| rule.has_args).map(|rule| rule.draft.call.number).collect();
    let mut kept = Vec::new();
    for Read { draft, has_args } in read {
        if has_args || !tested.contains(&draft.call.number) {
            kept.push(draft);
            continue;
        }
        let title = format!("this rule for `{}` decides nothing", draft.call.name);
        reader.findings.note(
            Diagnostic::error(title, 0, draft.span, "no `args`, and another rule of the call has some")
                .help("seccompiler lets the conditional rules decide alone; take this one away, or those"),
        );
    }
    kept
}

struct Read {
    draft: DraftRule,
    has_args: bool,
}

fn rule(reader: &mut Reader, value: &Value, action: Action, arch: Arch) -> Option<Read> {
    let fields = reader.fields(value, WHAT, &["syscall", "args", "comment"])?;
    let call = reader.required(&fields, WHAT, "syscall").and_then(|name| call(reader, name, arch));
    let mut comments = Vec::new();
    if let Some(comment) = fields.get("comment") {
        comments.push(reader.text(comment, "a comment")?.text.to_owned());
    }
    let condition = match fields.get("args") {
        Some(args) => conditions(reader, args, &mut comments)?,
        None => Condition::Always,
    };
    let comment = (!comments.is_empty()).then(|| comments.join("; "));
    let draft = DraftRule { call: call?, condition, action, comment, source: 0, span: fields.span.clone() };
    Some(Read { draft, has_args: fields.get("args").is_some() })
}

fn conditions(reader: &mut Reader, args: &Value, comments: &mut Vec<String>) -> Option<Condition> {
    let args = reader.array(args, "`args`")?;
    if args.elements.is_empty() {
        reader.findings.error(
            Diagnostic::error("`args` is empty", 0, place(args), "no condition")
                .help("leave `args` out if any arguments are meant"),
        );
        return None;
    }
    let read: Vec<_> = args.elements.iter().map(|value| condition::read(reader, value)).collect();
    let mut parts = Vec::new();
    for part in read {
        let (condition, comment) = part?;
        parts.push(condition);
        // A constant's name, most often; the writer has it in the expression.
        comments.extend(comment);
    }
    Some(if parts.len() == 1 { parts.remove(0) } else { Condition::All(parts) })
}

fn call(reader: &mut Reader, value: &Value, arch: Arch) -> Option<&'static Syscall> {
    let name = reader.text(value, "`syscall`")?;
    // The prefix that the language takes is none of seccompiler's.
    let found = syscalls::by_name(arch, name.text).filter(|call| call.name == name.text);
    if found.is_none() {
        let title = format!("`{}` is not a call of {arch}", name.text);
        let error = Diagnostic::error(title, 0, name.span, "unknown call");
        let near = reader.findings.suggestion(name.text, syscalls::all(arch).iter().map(|call| call.name));
        reader.findings.error(match near {
            Some(near) => error.help(format!("did you mean `{near}`?")),
            None => {
                error.help("use the kernel's name of the call, and name the architecture if it is another")
            }
        });
    }
    found
}
