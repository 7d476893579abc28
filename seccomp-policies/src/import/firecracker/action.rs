//! Actions by seccompiler's names.

use crate::action::Action;
use crate::import::action;
use crate::import::json::{Reader, Value, place};
use crate::language::Diagnostic;

const NAMES: &str = "the actions are \"allow\", \"trap\", \"log\", \"kill_thread\", \"kill_process\", {\"errno\": N} \
                     and {\"trace\": N}";

/// An action; none if it is not one, or none of the language's.
pub(super) fn read(reader: &mut Reader, value: &Value) -> Option<Action> {
    if let Some(object) = value.as_object() {
        return with_number(reader, value, object);
    }
    let text = reader.text(value, "an action")?;
    Some(match text.text {
        "allow" => Action::Allow,
        "trap" => Action::Trap,
        "log" => Action::Log,
        "kill_thread" => Action::KillThread,
        "kill_process" => Action::KillProcess,
        other => {
            let title = format!("unknown action `{other}`");
            reader.findings.error(Diagnostic::error(title, 0, text.span, "not an action").help(NAMES));
            return None;
        }
    })
}

/// `{"errno": 1}` or `{"trace": 1}`.
fn with_number(reader: &mut Reader, value: &Value, object: &crate::import::json::Object) -> Option<Action> {
    let [property] = object.properties.as_slice() else {
        reader
            .findings
            .error(Diagnostic::error("an action has one name", 0, place(value), "this one").help(NAMES));
        return None;
    };
    let name = property.name.as_str();
    if !matches!(name, "errno" | "trace") {
        let title = format!("unknown action `{name}`");
        reader
            .findings
            .error(Diagnostic::error(title, 0, place(&property.name), "not an action").help(NAMES));
        return None;
    }
    let number = reader.number(&property.value, "the number of an action")?;
    let Ok(number) = u16::try_from(number) else {
        reader.error("the number of an action has 16 bits", &property.value, "too large");
        return None;
    };
    let span = place(value);
    Some(match name {
        "trace" => action::handed(reader.findings, 0, span, "tracer"),
        _ => action::errno(reader.findings, 0, span, number),
    })
}
