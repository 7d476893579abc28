//! How the host's side of a stream that it begins says where to: a line `CONNECT PORT`, answered by `OK PORT`. Firecracker
//! has it so.

use super::host::{Host, Read, StreamId};

/// Bytes of the longest line, `CONNECT 4294967295` and its end, with a few to spare for a port written with zeros.
const MOST: usize = 32;

/// What a stream has said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Greeting {
    /// No whole line yet.
    Partial,
    /// The guest's port.
    Port(u32),
    /// Something else, or it is gone.
    Wrong,
}

/// Takes the line, and nothing of what follows it.
pub(super) fn take(host: &mut impl Host, stream: StreamId) -> Greeting {
    let mut bytes = [0; MOST];
    let length = match host.peek(stream, &mut bytes) {
        Read::Bytes(length) => length,
        Read::Nothing => return Greeting::Partial,
        Read::End | Read::Broken => return Greeting::Wrong,
    };
    let Some(end) = bytes[..length].iter().position(|byte| *byte == b'\n') else {
        return if length == MOST { Greeting::Wrong } else { Greeting::Partial };
    };
    let Some(port) = port(&bytes[..end]) else { return Greeting::Wrong };
    // What was seen is there to be read.
    match host.read(stream, &mut bytes[..=end]) {
        Read::Bytes(length) if length == end + 1 => Greeting::Port(port),
        _ => Greeting::Wrong,
    }
}

fn port(line: &[u8]) -> Option<u32> {
    let (word, number) = line.split_first_chunk::<8>()?;
    let digits = number.iter().all(u8::is_ascii_digit);
    if !digits || !word.eq_ignore_ascii_case(b"CONNECT ") {
        return None;
    }
    std::str::from_utf8(number).ok()?.parse().ok()
}

/// The answer to a stream that the guest has taken, whose end on the host has this port. Returns the bytes and how many they
/// are.
pub(super) fn answer(port: u32) -> ([u8; MOST], usize) {
    let mut bytes = [0; MOST];
    let mut rest = bytes.as_mut_slice();
    // `OK 4294967295` and the end of the line have 14 bytes.
    std::io::Write::write_fmt(&mut rest, format_args!("OK {port}\n")).expect("a port has ten digits at most");
    let left = rest.len();
    (bytes, MOST - left)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_names_a_port_and_nothing_else() {
        for (line, expected) in [
            ("CONNECT 0", Some(0)),
            ("connect 1024", Some(1024)),
            ("CONNECT 4294967295", Some(u32::MAX)),
            ("CONNECT 00000000000000000000052", Some(52)),
            ("CONNECT 4294967296", None),
            ("CONNECT ", None),
            ("CONNECT", None),
            ("CONNECT 5 ", None),
            ("CONNECT +5", None),
            ("CONNECT 5\r", None),
            ("CONNECT  5", None),
            ("LISTEN 5", None),
            ("", None),
        ] {
            assert_eq!(port(line.as_bytes()), expected, "{line}");
        }
    }

    #[test]
    fn the_answer_is_a_line_with_the_port() {
        for port in [0, u32::MAX] {
            let (bytes, length) = answer(port);
            assert_eq!(bytes[..length], *format!("OK {port}\n").as_bytes());
        }
    }
}
