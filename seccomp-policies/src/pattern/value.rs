//! One written argument: numbers, constants and their combinations, or something that only an address leads to.

use super::Known;
use super::written::{Piece, unknown_constant};
use crate::constants;
use crate::language::{Diagnostic, Width};
use crate::syscalls::{Arch, Argument, Syscall};

/// Why an argument's text is no value.
pub(super) enum Misread<'a> {
    /// This part of it is nothing that is known.
    Unknown(Piece<'a>),
    /// It has more bits than the kernel reads.
    Wide(Diagnostic),
}

impl Misread<'_> {
    /// The error, with a suggestion: looking for one takes long, and a trace has many such arguments.
    pub(super) fn diagnostic(&self, arch: Arch) -> Diagnostic {
        match self {
            Self::Unknown(piece) => unknown_constant(piece, arch),
            Self::Wide(error) => error.clone(),
        }
    }
}

/// Reads an argument of a call for a register.
///
/// # Errors
/// It is none of what is said above, or has more bits than the kernel reads.
pub(super) fn read<'a>(
    text: &'a str,
    piece: &Piece<'a>,
    arch: Arch,
    call: Option<&'static Syscall>,
    register: u8,
) -> Result<Known, Misread<'a>> {
    let argument = call.and_then(|call| call.arguments.get(usize::from(register)));
    let width = argument.map_or(Width::Bits64, |argument| argument.width);
    let bare = undecorated(text, piece);
    if is_open(bare.text) {
        return Ok(Known::Nothing);
    }
    if bare.text.starts_with(['"', '{', '[', '&']) || bare.text.starts_with("~[") {
        return Ok(if width == Width::Bits64 { Known::NotNull } else { Known::Nothing });
    }
    let value = alternatives(&bare).map(|piece| sum(&piece, arch)).reduce(Result::or);
    let value = value.unwrap_or_else(|| Err(Misread::Unknown(bare.clone())))?;
    fit(value, &bare, width, argument).map_err(Misread::Wide)
}

/// Whether the writer leaves the argument open, or `strace` could not see it.
fn is_open(text: &str) -> bool {
    matches!(text, "" | "?" | "_" | "*" | "...") || text.starts_with('<')
}

/// The argument without comments, and without what `strace` says about a descriptor or a process.
fn undecorated<'a>(text: &'a str, piece: &Piece<'a>) -> Piece<'a> {
    let mut end = piece.text.find("/*").unwrap_or(piece.text.len());
    // `NULL => ...` and `{...} => {...}`: what went in, and what came out.
    end = end.min(piece.text.find(" => ").unwrap_or(end));
    let quoted = piece.text.starts_with(['"', '{', '[']);
    let decorated =
        piece.text.find('<').filter(|at| *at > 0 && !quoted && !piece.text[*at..].starts_with("<<"));
    end = end.min(decorated.unwrap_or(end));
    Piece::new(text, piece.span.start..piece.span.start + end)
}

/// `A or B`: names of other subsystems for the same number.
fn alternatives<'a>(piece: &Piece<'a>) -> impl Iterator<Item = Piece<'a>> {
    divided(piece, " or ")
}

/// The parts of a text between separators.
fn divided<'a>(piece: &Piece<'a>, separator: &'static str) -> impl Iterator<Item = Piece<'a>> {
    let mut at = 0;
    let start = piece.span.start;
    let text = piece.text;
    text.split(separator).map(move |part| {
        let piece = Piece::new(text, at..at + part.len());
        at += part.len() + separator.len();
        Piece { text: piece.text, span: start + piece.span.start..start + piece.span.end }
    })
}

/// Constants and numbers or-ed, as one number of 64 bits; negative ones wrap.
fn sum<'a>(piece: &Piece<'a>, arch: Arch) -> Result<Number, Misread<'a>> {
    if let Some(request) = ioctl_request(piece.text) {
        return Ok(Number { value: request, is_negative: false });
    }
    let mut sum = Number { value: 0, is_negative: false };
    for part in divided(piece, "|") {
        let term = product(&part, arch)?;
        sum = Number { value: sum.value | term.value, is_negative: sum.is_negative || term.is_negative };
    }
    Ok(sum)
}

/// A number, and whether it was written as a negative one or a complement.
#[derive(Clone, Copy)]
struct Number {
    value: u64,
    is_negative: bool,
}

/// `8192*1024` and `1<<20`, which `strace` writes, or a single constant.
fn product<'a>(piece: &Piece<'a>, arch: Arch) -> Result<Number, Misread<'a>> {
    let number = |value| Number { value, is_negative: false };
    if let Some((left, right)) = piece.text.split_once("<<") {
        let shifted = parsed(left)
            .zip(parsed(right))
            .and_then(|(left, right)| left.checked_shl(u32::try_from(right).ok()?));
        return shifted.map(number).ok_or_else(|| Misread::Unknown(piece.clone()));
    }
    if piece.text.contains('*') {
        let factors = piece.text.split('*').map(parsed);
        let product = factors.reduce(|left, right| left?.checked_mul(right?)).flatten();
        return product.map(number).ok_or_else(|| Misread::Unknown(piece.clone()));
    }
    term(piece, arch)
}

fn parsed(text: &str) -> Option<u64> {
    number(text.trim())
}

/// A number or a constant, after any number of complements.
fn term<'a>(piece: &Piece<'a>, arch: Arch) -> Result<Number, Misread<'a>> {
    let text = piece.text.trim_start_matches('~');
    let complements = piece.text.len() - text.len();
    let inner = Piece { text, span: piece.span.start + complements..piece.span.end };
    let plain = plain(&inner, arch)?;
    let value = if complements % 2 == 1 { !plain.value } else { plain.value };
    Ok(Number { value, is_negative: plain.is_negative || complements > 0 })
}

fn plain<'a>(piece: &Piece<'a>, arch: Arch) -> Result<Number, Misread<'a>> {
    let text = piece.text;
    if let Some(value) = text.strip_prefix('-').and_then(number) {
        return Ok(Number { value: value.wrapping_neg(), is_negative: true });
    }
    if text == "NULL" {
        return Ok(Number { value: 0, is_negative: false });
    }
    if let Some(value) = number(text) {
        return Ok(Number { value, is_negative: false });
    }
    match constants::value(arch, text) {
        Some(value) => Ok(Number { value: value.cast_unsigned(), is_negative: value < 0 }),
        None => Err(Misread::Unknown(piece.clone())),
    }
}

/// A decimal, hexadecimal or octal number.
pub(super) fn number(text: &str) -> Option<u64> {
    let (digits, radix) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None if text.len() > 1 && text.starts_with('0') => (&text[1..], 8),
        None => (text, 10),
    };
    // The standard library takes a sign, which has no place here.
    digits.starts_with(|c: char| c.is_digit(radix)).then(|| u64::from_str_radix(digits, radix).ok())?
}

/// `_IOC(_IOC_READ, 0x54, 0x30, 0x4)`, as `strace` writes a request without a name: Linux
/// `include/uapi/asm-generic/ioctl.h`.
fn ioctl_request(text: &str) -> Option<u64> {
    let inside = text.strip_prefix("_IOC(")?.strip_suffix(')')?;
    let mut parts = inside.split(',').map(str::trim);
    let mut direction = 0;
    for word in parts.next()?.split('|') {
        direction |= match word {
            "_IOC_NONE" | "0" => 0,
            "_IOC_WRITE" => 1,
            "_IOC_READ" => 2,
            _ => return None,
        };
    }
    let mut field = |bits: u32| parts.next().and_then(number).filter(|value| *value < 1 << bits);
    let (kind, number, size) = (field(8)?, field(8)?, field(14)?);
    Some(direction << 30 | size << 16 | kind << 8 | number)
}

/// The number in the argument's width. Compilers clear the upper half of a register that takes an `int`, and some
/// policies compare it, so it is known as well; of a negative one it may hold the sign or not.
fn fit(
    number: Number,
    piece: &Piece<'_>,
    width: Width,
    argument: Option<&Argument>,
) -> Result<Known, Diagnostic> {
    let cut = number.value & width.mask();
    let lost = number.value & !width.mask();
    if lost == 0 {
        return Ok(Known::Value(cut, Width::Bits64));
    }
    if number.is_negative && lost == !width.mask() {
        return Ok(Known::Value(cut, width));
    }
    let name = argument.map_or("the argument", |argument| argument.name);
    let title = format!("`{}` does not fit `{name}`, of which the kernel reads 32 bits", piece.text);
    Err(Diagnostic::error(title, 0, piece.span.clone(), "too large")
        .help(format!("the largest value is {:#x}", width.mask())))
}
