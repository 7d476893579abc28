//! Numbers and named constants in the width of an argument.

use crate::action::Action;
use crate::constants;
use crate::language::diagnostics::Diagnostic;
use crate::language::policy::Width;
use crate::language::suggest;
use crate::language::syntax::{ErrnoName, Name, Number, Span, Verdict};
use crate::syscalls::{Arch, Argument};

/// The highest error number that a filter can return: `MAX_ERRNO`, Linux `include/linux/err.h`.
const MAX_ERRNO: u64 = 4095;

/// A number in the argument's width.
pub(super) fn positive(source: usize, number: &Number, argument: &Argument) -> Result<u64, Diagnostic> {
    if number.value <= argument.width.mask() {
        return Ok(number.value);
    }
    Err(too_wide(source, &number.text, &number.span, argument).help(format!(
        "the largest value of `{}` is {:#x}",
        argument.name,
        argument.width.mask()
    )))
}

/// A negative number, as two's complement in the argument's width.
pub(super) fn negative(
    source: usize,
    number: &Number,
    span: &Span,
    argument: &Argument,
) -> Result<u64, Diagnostic> {
    let mask = argument.width.mask();
    if number.value <= mask / 2 + 1 {
        return Ok(number.value.wrapping_neg() & mask);
    }
    Err(too_wide(source, &format!("-{}", number.text), span, argument).help(format!(
        "the lowest negative value of `{}` is -{:#x}",
        argument.name,
        mask / 2 + 1
    )))
}

/// A named constant, as two's complement if it is negative.
pub(super) fn constant(
    source: usize,
    name: &Name,
    arch: Arch,
    argument: &Argument,
) -> Result<u64, Diagnostic> {
    let Some(value) = constants::value(arch, &name.text) else { return Err(unknown(source, name, arch)) };
    let mask = argument.width.mask();
    if value < 0 {
        return Ok(value.cast_unsigned() & mask);
    }
    let value = value.cast_unsigned();
    if value <= mask {
        return Ok(value);
    }
    Err(too_wide(source, &format!("{} = {value:#x}", name.text), &name.span, argument)
        .help("test an argument that is wide enough"))
}

fn too_wide(source: usize, text: &str, span: &Span, argument: &Argument) -> Diagnostic {
    let bits = match argument.width {
        Width::Bits32 => 32,
        Width::Bits64 => 64,
    };
    let title = format!("`{text}` does not fit `{}`, of which {bits} bits are compared", argument.name);
    Diagnostic::error(title, source, span.clone(), "too large")
}

fn unknown(source: usize, name: &Name, arch: Arch) -> Diagnostic {
    let title = format!("unknown constant `{}`", name.text);
    let error = |title: String, text: &str| Diagnostic::error(title, source, name.span.clone(), text);
    let other = [Arch::X86_64, Arch::Aarch64]
        .into_iter()
        .find(|other| constants::value(*other, &name.text).is_some());
    if let Some(other) = other {
        return error(format!("`{}` does not exist on {arch}", name.text), &format!("a constant of {other}"))
            .help(format!("if the rule is for {other} alone, write `on {other}` after the call's name"));
    }
    match suggest::closest(&name.text, constants::names(arch)) {
        Some(near) => error(title, "no header defines it").help(format!("did you mean `{near}`?")),
        None => error(title, "no header defines it").help("write the number, with its name in the reason"),
    }
}

const VERDICTS: [&str; 6] = ["allow", "trap", "kill", "kill_thread", "errno", "log"];

/// The action behind a verdict.
pub(super) fn verdict(source: usize, verdict: &Verdict, findings: &mut Vec<Diagnostic>) -> Option<Action> {
    match (verdict.word.text.as_str(), &verdict.errno) {
        ("allow", _) => Some(Action::Allow),
        ("trap", _) => Some(Action::Trap),
        ("kill", _) => Some(Action::KillProcess),
        ("kill_thread", _) => Some(Action::KillThread),
        ("log", _) => Some(Action::Log),
        ("errno", Some(name)) => errno(source, name, findings).map(Action::Errno),
        _ => {
            findings.push(super::header::unknown(source, &verdict.word, "verdict", &VERDICTS));
            None
        }
    }
}

/// The error number behind `errno NAME`.
fn errno(source: usize, errno: &ErrnoName, findings: &mut Vec<Diagnostic>) -> Option<u16> {
    match errno {
        ErrnoName::Numbered(number) if number.value <= MAX_ERRNO => u16::try_from(number.value).ok(),
        ErrnoName::Numbered(number) => {
            let title = format!("`{}` is not an error number", number.text);
            findings
                .push(Diagnostic::error(title, source, number.span.clone(), "out of range").help(format!(
                "the kernel's are 1 to {MAX_ERRNO}, and 0 is success; better use a name, as in `errno EPERM`"
            )));
            None
        }
        ErrnoName::Named(name) => {
            let found = constants::errno(&name.text);
            if found.is_none() {
                let title = format!("unknown error `{}`", name.text);
                let error = Diagnostic::error(title, source, name.span.clone(), "no errno has this name");
                findings.push(match suggest::closest(&name.text, constants::errno_names()) {
                    Some(near) => error.help(format!("did you mean `{near}`?")),
                    None => error.help("use a name of errno(3), as in `errno EPERM`"),
                });
            }
            found
        }
    }
}
