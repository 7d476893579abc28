//! Actions by libseccomp's names, with their error numbers.

use crate::action::Action;
use crate::import::action;
use crate::import::json::{Reader, Value, place};
use crate::language::Diagnostic;

/// What `SCMP_ACT_ERRNO` returns where the profile does not say: `EPERM`, by the runtime specification.
const DEFAULT_ERRNO: u16 = 1;

const NAMES: &str = "the actions are SCMP_ACT_ALLOW, _ERRNO, _TRAP, _LOG, _KILL, _KILL_THREAD, _KILL_PROCESS, _TRACE and \
                     _NOTIFY";

/// An action; `errno` is the value of the field `errno_name`, which only some actions use.
pub(super) fn read(
    reader: &mut Reader,
    value: &Value,
    errno: Option<&Value>,
    errno_name: &str,
) -> Option<Action> {
    let text = reader.text(value, "an action")?;
    let number = match errno {
        Some(errno) => Some((number(reader, errno, errno_name)?, errno)),
        None => None,
    };
    if let (Some((_, errno)), false) = (number, matches!(text.text, "SCMP_ACT_ERRNO" | "SCMP_ACT_TRACE")) {
        let title = format!("`{errno_name}` means nothing to {}", text.text);
        reader.findings.note(Diagnostic::error(title, 0, place(errno), "without effect"));
    }
    Some(match text.text {
        "SCMP_ACT_ALLOW" => Action::Allow,
        "SCMP_ACT_TRAP" => Action::Trap,
        "SCMP_ACT_LOG" => Action::Log,
        "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => Action::KillThread,
        "SCMP_ACT_KILL_PROCESS" => Action::KillProcess,
        "SCMP_ACT_ERRNO" => {
            let (number, span) = match number {
                Some((number, errno)) => (number, place(errno)),
                None => (DEFAULT_ERRNO, text.span),
            };
            action::errno(reader.findings, 0, span, number)
        }
        "SCMP_ACT_TRACE" => action::handed(reader.findings, 0, text.span, "tracer"),
        "SCMP_ACT_NOTIFY" => action::handed(reader.findings, 0, text.span, "listener"),
        other => {
            let title = format!("unknown action `{other}`");
            reader.findings.error(Diagnostic::error(title, 0, text.span, "not an action").help(NAMES));
            return None;
        }
    })
}

fn number(reader: &mut Reader, value: &Value, name: &str) -> Option<u16> {
    let number = reader.number(value, &format!("`{name}`"))?;
    let number = u16::try_from(number).ok();
    if number.is_none() {
        reader.error("an error number has 16 bits", value, "too large");
    }
    number
}
