//! Instructions from text: the listings that other tools print, and bytes in hexadecimal.
//!
//! A line is one instruction: code, jt, jf and k, in that order, in decimal or hexadecimal, with or without a number of
//! its own before them and anything after them. That is what `seccomp-tools dump`, `tcpdump -ddd`, `bpf_dbg` and C
//! initializers look like.

use std::ops::Range;

use super::bytes;
use crate::bpf::Instruction;
use crate::language::Diagnostic;

/// Instructions and the line that each stands in.
pub(super) type Placed = Vec<(Instruction, Range<usize>)>;

/// Reads a text.
///
/// # Errors
/// The first line that is neither an instruction nor a frame around them.
pub(super) fn read(text: &str, source: usize) -> Result<Placed, Diagnostic> {
    if let Some(bytes) = hexadecimal(text) {
        let whole = 0..text.trim_end().len();
        let Some((program, _)) = bytes::instructions(&bytes) else {
            let title = format!("{} bytes are no number of instructions", bytes.len());
            return Err(Diagnostic::error(title, source, whole, "not a multiple of 8"));
        };
        return Ok(program.into_iter().map(|instruction| (instruction, whole.clone())).collect());
    }
    let mut program = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let at = start + (line.len() - line.trim_start().len());
        start += line.len();
        let span = at..at + line.trim().len();
        match row(line.trim()) {
            Row::Instruction(instruction) => program.push((instruction, span)),
            Row::Frame => {}
            Row::Other => return Err(not_an_instruction(source, span)),
        }
    }
    Ok(program)
}

fn not_an_instruction(source: usize, span: Range<usize>) -> Diagnostic {
    Diagnostic::error("this line is no instruction", source, span, "not `CODE JT JF K`").help(
        "as in `0x20 0x00 0x00 0x00000004` or `{ 0x20, 0, 0, 0x4 },`; a program may also be bytes, or bytes in \
         hexadecimal",
    )
}

enum Row {
    Instruction(Instruction),
    /// Nothing, a comment, or what stands around instructions.
    Frame,
    Other,
}

fn row(line: &str) -> Row {
    let code = line.trim_start_matches(['{', '[', '(']).trim_start();
    let label = code.split_once(':').filter(|(label, _)| is_label(label));
    let code = label.map_or(code, |(_, code)| code).trim_start().trim_start_matches('{');
    let mut numbers = code.split([' ', '\t', ',', '}', ']', ')']).filter(|part| !part.is_empty()).map(field);
    let mut next = || numbers.next().flatten();
    let (first, jt, jf, k) = (next(), next(), next(), next());
    match (first, jt, jf, k) {
        (Some(code), Some(jt), Some(jf), Some(k)) => {
            let fields = (u16::try_from(code), u8::try_from(jt), u8::try_from(jf));
            match fields {
                (Ok(code), Ok(jt), Ok(jf)) => Row::Instruction(Instruction { code, jt, jf, k }),
                _ => Row::Other,
            }
        }
        _ if is_frame(line) => Row::Frame,
        _ => Row::Other,
    }
}

/// The number of a line or of an instruction: `0007`, `l7`, `L7`.
fn is_label(text: &str) -> bool {
    let digits = text.trim().trim_start_matches(['l', 'L']);
    !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit())
}

fn is_frame(line: &str) -> bool {
    let of_c = line.ends_with('{') || line.chars().all(|c| "{}[]();,".contains(c));
    let comment = ["//", "/*", "*", "#", ";"].iter().any(|mark| line.starts_with(mark));
    // The head of `seccomp-tools dump`, and the count that `tcpdump -ddd` begins with.
    let head = line.starts_with("line ") || line.bytes().all(|byte| byte == b'=');
    comment || of_c || head || line.bytes().all(|byte| byte.is_ascii_digit())
}

/// A number, perhaps with the name of its field before it: `0x20`, `21`.
fn field(text: &str) -> Option<u32> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// The bytes of a text that is nothing but two hexadecimal digits for each, perhaps with `\x` before them.
fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    let text = text.trim().trim_matches('"');
    let escaped = text.starts_with("\\x");
    // Lines of four numbers are instructions.
    let rows = text.lines().all(|line| line.split_whitespace().count() == 4);
    if text.is_empty() || rows && !escaped {
        return None;
    }
    let mut digits = Vec::with_capacity(text.len());
    for byte in text.replace("\\x", "").bytes().filter(|byte| !byte.is_ascii_whitespace()) {
        digits.push(u8::try_from(char::from(byte).to_digit(16)?).ok()?);
    }
    digits
        .len()
        .is_multiple_of(2)
        .then(|| digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Load the number; kill.
    const PROGRAM: [(u16, u8, u8, u32); 2] = [(0x20, 0, 0, 4), (6, 0, 0, 0x8000_0000)];

    fn fields(text: &str) -> Vec<(u16, u8, u8, u32)> {
        let program = read(text, 0).unwrap_or_else(|error| panic!("{text}: {}", error.title));
        program.iter().map(|(it, _)| (it.code, it.jt, it.jf, it.k)).collect()
    }

    #[test]
    fn every_listing_of_a_program_gives_the_program() {
        for text in [
            " line  CODE  JT   JF      K\n=================================\n 0000: 0x20 0x00 0x00 0x00000004  A = arch\n \
             0001: 0x06 0x00 0x00 0x80000000  return KILL_PROCESS\n",
            "2\n32 0 0 4\n6 0 0 2147483648\n",
            "/* role r */\n{ 0x20, 0, 0, 0x00000004 }, /* A = arch */\n{ 0x06, 0, 0, 0x80000000 }, /* return */\n",
            "static const struct sock_filter filter[] = {\n\t{ 0x20, 0, 0, 4 },\n\t{0x06,0,0,0x80000000},\n};\n",
            "2000000004000000\n0600000000000080\n",
            "20 00 00 00 04 00 00 00 06 00 00 00 00 00 00 80",
            r"\x20\x00\x00\x00\x04\x00\x00\x00\x06\x00\x00\x00\x00\x00\x00\x80",
            "0020000000000004 0006000080000000",
        ] {
            assert_eq!(fields(text), PROGRAM, "{text}");
        }
    }

    #[test]
    fn a_line_that_is_no_instruction_is_not_skipped() {
        for text in [
            "BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 4),",
            "0x20 0x00 0x00",
            "0x20 256 0 0",
            "0x10020 0 0 0",
            "hello",
        ] {
            let text = format!("{{ 0x20, 0, 0, 4 }},\n{text}\n");
            assert_eq!(read(&text, 0).unwrap_err().title, "this line is no instruction", "{text}");
        }
    }
}
