//! Rules: an action for one or many calls.

use super::{action, condition, requirements};
use crate::action::Action;
use crate::import::Options;
use crate::import::draft::{DraftRule, shared_comment};
use crate::import::json::{Fields, Reader, Text, Value};
use crate::language::{Condition, Diagnostic};
use crate::syscalls;

const WHAT: &str = "a rule";
const FIELDS: [&str; 8] = ["name", "names", "action", "errnoRet", "args", "comment", "includes", "excludes"];

/// How many rules a file may come to, each call of a rule with each of its alternatives counted.
const MAX_RULES: usize = 1 << 16;

/// Calls that are named in a note.
const SHOWN: usize = 8;

/// The rules of a profile, those left out that runtimes leave out: for another machine than that of the options, for
/// calls that the architecture lacks, and with the default action.
pub(super) fn rules(
    reader: &mut Reader,
    value: &Value,
    options: &Options,
    otherwise: Option<Action>,
) -> Option<Vec<DraftRule>> {
    let entries = reader.array(value, "`syscalls`")?;
    let mut rules = Vec::new();
    let mut failed = false;
    for entry in &entries.elements {
        match rule(reader, entry, options, otherwise) {
            Some(more) if rules.len() + more.count() > MAX_RULES => {
                let title = format!("the profile comes to more than {MAX_RULES} rules");
                reader.error(title, entry, "one too many");
                return None;
            }
            Some(more) => rules.extend(more.rules()),
            None => failed = true,
        }
    }
    (!failed).then_some(rules)
}

/// What an entry says: each call with each condition.
struct Entry<'v> {
    calls: Vec<(&'static syscalls::Syscall, Text<'v>)>,
    conditions: Vec<Condition>,
    action: Action,
    comment: Option<String>,
}

impl Entry<'_> {
    const fn count(&self) -> usize {
        self.calls.len().saturating_mul(self.conditions.len())
    }

    fn rules(self) -> impl Iterator<Item = DraftRule> {
        let Self { calls, conditions, action, comment } = self;
        calls.into_iter().flat_map(move |(call, name)| {
            let comment = comment.clone();
            conditions.clone().into_iter().map(move |condition| DraftRule {
                call,
                condition,
                action,
                comment: comment.clone(),
                source: 0,
                span: name.span.clone(),
            })
        })
    }
}

fn rule<'v>(
    reader: &mut Reader,
    value: &'v Value,
    options: &Options,
    otherwise: Option<Action>,
) -> Option<Entry<'v>> {
    let fields = reader.fields(value, WHAT, &FIELDS)?;
    let names = names(reader, &fields);
    let action = reader.required(&fields, WHAT, "action");
    let action = action.and_then(|action| action::read(reader, action, fields.get("errnoRet"), "errnoRet"));
    let conditions = match fields.get("args") {
        Some(args) => condition::read(reader, args),
        None => Some(vec![Condition::Always]),
    };
    let met = requirements::are_met(reader, fields.get("includes"), fields.get("excludes"), options);
    let comment = match fields.get("comment") {
        Some(comment) => Some(shared_comment(reader.text(comment, "a comment")?.text)),
        None => None,
    };
    let (names, action, conditions, met) = (names?, action?, conditions?, met?);
    let mut calls = Vec::new();
    if met {
        if Some(action) == otherwise {
            let title = format!("this rule answers `{action}`, as the profile does by default");
            reader.findings.note(
                Diagnostic::error(title, 0, fields.span.clone(), "changes nothing").help("runtimes skip it"),
            );
        } else {
            calls = known(reader, names, options);
        }
    }
    Some(Entry { calls, conditions, action, comment })
}

/// The names of an entry, in its old or its new form.
fn names<'v>(reader: &mut Reader, fields: &Fields<'v, '_>) -> Option<Vec<Text<'v>>> {
    match (fields.get("name"), fields.get("names")) {
        (Some(name), None) => Some(vec![reader.text(name, "`name`")?]),
        (None, Some(names)) => {
            let list = reader.array(names, "`names`")?;
            if list.elements.is_empty() {
                reader.error("`names` is empty", names, "the rule is for no call");
                return None;
            }
            list.elements.iter().map(|name| reader.text(name, "the name of a call")).collect()
        }
        (Some(name), Some(_)) => {
            reader.error("a rule has `name` or `names`, not both", name, "one too many");
            None
        }
        (None, None) => {
            reader.required(fields, WHAT, "names");
            None
        }
    }
}

/// The calls that the architecture has; a note says which it lacks.
fn known<'v>(
    reader: &mut Reader,
    names: Vec<Text<'v>>,
    options: &Options,
) -> Vec<(&'static syscalls::Syscall, Text<'v>)> {
    let arch = options.target();
    let mut calls = Vec::new();
    let mut lacking: Vec<Text> = Vec::new();
    for name in names {
        // The prefix that the language takes is none of libseccomp's.
        match syscalls::by_name(arch, name.text).filter(|call| call.name == name.text) {
            Some(call) => calls.push((call, name)),
            None => lacking.push(name),
        }
    }
    if let [first, ..] = lacking.as_slice() {
        let shown: Vec<_> = lacking.iter().take(SHOWN).map(|name| name.text).collect();
        let more = lacking.len() - shown.len();
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        let shown = format!("{}{more}", shown.join(", "));
        let title = match lacking.len() {
            1 => format!("`{}` is not a call of {arch}", first.text),
            count => format!("{count} of these are not calls of {arch}"),
        };
        let finding = Diagnostic::error(title, 0, first.span.clone(), "skipped, as runtimes do");
        reader.findings.note(if lacking.len() == 1 { finding } else { finding.help(shown) });
    }
    calls
}
